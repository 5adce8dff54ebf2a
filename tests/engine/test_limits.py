"""Limits of stages and of labels: never more attempts at once, or starts in a second, than were allowed."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
from asyncexec.backends.contract import Batch
from asyncexec.errors import OptionError
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.policies.retry import Retry
from asyncexec.simulation import Cluster, simulate
from asyncexec.testing.fates import Fate, RandomFates, Visit
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import virtual_time
from tests.instant_backend import InstantBackend


class Log:
    """The starts of attempts on workers, and how many ran at once, as the workers see it."""

    def __init__(self, fates: Any) -> None:
        self.fates = fates
        self.starts: dict[str, list[float]] = {}

    def __call__(self, visit: Visit) -> Fate | float:
        self.starts.setdefault(visit.stage, []).append(visit.at)
        fate: Fate | float = self.fates(visit)
        return fate

    def of(self, *stages: str) -> list[float]:
        return sorted(at for stage in stages for at in self.starts.get(stage, []))


class Watch:
    """The most attempts of some stages that were with a backend at once."""

    def __init__(self, *stages: str) -> None:
        self.stages = stages
        self.now = self.peak = 0

    def __call__(self, event: Any) -> None:
        kind = type(event).__name__
        if kind in ("AttemptStarted", "AttemptEnded") and event.attempt.stage in self.stages:
            self.now += 1 if kind == "AttemptStarted" else -1
            self.peak = max(self.peak, self.now)


def assert_paced(starts: list[float], per_second: float) -> None:
    """In no window, of any length, do more than rate * length + 1 start: any two starts are a gap apart."""
    for before, after in pairwise(starts):
        assert after - before >= 1 / per_second - 1e-9


@given(
    seed=st.integers(0, 10_000),
    rate=st.floats(0.1, 100.0),
    most=st.none() | st.integers(1, 4),
    slots=st.integers(1, 6),
    seconds=st.floats(0.0, 10.0),
    runs=st.integers(1, 3),
)
@virtual_time
async def test_no_window_has_more_starts_than_allowed_over_all_runs_of_an_engine(
    *, seed: int, rate: float, most: int | None, slots: int, seconds: float, runs: int
) -> None:
    log = Log(
        RandomFates(
            seconds=seconds, sigma=1.0, slow=0.2, failing=0.2, lost=0.1, spared_after=2, seed=seed
        )
    )
    watches = {"api": Watch("a", "b"), "b": Watch("b")}
    limits = {"api": ax.Limit(max_per_second=rate, max_at_once=most)}
    plan = Plan.map(int, range(8), name="free").then(int, name="a", labels=("api",))
    plan = plan.then(int, name="b", labels=["api"], max_at_once=2)
    async with ax.Engine(
        ModelBackend(log, slots=slots), limits=limits, observers=watches.values(), retry=9
    ) as engine:
        executions = [engine.start(plan) for _ in range(runs)]
        results = await asyncio.gather(*executions)
    assert all(result.value == list(range(8)) for result in results)
    assert_paced(log.of("a", "b"), rate)
    assert watches["api"].peak <= (most or 100)
    assert watches["b"].peak <= 2 * runs


@pytest.mark.parametrize("slots", [1, 4])
@virtual_time
async def test_a_pace_is_kept_and_used_to_the_full(slots: int) -> None:
    log = Log(lambda visit: 0.05)
    async with ax.Engine(ModelBackend(log, slots=slots)) as engine:
        await engine.execute(Plan.map(int, range(20), max_per_second=10))
    starts = log.of("int")
    assert_paced(starts, 10)
    assert starts[-1] - starts[0] == pytest.approx(1.9)


@virtual_time
async def test_attempts_that_wait_behind_long_ones_do_not_start_together() -> None:
    """Sent at the right pace, they would all start when the long ones end."""
    log = Log(lambda visit: 100.0 if visit.stage == "long" else 0.1)
    async with ax.Engine(ModelBackend(log, slots=4)) as engine:
        long = engine.start(Plan.map(int, range(8), name="long"))
        paced = engine.start(Plan.map(int, range(12), name="paced", max_per_second=2))
        await asyncio.gather(long, paced)
    assert_paced(log.of("paced"), 2)


@virtual_time
async def test_retries_and_backups_count() -> None:
    def fate(visit: Visit) -> Fate | float:
        if visit.number == 1 and visit.task % 3 == 0:
            return Fate(seconds=0.1, status=Status.FAILED, error=ConnectionError("once"))
        return 500.0 if visit.number == 1 and visit.task % 3 == 1 else 1.0

    log, watch = Log(fate), Watch("int")
    async with ax.Engine(
        ModelBackend(log, slots=8), retry=Retry(base_seconds=0.01), observers=[watch]
    ) as engine:
        result = await engine.execute(
            Plan.map(int, range(60), max_per_second=4, max_at_once=6), straggler="two_phase"
        )
    assert result.backups > 0
    assert result.retries > 0
    assert_paced(log.of("int"), 4)
    assert watch.peak <= 6


@virtual_time
async def test_a_stage_under_a_limit_lets_others_pass() -> None:
    log = Log(lambda visit: 1.0)
    async with ax.Engine(ModelBackend(log, slots=2)) as engine:
        paced = engine.start(Plan.map(int, range(4), name="paced", max_per_second=0.1))
        await engine.execute(Plan.map(int, range(30), name="free"))
        await paced
    assert log.of("free")[-1] < 20.0
    assert_paced(log.of("paced"), 0.1)


@virtual_time
async def test_a_task_that_must_run_alone_keeps_to_its_limit_without_holding_up_others() -> None:
    def fate(visit: Visit) -> Fate | float:
        if visit.stage == "paced" and visit.task == 1 and visit.number == 1:
            return Fate(seconds=1.0, status=Status.FAILED, error=MemoryError())
        return 1.0

    log = Log(fate)
    async with ax.Engine(ModelBackend(log, slots=2)) as engine:
        paced = engine.start(Plan.map(int, range(3), name="paced", max_per_second=0.01))
        await engine.execute(Plan.map(int, range(50), name="free"))
        await paced
    assert log.of("free")[-1] < 40.0
    assert_paced(log.of("paced"), 0.01)


async def test_limits_hold_on_threads() -> None:
    running, peak = 0, 0
    lock = asyncio.Lock()

    def task(x: int) -> int:
        nonlocal running, peak
        running += 1
        peak = max(peak, running)
        running -= 1
        return x

    limits = {"one": ax.Limit(max_at_once=1)}
    async with (
        lock,
        ax.Engine("threads", executor_options={"max_workers": 4}, limits=limits) as engine,
    ):
        plan = Plan.map(task, range(100), labels=("one",))
        first, second = await asyncio.gather(engine.execute(plan), engine.execute(plan))
    assert first.value == second.value == list(range(100))
    assert peak == 1


async def test_what_is_not_limited_travels_in_batches_as_ever() -> None:
    batches: list[Batch] = []

    class Counting(InstantBackend):
        async def map(self, taken: Any) -> Any:
            async def counted() -> Any:
                async for batch in taken:
                    batches.append(batch)
                    yield batch

            async for reports in super().map(counted()):
                yield reports

    async with ax.Engine(Counting()) as engine:
        await engine.execute(Plan.map(abs, range(10_000)))
        free = len(batches)
        await engine.execute(Plan.map(abs, range(50), max_at_once=3))
    assert free < 500
    assert len(batches) - free == 50


def test_a_simulation_keeps_limits_too() -> None:
    plan = Plan.map(int, range(100), max_per_second=2)
    run = simulate(plan, Cluster(workers=50), durations=1.0)
    assert run.makespan_seconds == pytest.approx(99 / 2 + 1.0)
    shared = Plan.map(int, range(100), labels=("api",))
    run = simulate(
        shared, Cluster(workers=50), durations=1.0, limits={"api": ax.Limit(max_at_once=10)}
    )
    assert run.makespan_seconds == pytest.approx(10.0)


@pytest.mark.parametrize(
    "options, says",
    [
        ({"max_at_once": 0}, "max_at_once must be a whole number of at least 1, not 0"),
        ({"max_at_once": 1.5}, "max_at_once must be a whole number"),
        ({"max_at_once": True}, "max_at_once must be a whole number"),
        ({"max_per_second": 0}, "max_per_second must be a number above 0"),
        ({"max_per_second": float("inf")}, "max_per_second must be a number above 0"),
        ({"max_per_second": "3"}, "max_per_second must be a number above 0"),
        ({"labels": "api"}, "labels must be a list of texts"),
        ({"labels": (1,)}, "labels must be a list of texts"),
        ({"labels": 3}, "labels must be a list of texts"),
    ],
)
def test_limits_that_cannot_be_are_refused(options: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        Plan.map(int, [1], **options)


@pytest.mark.parametrize(
    "limits, says",
    [
        ({"api": 3}, r"limits\['api'\] must be a Limit"),
        ({"": ax.Limit(max_at_once=1)}, "is no label"),
        ([ax.Limit(max_at_once=1)], "limits must map labels to Limit"),
    ],
)
def test_limits_of_an_engine_that_cannot_be_are_refused(limits: Any, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        ax.Engine("serial", limits=limits)


async def test_a_label_that_is_no_limit_is_refused_before_anything_runs() -> None:
    async with ax.Engine("serial", limits={"api": ax.Limit(max_at_once=1)}) as engine:
        with pytest.raises(OptionError, match=r"'apl' .*did you mean 'api'"):
            await engine.execute(Plan.map(int, [1], labels=("apl",)))
    with pytest.raises(OptionError, match="give max_at_once or max_per_second"):
        ax.Limit()


async def test_a_label_without_any_limits_is_told_how_limits_are_given() -> None:
    async with ax.Engine("serial") as engine:
        with pytest.raises(
            OptionError, match=r"give Engine\(limits=\{'api': ax\.Limit\(\.\.\.\)\}\)"
        ):
            await engine.execute(Plan.map(int, [1], labels=("api",)))
