"""Items that come from generators: read while the plan runs, no further ahead than there is room for."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
from asyncexec.errors import InputError, OptionError, TaskFailedError, UsageError
from asyncexec.events.records import PlanStarted, StageGrew, StageSized
from asyncexec.plan import Plan
from asyncexec.policies.retry import Retry
from asyncexec.simulation import Cluster, simulate
from asyncexec.testing.fates import RandomFates
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import virtual_time
from tests.instant_backend import InstantBackend

pytestmark = pytest.mark.usefixtures("functions_by_value")


def double(x: int) -> int:
    return 2 * x


class Numbers:
    """Numbers from 0, as a generator that notes how far it was read and whether it was closed."""

    def __init__(self, stop: int | None = None, *, fails_at: int | None = None) -> None:
        self.stop = stop
        self.fails_at = fails_at
        self.read = 0
        self.closed = False

    def plain(self) -> Iterator[int]:
        try:
            for n in itertools.count() if self.stop is None else range(self.stop):
                if n == self.fails_at:
                    raise OSError("the disk is gone")
                self.read = n + 1
                yield n
        finally:
            self.closed = True

    async def later(self) -> AsyncIterator[int]:
        try:
            for n in itertools.count() if self.stop is None else range(self.stop):
                if n == self.fails_at:
                    raise OSError("the disk is gone")
                self.read = n + 1
                if n % 3 == 0:
                    await asyncio.sleep(0)
                yield n
        finally:
            self.closed = True


KINDS = pytest.mark.parametrize("kind", ["plain", "later"])


@KINDS
@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
@pytest.mark.parametrize("n", [0, 1, 300])
async def test_the_items_of_a_generator_are_mapped_in_order(
    executor: str, kind: str, n: int
) -> None:
    async with ax.Engine(executor) as engine:
        mapped = await engine.execute(Plan.map(double, getattr(Numbers(n), kind)()))
        numbers = Numbers(n)
        chain = Plan.map(double, getattr(numbers, kind)()).then(float).then(str).reduce(len)
        reduced = await engine.execute(chain)
    assert mapped.value == [2 * i for i in range(n)]
    assert reduced.value == n
    assert numbers.closed
    assert [(s.tasks, s.completed, s.late) for s in reduced.stages] == [
        *3 * [(n, n, False)],
        (1, 1, False),
    ]


async def test_iterables_are_taken_side_by_side_whatever_they_are() -> None:
    async with ax.Engine("threads") as engine:
        plan = Plan.map(lambda a, b, c: (a, b, c), Numbers(3).plain(), Numbers(3).later(), "abc")
        assert (await engine.execute(plan)).value == [(0, 0, "a"), (1, 1, "b"), (2, 2, "c")]
        with pytest.raises(InputError, match=r"item 3 could not be read.* must be of equal length"):
            await engine.execute(Plan.map(pow, Numbers(4).plain(), [1, 2, 3]))


@KINDS
@virtual_time
async def test_a_generator_is_read_no_further_ahead_than_there_is_room(kind: str) -> None:
    numbers = Numbers()
    ahead: list[int] = []
    async with ax.Engine(ModelBackend(1.0, slots=3)) as engine:
        done = 0
        async for value in engine.results(Plan.map(double, getattr(numbers, kind)())):
            done += 1
            ahead.append(numbers.read - done)
            if value == 200:
                break
    assert max(ahead) <= 3 * 3 * 3  # three slots, with two batches each, and as many again to come
    assert numbers.closed


@virtual_time
async def test_a_slow_stage_of_a_chain_slows_the_reading() -> None:
    numbers = Numbers()
    async with ax.Engine(ModelBackend(lambda v: 0.1 if v.stage == "double" else 1.0)) as engine:
        plan = Plan.map(double, numbers.plain()).then(float, max_per_second=0.5)
        execution = engine.start(plan)
        await asyncio.sleep(100.0)
        assert execution.progress.completed > 50
        assert numbers.read <= 50 + 20 * 4
        execution.cancel()
        with suppress(asyncio.CancelledError):
            await execution
    assert numbers.closed


@KINDS
@virtual_time
async def test_a_generator_that_fails_ends_the_run_and_says_where(kind: str) -> None:
    numbers = Numbers(fails_at=7)
    async with ax.Engine(ModelBackend(1.0)) as engine:
        plan = Plan.map(double, getattr(numbers, kind)(), name="doubled", on_failure="keep")
        with pytest.raises(InputError) as caught:
            await engine.execute(plan)
    error = caught.value
    assert (error.plan, error.stage, error.item) == ("doubled", "doubled", 7)
    assert str(error) == (
        "plan 'doubled', stage 'doubled': item 7 could not be read from what gives its items: "
        "OSError: the disk is gone"
    )
    assert isinstance(error.__cause__, OSError)
    assert numbers.closed


@KINDS
async def test_a_generator_is_closed_when_the_run_fails(kind: str) -> None:
    def fail_at_five(x: int) -> int:
        if x == 5:
            raise ValueError("five")
        return x

    numbers = Numbers()
    async with ax.Engine("threads") as engine:
        with pytest.raises(TaskFailedError) as caught:
            await engine.execute(Plan.map(fail_at_five, getattr(numbers, kind)()))
    assert caught.value.index == (5,)
    assert numbers.closed


async def test_a_generator_that_blocks_holds_up_neither_the_loop_nor_the_end() -> None:
    may_go_on = threading.Event()
    closed = threading.Event()

    def blocking() -> Iterator[int]:
        try:
            yield 1
            may_go_on.wait()
            yield 2
        finally:
            closed.set()

    async with ax.Engine("threads") as engine:
        execution = engine.start(Plan.map(double, blocking()))
        while not execution.progress.completed:
            await asyncio.sleep(0)
        execution.cancel()
        with pytest.raises(asyncio.CancelledError):
            await execution
        assert (await engine.execute(Plan.map(double, [1]))).value == [2]
    assert not closed.is_set()
    may_go_on.set()
    assert await asyncio.to_thread(closed.wait, 30.0)


@pytest.mark.parametrize("make", [Numbers(5).plain, Numbers(5).later, lambda: map(int, "012")])
async def test_a_second_execution_of_a_plan_of_a_generator_is_refused(make: Any) -> None:
    plan = Plan.map(double, make(), name="doubled")
    async with ax.Engine("serial") as engine:
        await engine.execute(plan)
        with pytest.raises(
            UsageError, match=r"plan 'doubled', stage 'doubled': .*gone through once"
        ):
            await engine.execute(plan)


async def test_what_can_be_gone_through_again_may_run_again() -> None:
    class Again:
        def __iter__(self) -> Iterator[int]:
            return iter((1, 2, 3))

    plan = Plan.map(double, Again())
    async with ax.Engine("serial") as engine:
        for _ in range(2):
            assert (await engine.execute(plan)).value == [2, 4, 6]


async def test_a_generator_cannot_be_resumed() -> None:
    async with ax.Engine("serial") as engine:
        with pytest.raises(OptionError, match="resume=True is for items that are known"):
            await engine.execute(Plan.map(double, Numbers(3).plain()), resume=True)


async def test_observers_see_a_stage_grow() -> None:
    events: list[Any] = []
    async with ax.Engine("threads", observers=[events.append, ax.Summary()]) as engine:
        await engine.execute(Plan.map(double, Numbers(500).plain()).then(float))
    (started,) = (e for e in events if isinstance(e, PlanStarted))
    assert [(s.tasks, s.grows) for s in started.stages] == [(0, True), (0, True)]
    grew = [e.tasks for e in events if isinstance(e, StageGrew) and e.stage == "double"]
    assert grew == sorted(grew)
    assert grew[-1] == 500
    assert [(e.stage, e.tasks, e.shape) for e in events if isinstance(e, StageSized)] == [
        ("double", 500, (500,)),
        ("float", 500, (500,)),
    ]


@pytest.mark.parametrize("barriers", [False, True])
@given(
    seed=st.integers(0, 10_000), n=st.integers(0, 60), slots=st.integers(1, 5), long=st.booleans()
)
@virtual_time
async def test_whatever_happens_a_generator_gives_what_a_list_gives(
    *, seed: int, n: int, slots: int, long: bool, barriers: bool
) -> None:
    fates = RandomFates(
        seconds=5.0 if long else 0.001, sigma=1.0, slow=0.2, failing=0.2, lost=0.1, seed=seed,
        spared_after=2,
    )  # fmt: skip
    plan = Plan.map(int, Numbers(n).plain(), on_failure="keep").then(double).then(int, name="last")
    async with ax.Engine(ModelBackend(fates, slots=slots)) as engine:
        result = await engine.execute(plan, retry=Retry(attempts=9), barriers=barriers)
        summed = await engine.execute(Plan.map(int, Numbers(n).plain(), retry=9).reduce(sum))
    assert result.value == [2 * i for i in range(n)]
    assert summed.value == sum(range(n))


def test_a_plan_says_that_its_items_come() -> None:
    plan = Plan.map(double, Numbers().plain()).then(float)
    assert "as many as items come" in str(plan)
    assert "items (generator)" in str(plan)
    assert repr(plan) == "<Plan 'double': 2 stages, at least 0 tasks>"
    plan.visualize()


def test_a_simulation_is_given_the_number_of_items() -> None:
    plan = Plan.map(double, Numbers().plain()).then(float).reduce(sum)
    with pytest.raises(OptionError, match=r"late_tasks=\{'double': 100\}"):
        simulate(plan, Cluster(workers=2))
    run = simulate(plan, Cluster(workers=2), durations=1.0, late_tasks={"double": 10})
    assert (run.attempts, run.makespan_seconds) == (21, 11.0)


class Item:
    """An object that is counted as long as it is there."""

    alive = 0

    def __init__(self) -> None:
        Item.alive += 1

    def __del__(self) -> None:
        Item.alive -= 1


def _passes(item: Item) -> Item:
    return item


@pytest.mark.parametrize(
    "total, ordered",
    [
        (30_000, True),
        (30_000, False),
        pytest.param(1_000_001, True, marks=pytest.mark.slow),
        pytest.param(1_000_001, False, marks=pytest.mark.slow),
    ],
)
async def test_an_endless_generator_runs_in_bounded_memory(total: int, ordered: bool) -> None:
    made: Callable[[], Iterator[Item]] = lambda: (Item() for _ in itertools.count())  # noqa: E731 - a line is enough
    Item.alive, most, objects = 0, 0, []
    async with ax.Engine(InstantBackend(computes=True)) as engine:
        plan = Plan.map(_passes, made()).then(_passes)
        taken = 0
        async for value in engine.results(plan, ordered=ordered):
            del value
            taken += 1
            most = max(most, Item.alive)
            if taken in (total // 3, total):
                gc.collect()
                objects.append(len(gc.get_objects()))
            if taken == total:
                break
        gc.collect()
    assert most < 12_000
    assert objects[1] < objects[0] + 12_000
