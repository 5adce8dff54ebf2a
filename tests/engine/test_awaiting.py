"""An execution is taken wherever asyncio takes a coroutine, and by several waiters at once."""

import asyncio
import gc
import weakref

import pytest

import asyncexec as ax
from asyncexec.errors import UsageError

PLAN = ax.Plan.map(abs, [-1])


async def gathered(execution):
    return (await asyncio.gather(execution))[0]


async def in_group(execution):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(execution)
    return task.result()


async def as_completed(execution):
    (result,) = [await each for each in asyncio.as_completed([execution])]
    return result


async def waited(execution):
    (task,), _ = await asyncio.wait([asyncio.ensure_future(execution)])
    return task.result()


async def waited_as_a_future(execution):
    (future,), _ = await asyncio.wait([execution.as_future()])
    return future.result()


WAYS = {
    "await": lambda execution: execution,
    "create_task": asyncio.create_task,
    "ensure_future": asyncio.ensure_future,
    "gather": gathered,
    "wait_for": lambda execution: asyncio.wait_for(execution, 30),
    "shield": asyncio.shield,
    "as_completed": as_completed,
    "group": in_group,
    "wait": waited,
    "wait, as a future": waited_as_a_future,
}


@pytest.mark.parametrize("way", WAYS)
async def test_an_execution_can_be_awaited_by(way):
    async with ax.Engine("serial") as engine:
        execution = engine.start(PLAN)
        assert (await WAYS[way](execution)).value == [1]
        assert (await WAYS[way](execution)).value == [1]


async def test_an_execution_can_be_awaited_from_several_tasks_at_once():
    async with ax.Engine("serial") as engine:
        execution = engine.start(PLAN)
        tasks = [asyncio.create_task(execution) for _ in range(3)]
        results = await asyncio.gather(*tasks, execution)
        assert all(result is results[0] for result in results)


async def test_an_error_is_raised_each_time_and_in_each_task():
    async with ax.Engine("serial") as engine:
        execution = engine.start(ax.Plan.map(int, ["one"], retry=False))
        tasks = [asyncio.create_task(execution) for _ in range(2)]
        raised = await asyncio.gather(*tasks, execution, return_exceptions=True)
        assert all("ValueError" in str(error) for error in raised)
        with pytest.raises(ax.errors.TaskFailedError, match="ValueError"):
            await execution


async def test_the_future_of_an_execution_is_one_and_the_first_of_several_can_be_waited_for():
    async with ax.Engine("asyncio") as engine:
        slow = engine.start(ax.Plan.map(asyncio.sleep, [3600]))
        quick = engine.start(PLAN)
        futures = {slow.as_future(): slow, quick.as_future(): quick}
        assert slow.as_future() is slow.as_future()
        assert all(map(asyncio.isfuture, futures))
        done, pending = await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)
        assert [futures[each] for each in done] == [quick]
        assert [futures[each] for each in pending] == [slow]
        slow.as_future().cancel()
        await asyncio.wait(pending)
        assert slow.done
        assert slow.as_future().cancelled()


async def test_the_future_of_an_execution_keeps_nothing_alive():
    async with ax.Engine("serial") as engine:
        execution = engine.start(ax.Plan.map(abs, [-1]))
        await asyncio.wait([execution.as_future()])
        gone = weakref.ref(execution)
        gc.disable()
        try:
            del execution
            assert gone() is None
        finally:
            gc.enable()


async def test_the_future_of_a_failed_execution_has_its_error():
    async with ax.Engine("serial") as engine:
        execution = engine.start(ax.Plan.map(int, ["one"], retry=False))
        called = asyncio.Event()
        execution.as_future().add_done_callback(lambda _: called.set())
        await asyncio.wait([execution.as_future()])
        await called.wait()
        error = execution.as_future().exception()
    assert isinstance(error, ax.errors.TaskFailedError)


@pytest.mark.parametrize("cancelled", ["before it began", "while it waits"])
@pytest.mark.parametrize("made", [asyncio.create_task, ax.Execution.as_future])
async def test_cancelling_a_task_made_of_an_execution_stops_the_work(made, cancelled):
    async with ax.Engine("serial") as engine:
        execution = engine.start(ax.Plan.map(asyncio.sleep, [3600]))
        task = made(execution)
        if cancelled == "while it waits":
            while not execution.progress.running:
                await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert execution.done


async def test_no_time_to_wait_stops_the_work_too():
    async with ax.Engine("serial") as engine:
        execution = engine.start(ax.Plan.map(asyncio.sleep, [3600]))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(execution, 0)
        assert execution.done


def test_without_asyncio_an_engine_says_in_one_sentence_where_it_runs():
    entering = ax.Engine("serial").__aenter__()
    with pytest.raises(UsageError, match=r"asyncexec runs on asyncio.*trio\.to_thread"):
        entering.send(None)  # as another event library would


def test_an_execution_of_another_loop_says_so():
    async def start():
        async with ax.Engine("serial") as engine:
            execution = engine.start(PLAN)
            await execution
            return execution

    execution = asyncio.run(start())

    async def wait():
        return await execution

    async def ask():
        return execution.as_future()

    for use in (wait, ask):
        with pytest.raises(UsageError, match="belongs to another event loop"):
            asyncio.run(use())
    with pytest.raises(UsageError, match="asyncexec runs on asyncio"):
        wait().send(None)
