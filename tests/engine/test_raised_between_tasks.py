"""What users give to a run and the scheduler calls between its tasks: where it raises, it ends that run alone."""

import asyncio
import dataclasses
import logging
import threading

import pytest

import asyncexec as ax
from asyncexec.errors import ExecutionError
from tests.engine.test_own_trouble import PanicError


class BadRule:
    """A straggler rule, one method of which raises or gives what cannot be used."""

    name = "bad"
    floor_seconds = 0.0

    def __init__(self, method, bad):
        self._method, self._bad = method, bad

    def _answer(self, method, good):
        if method != self._method:
            return good
        if isinstance(self._bad, BaseException):
            raise self._bad
        return self._bad

    def threshold(self, view):
        return self._answer("threshold", 0.0)

    def copies(self, view):
        return self._answer("copies", 2)

    def backups(self, view):
        return self._answer("backups", 1)


class BadRetry(ax.Retry):
    """A retry policy that raises where it is to say what kind of failure there is, or how long to wait."""

    def kind(self, outcome):
        raise PanicError("of the policy")


class BadDelay(ax.Retry):
    def delay_seconds(self, *arguments, **options):
        raise PanicError("of the policy")


class BadLimit(ax.Timeout):
    """A timeout whose limit cannot be read once the run has begun."""

    reads = 0

    def __getattribute__(self, name):
        if name == "task":
            BadLimit.reads += 1
            if BadLimit.reads > 3:
                raise PanicError("of the policy")
        return super().__getattribute__(name)


def fail(item):
    raise OSError(item)


class Neighbour:
    """An engine with a run that goes on for as long as the test."""

    async def __aenter__(self):
        self._gate = threading.Event()
        self._engine = ax.Engine("threads", executor_options={"max_workers": 3})
        self.engine = await self._engine.__aenter__()
        self._run = self.engine.start(self.waiting(7))
        return self

    def waiting(self, *items):
        """Return a plan whose tasks last as long as the test."""
        return ax.Plan.map(lambda item: self._gate.wait(30) and item, items or [1, 2])

    async def __aexit__(self, kind, error, traceback):
        still_running = not self._run.done
        self._gate.set()
        try:
            if kind is None:
                assert still_running
                assert (await self._run).value == [7]
        finally:
            await self._engine.__aexit__(kind, error, traceback)


@pytest.mark.parametrize("method", ["threshold", "copies", "backups"])
@pytest.mark.parametrize("bad", [ValueError("of the rule"), "text", PanicError("of the rule")])
async def test_a_straggler_rule_that_raises_or_gives_nonsense_ends_its_run_alone(method, bad):
    async with Neighbour() as beside:
        with pytest.raises(ExecutionError, match=r"stage .*straggler=<.*BadRule") as caught:
            await beside.engine.execute(beside.waiting(), straggler=BadRule(method, bad))
        if isinstance(bad, BaseException):
            assert caught.value.__cause__ is bad
            assert f"BadRule.{method}" in str(caught.value)
        else:
            assert isinstance(caught.value.__cause__, TypeError)


@pytest.mark.parametrize("retry", [BadRetry(), BadDelay()])
async def test_a_retry_policy_that_raises_ends_its_run_alone(retry):
    async with Neighbour() as beside:
        with pytest.raises(ExecutionError, match=r"policy retry=Bad.*PanicError") as caught:
            await beside.engine.execute(ax.Plan.map(fail, [1, 2, 3]), retry=retry)
        assert isinstance(caught.value.__cause__, PanicError)
        assert caught.value.plan == caught.value.stage == "fail"


async def test_a_timeout_that_raises_ends_its_run_alone():
    async with Neighbour() as beside:
        BadLimit.reads = 0
        with pytest.raises(ExecutionError, match=r"PanicError in BadLimit") as caught:
            await beside.engine.execute(beside.waiting(), timeout=BadLimit(task=3))
        assert isinstance(caught.value.__cause__, PanicError)


async def test_a_workspace_that_raises_while_tasks_run_ends_its_run_alone(tmp_path):
    xp = pytest.importorskip("asyncexec.array")
    spec = ax.Spec(work_dir=str(tmp_path))
    plan = xp.sum(xp.arange(12, chunks=(2,), spec=spec) + 1).to_plan()
    opener = plan.workspace

    class Opener:
        def open(self, stages, opening):
            return Releasing(opener.open(stages, opening))

    class Releasing:
        def __init__(self, inside):
            self._inside = inside

        def __getattr__(self, name):
            return getattr(self._inside, name)

        def releases(self, stage):
            return True

        def release(self, stage, tasks):
            raise PanicError("of the workspace")

    async with Neighbour() as beside:
        with pytest.raises(ExecutionError, match=r"PanicError in .*Releasing.release"):
            await beside.engine.execute(dataclasses.replace(plan, workspace=Opener()))


async def test_a_filter_of_the_drivers_logging_that_raises_ends_its_run_alone():
    logger = logging.getLogger("of_a_task")

    def refuse(record):
        raise PanicError("of the filter")

    logger.addFilter(refuse)
    try:
        async with ax.Engine("processes", executor_options={"max_workers": 2}) as engine:
            gate = asyncio.Event()

            async def items():
                yield -7
                await gate.wait()

            neighbour = engine.start(ax.Plan.map(abs, items()))
            with pytest.raises(ExecutionError, match="PanicError"):
                await engine.execute(ax.Plan.map(log, [1]))
            gate.set()
            assert (await neighbour).value == [7]
    finally:
        logger.removeFilter(refuse)


def log(item):
    logging.getLogger("of_a_task").error("item %s", item)
    return item
