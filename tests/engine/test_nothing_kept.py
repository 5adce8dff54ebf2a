"""Nothing of a run is kept alive once its caller has let go of it: functions, items, values, errors, executions."""

import asyncio
import contextlib
import gc
import logging
import weakref

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import TaskFailedError
from tests.sampling import sampled


class Value:
    """Something that a weak reference can be made to."""

    def __abs__(self):
        return Value()


class ItFailsError(ValueError):
    """Of Python, so that a weak reference can be made to it."""


class Function:
    def __init__(self, *, fails):
        self.fails = fails

    def __call__(self, item):
        if self.fails:
            raise ItFailsError("it fails")
        return abs(item)


class AwaitedFunction(Function):
    async def __call__(self, item):
        return super().__call__(item)


async def succeeds(engine, plan):
    return (await engine.execute(plan)).value


async def fails(engine, plan):
    try:
        await engine.execute(plan)
    except TaskFailedError as error:
        return [error, error.__cause__]


async def fails_unseen(engine, plan):
    with contextlib.suppress(TaskFailedError):
        await engine.execute(plan)
    return []


async def fails_as_execution(engine, plan):
    execution = engine.start(plan)
    try:
        await execution
    except TaskFailedError:
        return [execution]


async def is_streamed(engine, plan):
    async for _ in engine.stream(plan):
        pass
    return []


async def hands_over(engine, plan):
    return [value async for value in engine.results(plan)]


async def is_abandoned(engine, plan):
    async for _ in engine.results(plan):
        break
    return []


async def is_cancelled(engine, plan):
    execution = engine.start(plan)
    execution.cancel()
    await asyncio.gather(execution, return_exceptions=True)
    return [execution]


WAYS = [
    succeeds,
    fails,
    fails_as_execution,
    is_streamed,
    hands_over,
    is_abandoned,
    is_cancelled,
]


async def references(engine, kind, way):
    """Run something, and return weak references to all that the caller has given and got."""
    function, item = kind(fails=way in {fails, fails_unseen, fails_as_execution}), Value()
    plan = ax.Plan.map(function, [item], retry=False)
    got = await way(engine, plan)
    return [weakref.ref(each) for each in (function, item, plan, *got)]


async def alive(refs):
    """Return what is alive of these once timers of a cancellation are over."""
    for _ in range(200):
        gc.collect()
        if not any(ref() for ref in refs):
            break
        await asyncio.sleep(0.01)
    return [ref() for ref in refs if ref() is not None]


@pytest.mark.parametrize("kind", [Function, AwaitedFunction])
@pytest.mark.parametrize(
    "executor", sampled(["serial", "threads", "asyncio", "processes"], "threads", "processes")
)
async def test_an_idle_engine_keeps_nothing_of_what_it_has_run(executor, kind):
    if executor == "processes" and kind is AwaitedFunction:
        pytest.skip("its coroutines run in the worker")
    async with ax.Engine(executor) as engine:
        for way in WAYS:
            assert await alive(await references(engine, kind, way)) == [], way.__name__


async def test_a_run_is_gone_at_once_without_a_collection_of_garbage():
    async with ax.Engine("threads", executor_options={"max_workers": 1}) as engine:
        await references(engine, Function, succeeds)
        gc.collect()
        gc.disable()
        try:
            for way in (succeeds, fails_unseen, is_streamed):
                refs = await references(engine, Function, way)
                for _ in range(200):
                    if not any(ref() for ref in refs):
                        break
                    await asyncio.sleep(0.01)  # until the thread has put the batch down
                assert [ref() for ref in refs if ref() is not None] == [], way.__name__
        finally:
            gc.enable()


async def computes(engine, array):
    return [(await engine.execute(array + 1)).value]


async def stores(engine, array):
    await engine.execute(xp.store([array], [f"{array.spec.work_dir}/a.zarr"], overwrite=True))
    return []


async def resumes(engine, array):
    return [(await engine.execute(array + 1, resume=True)).value]


async def breaks(engine, array):
    try:
        await engine.execute(xp.map_blocks(Function(fails=True), array, dtype="f8"), retry=False)
    except TaskFailedError as error:
        return [error, error.__cause__]


async def is_given_up(engine, array):
    execution = engine.start(array + 1)
    await asyncio.sleep(0)
    execution.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await execution
    return [execution]


@pytest.mark.parametrize("executor", sampled(["serial", "threads", "processes"], "threads"))
async def test_an_array_and_what_was_computed_of_it_are_gone_at_once_too(executor, tmp_path):
    spec = ax.Spec(work_dir=str(tmp_path))
    async with ax.Engine(executor) as engine:
        await engine.execute(xp.ones(3, spec=spec))
        gc.collect()
        gc.disable()
        try:
            for way in (computes, stores, resumes, breaks, is_given_up):
                elements = np.arange(6.0)
                got = await way(engine, xp.asarray(elements, chunks=3, spec=spec))
                refs = [weakref.ref(each) for each in (elements, *got)]
                del elements, got
                for _ in range(200):
                    if all(ref() is None for ref in refs):
                        break
                    await asyncio.sleep(0.01)  # until the worker has put the batch down
                kept = [type(ref()).__name__ for ref in refs if ref() is not None]
                assert kept == [], way.__name__
        finally:
            gc.enable()


@pytest.mark.parametrize("executor", ["threads", "asyncio"])
async def test_the_objects_of_an_engine_do_not_grow_with_its_runs(executor):
    async def all_ways():
        for way in WAYS:
            await references(engine, Function, way)

    async def objects():
        await asyncio.sleep(0.5)  # the timers of cancellations
        gc.collect()
        return len(gc.get_objects())

    async with ax.Engine(executor) as engine:
        for _ in range(3):
            await all_ways()
        before = await objects()
        for _ in range(20):
            await all_ways()
        assert await objects() - before < 100  # of 140 runs


async def test_a_failure_that_nobody_awaits_is_logged_when_its_execution_goes(caplog):
    async with ax.Engine("serial") as engine:
        execution = engine.start(ax.Plan.map(Function(fails=True), [1], retry=False))
        while not execution.done:
            await asyncio.sleep(0.001)
        assert "nobody awaited" not in caplog.text
        with caplog.at_level(logging.ERROR, "asyncexec"):
            del execution
            gc.collect()
        assert "nobody awaited it" in caplog.text
        assert "it fails" in caplog.text
