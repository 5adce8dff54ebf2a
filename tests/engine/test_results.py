"""Values as they come: in order or not, with a loop that may be slow, end early or see a failure."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import OptionError, TaskFailedError
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.policies.retry import Retry
from asyncexec.testing.fates import Fate, RandomFates, Visit
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import virtual_time

pytestmark = pytest.mark.usefixtures("functions_by_value")

QUICK = Retry(base_seconds=0.001)


def double(x: int) -> int:
    return 2 * x


async def taken(values: AsyncIterator[Any]) -> list[Any]:
    return [value async for value in values]


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
@pytest.mark.parametrize("ordered", [True, False])
async def test_all_values_come(executor: str, ordered: bool) -> None:
    async with ax.Engine(executor) as engine:
        mapped = await taken(engine.results(Plan.map(double, range(500)), ordered=ordered))
        chain = Plan.map(double, range(500)).then(float).then(int)
        chained = await taken(engine.results(chain, ordered=ordered))
        nothing = await taken(engine.results(Plan.map(double, []), ordered=ordered))
        one = await taken(engine.results(Plan.map(double, range(5)).reduce(sum), ordered=ordered))
        each = Plan.call(range, 50).then_each(double).then(str)
        late = await taken(engine.results(each, ordered=ordered))
    expected = [2 * i for i in range(500)]
    assert (mapped if ordered else sorted(mapped)) == expected
    assert (chained if ordered else sorted(chained)) == expected
    assert sorted(late, key=int) == [str(2 * i) for i in range(50)]
    assert (nothing, one) == ([], [20])


@virtual_time
async def test_values_come_before_the_run_ends_in_order_or_as_they_are_there() -> None:
    def fate(visit: Visit) -> float:
        return 10.0 if visit.task == 0 else 1.0

    loop = asyncio.get_running_loop()
    async with ax.Engine(ModelBackend(fate, slots=2), straggler="off") as engine:
        start = loop.time()
        came = [
            (value, loop.time() - start)
            async for value in engine.results(Plan.map(int, range(6)), ordered=False)
        ]
        assert came == [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0), (5, 5.0), (0, 10.0)]
        start = loop.time()
        came = [
            (value, loop.time() - start) async for value in engine.results(Plan.map(int, range(6)))
        ]
        assert came == [(n, 10.0) for n in range(6)]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("buffer", [1, 3, None])
@virtual_time
async def test_a_slow_loop_slows_the_run(ordered: bool, buffer: int | None) -> None:
    backend = ModelBackend(0.1, slots=2)
    async with ax.Engine(backend) as engine:
        plan = Plan.map(int, range(10_000)).then(double)
        taken = 0
        async for _ in engine.results(plan, ordered=ordered, buffer=buffer):
            taken += 1
            started = sum(visit.stage == "int" for visit in backend.ledger.visits)
            assert started - taken <= (buffer or 8)
            await asyncio.sleep(5.0)
            if taken == 30:
                break
    assert sum(backend.ledger.effects.values()) < 100


@virtual_time
async def test_leaving_the_loop_stops_the_work() -> None:
    backend = ModelBackend(1.0, slots=4)
    async with ax.Engine(backend) as engine:
        values = engine.results(Plan.map(int, itertools.count()))
        async for value in values:
            if value == 10:
                break
        await values.aclose()  # type: ignore[attr-defined] # an async generator
        started = len(backend.ledger.visits)
        await asyncio.sleep(100.0)
        assert len(backend.ledger.visits) == started
        assert repr(engine).endswith("0 executions running>")


@virtual_time
async def test_closing_the_engine_ends_a_loop_that_was_forgotten() -> None:
    async with ax.Engine(ModelBackend(1.0)) as engine:
        values = engine.results(Plan.map(int, itertools.count()))
        assert await anext(values) == 0
    with pytest.raises(asyncio.CancelledError):
        await taken(values)


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_failure_comes_after_the_values_before_it(ordered: bool) -> None:
    def fails_at_five(x: int) -> int:
        if x == 5:
            raise ValueError("five")
        return x

    async with ax.Engine("serial") as engine:
        values = engine.results(Plan.map(fails_at_five, range(9)), ordered=ordered)
        came = [await anext(values) for _ in range(5)]
        with pytest.raises(TaskFailedError) as caught:
            await anext(values)
    assert came == [0, 1, 2, 3, 4]
    assert caught.value.index == (5,)


async def test_a_failure_that_is_kept_is_a_value() -> None:
    def odd(x: int) -> int:
        return x if x % 2 else 1 // 0

    plan = Plan.map(odd, range(6), on_failure="keep", retry=False).then(float)
    async with ax.Engine("threads") as engine:
        values = await taken(engine.results(plan))
    assert [value or value.error.index for value in values] == [(0,), 1.0, (2,), 3.0, (4,), 5.0]


@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_large_values_are_handed_over_whole(executor: str) -> None:
    plan = Plan.map(np.full, [50_000] * 20, range(20)).then(np.negative)
    async with ax.Engine(executor) as engine:
        number = 0
        async for value in engine.results(plan, value_threshold="64kB"):
            assert (value == -number).all()
            number += 1
    assert number == 20


@given(
    seed=st.integers(0, 10_000),
    n=st.integers(0, 40),
    slots=st.integers(1, 5),
    ordered=st.booleans(),
    buffer=st.none() | st.integers(1, 6),
    pause=st.sampled_from([0.0, 0.5, 20.0]),
)
@virtual_time
async def test_every_value_comes_once_whatever_happens(
    *, seed: int, n: int, slots: int, ordered: bool, buffer: int | None, pause: float
) -> None:
    fates = RandomFates(sigma=1.0, slow=0.2, failing=0.2, lost=0.1, spared_after=2, seed=seed)
    came: list[int] = []
    plan = Plan.map(int, (i for i in range(n))).then(double).then(int, name="last")
    async with ax.Engine(ModelBackend(fates, slots=slots), retry=Retry(attempts=9)) as engine:
        async for value in engine.results(plan, ordered=ordered, buffer=buffer):
            came.append(value)
            await asyncio.sleep(pause)
    assert (came if ordered else sorted(came)) == [2 * i for i in range(n)]


@virtual_time
async def test_a_task_that_is_tried_again_is_not_held_back_by_those_after_it() -> None:
    def fate(visit: Visit) -> Fate | float:
        if visit.task == 0 and visit.number < 3:
            return Fate(seconds=5.0, status=Status.FAILED, error=ConnectionError("again"))
        return 0.1

    async with ax.Engine(ModelBackend(fate, slots=2), retry=QUICK, straggler="off") as engine:
        plan = Plan.map(int, range(50)).then(double)
        assert await taken(engine.results(plan, buffer=2)) == [2 * i for i in range(50)]


@pytest.mark.parametrize(
    "make, options, says",
    [
        (lambda: Plan.map(int, [1]), {"ordered": "no"}, "ordered must be True or False"),
        (lambda: Plan.map(int, [1]), {"buffer": 0}, "buffer must be a whole number of at least 1"),
        (lambda: Plan.map(int, [1]), {"observer": []}, "did you mean 'observers'"),
        (lambda: xp.ones(4).to_plan(), {}, "has arrays: use execute"),
        (lambda: Plan(Plan.map(int, [1]).stages, returns=()), {}, "has 0 results"),
        (lambda: Plan(Plan.map(int, [1]).then(abs).stages, returns=["int"]), {}, "is read"),
    ],
)
async def test_what_cannot_be_handed_over_is_refused(make: Any, options: Any, says: str) -> None:
    async with ax.Engine("serial") as engine:
        with pytest.raises(OptionError, match=says):
            await taken(engine.results(make(), **options))
