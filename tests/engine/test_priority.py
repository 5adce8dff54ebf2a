"""Priority between executions that share an engine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
from asyncexec.errors import OptionError
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.testing.fates import Fate, RandomFates, Visit
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import virtual_time


class Log:
    """The order in which attempts started."""

    def __init__(self, fates: Any) -> None:
        self.fates = fates
        self.order: list[tuple[str, float]] = []

    def __call__(self, visit: Visit) -> Fate | float:
        self.order.append((visit.stage, visit.at))
        fate: Fate | float = self.fates(visit) if callable(self.fates) else self.fates
        return fate

    def last(self, stage: str) -> float:
        return max(at for name, at in self.order if name == stage)


@virtual_time
async def test_a_higher_priority_goes_first_whenever_it_comes() -> None:
    log = Log(1.0)
    async with ax.Engine(ModelBackend(log, slots=2)) as engine:
        low = engine.start(Plan.map(int, range(50), name="low"), priority=-1)
        await asyncio.sleep(5.5)
        usual = engine.start(Plan.map(int, range(20), name="usual"))
        high = engine.start(Plan.map(int, range(20), name="high"), priority=10)
        await asyncio.gather(low, usual, high)
    order = [
        name for name, at in log.order if at > 8.0
    ]  # what was sent before cannot be taken back
    assert order == sorted(order, key=["high", "usual", "low"].index)


@virtual_time
async def test_equals_take_turns() -> None:
    log = Log(1.0)
    async with ax.Engine(ModelBackend(log, slots=2)) as engine:
        runs = [engine.start(Plan.map(int, range(20), name=n), priority=3) for n in "ab"]
        runs.append(engine.start(Plan.map(int, range(20), name="c")))
        await asyncio.gather(*runs)
    first = [name for name, _ in log.order[:40]]
    assert 8 <= first[:20].count("a") <= 12
    assert "c" not in first[4:36]


@virtual_time
async def test_memory_that_a_higher_priority_waits_for_is_not_taken_by_a_lower_one() -> None:
    log = Log(1.0)
    async with ax.Engine(ModelBackend(log, slots=8), memory=1000) as engine:
        low = engine.start(Plan.map(int, range(300), name="low", memory=300))
        await asyncio.sleep(0.5)
        high = engine.start(Plan.map(int, range(2), name="high", memory=900), priority=1)
        await asyncio.gather(low, high)
    assert log.last("high") <= 2.0


@virtual_time
async def test_a_resource_that_a_higher_priority_waits_for_is_not_taken_by_a_lower_one() -> None:
    log = Log(lambda visit: 1.0 + visit.task % 3 / 3)  # so that they do not end together
    async with ax.Engine(ModelBackend(log, slots=8), resources={"gpus": 2}) as engine:
        low = engine.start(Plan.map(int, range(40), name="low", resources={"gpus": 1}))
        await asyncio.sleep(0.5)
        high = engine.start(Plan.map(int, range(2), name="high", resources={"gpus": 2}), priority=1)
        free = engine.start(Plan.map(int, range(8), name="free"))
        await asyncio.gather(low, high, free)
    assert log.last("high") <= 4.0
    assert log.last("free") <= 3.0  # it takes no gpus, so it does not wait


@pytest.mark.parametrize("priority", [-1, 1])
@virtual_time
async def test_a_task_that_must_run_alone_gets_its_turn_whatever_its_priority(
    priority: int,
) -> None:
    def fate(visit: Visit) -> Fate | float:
        if visit.stage == "big" and visit.number == 1:
            return Fate(seconds=1.0, status=Status.FAILED, error=MemoryError())
        return 1.0

    log = Log(fate)
    async with ax.Engine(ModelBackend(log, slots=2), memory=1000) as engine:
        big = engine.start(Plan.map(int, range(2), name="big", memory=10), priority=priority)
        others = engine.start(Plan.map(int, range(30), name="others", memory=400))
        results = await asyncio.gather(big, others)
    assert [len(result.value) for result in results] == [2, 30]


@given(
    seed=st.integers(0, 10_000),
    priorities=st.lists(st.integers(-3, 3), min_size=2, max_size=5),
    slots=st.integers(1, 5),
    memory=st.integers(100, 400),
)
@virtual_time
async def test_whatever_the_priorities_everything_ends(
    seed: int, priorities: list[int], slots: int, memory: int
) -> None:
    fates = RandomFates(
        sigma=1.0, failing=0.2, lost=0.1, slow=0.1, error=MemoryError(), spared_after=2, seed=seed
    )
    async with ax.Engine(
        ModelBackend(fates, slots=slots), memory=memory, resources={"gpus": 2}
    ) as engine:
        runs = [
            engine.start(
                Plan.map(int, range(10), memory=20 * (n % 5) + 5, resources={"gpus": n % 3}),
                priority=priority,
                retry=9,
            )
            for n, priority in enumerate(priorities)
        ]
        results = await asyncio.gather(*runs)
    assert all(result.value == list(range(10)) for result in results)


@pytest.mark.parametrize("priority", ["high", 1.5, True])
async def test_a_priority_that_is_no_whole_number_is_refused(priority: Any) -> None:
    async with ax.Engine("serial") as engine:
        with pytest.raises(OptionError, match="priority must be a whole number"):
            engine.start(Plan.map(int, [1]), priority=priority)
