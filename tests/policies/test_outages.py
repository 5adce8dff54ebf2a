"""Retries and the circuit breaker at work, on the real scheduler and model workers."""

import asyncio

import pytest

import asyncexec as ax
from asyncexec.errors import CircuitOpenError, RetryBudgetError, TaskFailedError, TaskTimeoutError
from asyncexec.events.outcome import Status
from asyncexec.observers import Summary
from asyncexec.testing.fates import Fate
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import virtual_time


class Outage:
    """Every attempt takes a second, but fails at once while the storage is away."""

    def __init__(self, seconds, *, error=None, begins=5.0):
        self.begins, self.ends = begins, begins + seconds
        self.error = error or ConnectionError("the storage is away")

    def __call__(self, visit):
        if self.begins <= visit.at < self.ends:
            return Fate(seconds=0.01, status=Status.FAILED, error=self.error)
        return Fate(seconds=1.0)


def now() -> float:
    return asyncio.get_running_loop().time()


async def run(backend, tasks, **options):
    summary = Summary()
    async with ax.Engine(executor=backend) as engine:
        result = await engine.execute(
            ax.Plan.map(str, range(tasks)), observers=[summary], **options
        )
    assert result.retries == summary.stages[0].retries
    return summary


@pytest.mark.parametrize("seconds", [2, 10, 60])
@pytest.mark.parametrize("tasks, slots", [(100, 4), (1_000, 10), (2_000, 1_000)])
def test_a_plan_outlives_an_outage_of_a_minute(tasks, slots, seconds):
    @virtual_time
    async def outlives():
        begins = 0.4 * tasks / slots
        backend = ModelBackend(Outage(seconds, begins=begins), slots=slots, computes=False)
        # Six, as a task that fails four times before the circuit opens is rare, but not impossible.
        summary = await run(backend, tasks, retry=6)
        assert summary.run.circuit_openings >= 1
        # No longer than the outage itself, the pause that was under way, and the work.
        assert now() < tasks / slots + 2 * seconds + 5
        # And hardly anything is sent to a storage that is away: what was under way, then one at a time.
        assert summary.stages[0].retries <= 100 + 2 * slots

    outlives()


@virtual_time
async def test_an_outage_that_does_not_end_ends_the_plan_and_says_why():
    with pytest.raises(CircuitOpenError, match=r"the last: .*the storage is away.*resume=True"):
        await run(ModelBackend(Outage(1e9), slots=10, computes=False), 1_000)
    assert 60 < now() < 90


@virtual_time
async def test_a_bug_in_the_code_ends_the_plan_in_seconds_with_its_own_error():
    def fate(visit):
        return Fate(seconds=1.0, status=Status.FAILED, error=RuntimeError("bug"))

    with pytest.raises(TaskFailedError, match="RuntimeError: bug"):
        await run(ModelBackend(fate, slots=10), 1_000)
    assert now() < 60


@virtual_time
async def test_a_bug_in_short_tasks_is_shown_whatever_runs_out_first():
    """The attempts of one task, or the retries of the plan."""
    backend = ModelBackend(Outage(1e9, error=RuntimeError("bug"), begins=0.0), slots=10)
    with pytest.raises((TaskFailedError, RetryBudgetError), match="RuntimeError: bug") as caught:
        await run(backend, 1_000)
    assert repr(caught.value.__cause__) == "RuntimeError('bug')"
    assert now() < 10


@virtual_time
async def test_a_plan_of_few_tasks_ends_with_its_tasks_error():
    with pytest.raises(TaskFailedError, match="the storage is away"):
        await run(ModelBackend(Outage(1e9, begins=0.0), slots=10), 19)
    assert now() < 10


@virtual_time
async def test_a_timeout_that_is_too_short_ends_the_plan_with_the_timeouts_error():
    with pytest.raises(TaskTimeoutError, match="longer timeout"):
        await run(ModelBackend(20.0, slots=100, computes=False), 1_000, timeout=10.0)
    assert now() < 120


@virtual_time
async def test_one_poisoned_task_never_opens_the_circuit():
    def fate(visit):
        if visit.task == 7:
            return Fate(seconds=0.1, status=Status.FAILED, error=ConnectionError("just this one"))
        return Fate(seconds=1.0)

    with pytest.raises(TaskFailedError, match=r"task \(7,\).*just this one"):
        await run(ModelBackend(fate, slots=10), 1_000, retry=20)


@virtual_time
async def test_while_the_last_tasks_hang_an_open_circuit_does_not_keep_the_loop_busy():
    """Nothing is left to send when the pause is over: there is nothing to do but wait."""

    def fate(visit):
        if visit.task >= 90 and visit.number == 1:
            return Fate(seconds=500.0)
        fails = 1.0 < visit.at < 1.2 and visit.task < 90
        error = ConnectionError("a moment")
        return Fate(seconds=0.1, status=Status.FAILED, error=error) if fails else Fate(seconds=1.0)

    backend = ModelBackend(fate, slots=100, computes=False)
    await run(backend, 100, straggler="off", timeout=ax.Timeout(hangs=False))
    assert 500 <= now() < 600
