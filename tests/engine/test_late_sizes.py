"""Maps over a value: the number of tasks is known when another task has ended."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import asyncexec as ax
from asyncexec.errors import InputError, StageSizeError, TaskFailedError
from asyncexec.events.records import (
    AnyEvent,
    AttemptStarted,
    PlanStarted,
    StageSized,
    TaskSucceeded,
)
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.patience import scaled
from asyncexec.testing.virtual_time import run
from tests.instant_backend import InstantBackend

pytestmark = pytest.mark.usefixtures("functions_by_value")

EXECUTORS = ("serial", "threads", "processes")


def numbers(n: int) -> list[int]:
    return list(range(n))


def double(x: int) -> int:
    return 2 * x


def halves(x: int) -> list[int]:
    return [x // 2] * 2


def chain(n: int) -> ax.Plan:
    return ax.Plan.call(numbers, n).then_each(double).then(double, name="again").reduce(sum)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("n", [0, 1, 10])
async def test_a_map_over_a_value_calls_the_function_with_each_item(executor: str, n: int) -> None:
    async with ax.Engine(executor=executor) as engine:
        result = await engine.execute(chain(n))
        listed = await engine.execute(ax.Plan.call(numbers, n).then_each(double))
    assert result.value == sum(4 * i for i in range(n))
    assert listed.value == [2 * i for i in range(n)]
    assert [(s.name, s.tasks, s.completed) for s in result.stages] == [
        ("numbers", 1, 1),
        ("double", n, n),
        ("again", n, n),
        ("sum", 1, 1),
    ]
    assert result.tasks == 2 + 2 * n


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_maps_over_values_nest(executor: str) -> None:
    plan = (
        ax.Plan.call(numbers, 3)
        .then_each(double)
        .reduce(list)
        .then_each(halves)
        .reduce(len, name="n")
        .then(numbers, name="more")
        .then_each(double, name="last")
    )
    async with ax.Engine(executor=executor) as engine:
        assert (await engine.execute(plan)).value == [0, 2, 4]


async def test_a_hundred_thousand_items() -> None:
    async with ax.Engine(executor="threads") as engine:
        result = await engine.execute(chain(100_000))
    assert result.value == 2 * 99_999 * 100_000
    assert result.tasks == 200_002


class Footprint:
    """Measures what a run holds, when stages are sized and after a number of tasks, and stops it then."""

    def __init__(self, tasks: int) -> None:
        self.left = tasks
        self.execution: ax.Execution | None = None
        self.objects: list[int] = []
        self.bytes: list[int] = []

    def observe(self, events: Sequence[AnyEvent]) -> None:
        for event in events:
            self.left -= isinstance(event, TaskSucceeded)
            ends = self.left == 0 and isinstance(event, TaskSucceeded)
            if ends or isinstance(event, StageSized):
                gc.collect()
                self.objects.append(len(gc.get_objects()))
                self.bytes.append(tracemalloc.get_traced_memory()[0])
            if self.left <= 0 and self.execution is not None:
                self.execution.cancel()


async def test_a_million_items_that_wait_take_no_room_each() -> None:
    footprint = Footprint(tasks=2_000)
    plan = ax.Plan.call(range, 1_000_000).then_each(double).then(double, name="again").reduce(sum)
    tracemalloc.start()
    try:
        async with ax.Engine(executor=InstantBackend(computes=True)) as engine:
            before = len(gc.get_objects()), tracemalloc.get_traced_memory()[0]
            footprint.execution = engine.start(plan, observers=[footprint])
            with pytest.raises(asyncio.CancelledError):
                await footprint.execution
    finally:
        tracemalloc.stop()
    assert footprint.execution.progress.tasks == 2_000_002
    assert len(footprint.objects) == 4
    # Of a million items, each would be at least one object, or some bytes.
    assert max(footprint.objects) - before[0] < 5_000
    assert max(footprint.bytes) - before[1] < 2_000_000


@pytest.mark.parametrize("barriers", [False, True])
async def test_barriers_give_the_same(barriers: bool) -> None:
    async with ax.Engine(executor="threads") as engine:
        assert (await engine.execute(chain(50), barriers=barriers)).value == 4 * 49 * 25


async def test_events_count_every_task_after_its_stage_has_a_size() -> None:
    async with ax.Engine(executor="threads") as engine:
        events = [event async for event in engine.stream(chain(20))]
    started = events[0]
    assert isinstance(started, PlanStarted)
    assert [(s.name, s.tasks, s.waits_for) for s in started.stages] == [
        ("numbers", 1, ()),
        ("double", 0, ("numbers",)),
        ("again", 0, ("numbers",)),
        ("sum", 1, ("numbers",)),
    ]
    sized = {e.stage: e.tasks for e in events if isinstance(e, StageSized)}
    assert sized == {"double": 20, "again": 20, "sum": 1}
    succeeded = [e.attempt for e in events if isinstance(e, TaskSucceeded)]
    assert len({(a.stage, a.task) for a in succeeded}) == len(succeeded) == 42
    at = {e.stage: i for i, e in enumerate(events) if isinstance(e, StageSized)}
    first = {
        stage: min(
            i
            for i, e in enumerate(events)
            if isinstance(e, AttemptStarted) and e.attempt.stage == stage
        )
        for stage in sized
    }
    assert all(at[stage] < first[stage] for stage in sized)


async def test_progress_grows_with_what_is_known() -> None:
    go = threading.Event()

    def waits(x: int) -> int:
        go.wait(scaled(60))
        return x

    async with ax.Engine(executor="threads", executor_options={"max_workers": 2}) as engine:
        execution = engine.start(ax.Plan.call(numbers, 5).then_each(waits))
        assert execution.progress.tasks == 1
        while execution.progress.tasks == 1:
            await asyncio.sleep(0.001)
        assert (execution.progress.tasks, execution.progress.completed) == (6, 1)
        go.set()
        await execution
        assert execution.progress.fraction == 1.0


def generated(n: int) -> Iterator[int]:
    return (i for i in range(n))


class TooShort:
    """Has a length that is not that of what it gives."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])


class Broken(Sequence[int]):
    """Cannot give its third item."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, position: Any) -> Any:
        if position == 2:
            raise KeyError("gone")
        return position


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_a_value_that_gives_fewer_items_than_its_length_ends_the_run(executor: str) -> None:
    async with ax.Engine(executor=executor) as engine:
        with pytest.raises(
            StageSizeError,
            match="maps over items: the value of 'TooShort', of type TooShort, has the length 3",
        ):
            await engine.execute(ax.Plan.call(TooShort).then_each(double).reduce(sum))
        assert (await engine.execute(chain(2))).value == 4


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("executor", EXECUTORS)
async def test_an_item_that_a_sequence_cannot_give_ends_the_run_and_no_other(
    executor: str, late: bool
) -> None:
    plan = ax.Plan.call(Broken).then_each(double) if late else ax.Plan.map(double, Broken())
    async with ax.Engine(executor=executor) as engine:
        other = engine.start(chain(20))
        with pytest.raises(InputError, match="stage 'double': item 2 could not be taken") as info:
            await engine.execute(plan)
        assert isinstance(info.value.__cause__, KeyError)
        assert (await other).value == 4 * sum(range(20))
        assert (await engine.execute(chain(2))).value == 4


@pytest.mark.parametrize("function", [generated, float, lambda n: None])
async def test_a_value_without_a_length_ends_the_run_and_says_what_to_return(function: Any) -> None:
    plan = ax.Plan.call(function, 3, name="values").then_each(double)
    async with ax.Engine(executor="threads") as engine:
        with pytest.raises(StageSizeError, match="'double' maps over the value of 'values', which"):
            await engine.execute(plan)
        assert (await engine.execute(chain(3))).value == 12


async def test_a_failure_of_what_gives_the_size_is_a_failure_of_its_task() -> None:
    async with ax.Engine(executor="threads", retry=False) as engine:
        with pytest.raises(TaskFailedError, match="stage 'int'"):
            await engine.execute(ax.Plan.call(int, "x").then_each(double))


def test_a_map_goes_on_item_by_item_in_virtual_time() -> None:
    async def order() -> list[str]:
        backend = ModelBackend(1.0, slots=2)
        async with ax.Engine(executor=backend) as engine:
            await engine.execute(chain(10))
        return [visit.stage for visit in backend.ledger.visits]

    stages = run(order())
    assert stages[0] == "numbers"
    last_item = len(stages) - 1 - stages[::-1].index("double")
    assert stages.index("again") < last_item


class Slow(list[int]):
    """A list whose length takes a while to find."""

    asked = threading.Event()
    go = threading.Event()

    def __len__(self) -> int:
        Slow.asked.set()
        Slow.go.wait(scaled(60))
        return super().__len__()


async def test_a_run_that_is_cancelled_while_a_size_is_found_ends_when_it_is_found() -> None:
    async with ax.Engine(executor="threads") as engine:
        execution = engine.start(ax.Plan.call(Slow, [1, 2]).then_each(double))
        while not Slow.asked.is_set():
            await asyncio.sleep(0.001)
        execution.cancel()
        await asyncio.sleep(0)
        assert not execution.done
        Slow.go.set()
        with pytest.raises(asyncio.CancelledError):
            await execution
        assert execution.done


async def test_functions_of_late_stages_that_cannot_travel_are_refused_before_anything_runs() -> (
    None
):
    lock = threading.Lock()
    ran: list[int] = []
    plan = ax.Plan.call(ran.append, 1).then_each(lambda x: lock)
    async with ax.Engine(executor="processes") as engine:
        with pytest.raises(ax.errors.SerializationError, match="cannot be pickled"):
            await engine.execute(plan)


async def test_retries_and_policies_hold_for_late_stages() -> None:
    seen: set[int] = set()

    def flaky(x: int) -> int:
        if x not in seen:
            seen.add(x)
            raise ConnectionError("again")
        return x

    plan = ax.Plan.call(numbers, 30).then_each(flaky, retry=ax.Retry(base_seconds=0.001))
    async with ax.Engine(executor="threads", retry=False) as engine:
        result = await engine.execute(plan)
    assert result.value == list(range(30))
    assert result.retries == 30
