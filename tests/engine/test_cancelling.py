"""Cancelling a run, at any moment and however often: the caller goes on soon, and nothing is made afterwards."""

import asyncio
import dataclasses
import threading

import anyio
import pytest

import asyncexec as ax
from asyncexec.testing.patience import scaled


class Slowly:
    """A workspace whose opening makes one thing after another for as long as it may."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.made: list[int] = []

    def open(self, stages, opening):
        try:
            while True:
                opening.stop()
                self.made.append(len(self.made))
                self.began.set()
        except BaseException:
            self.made.clear()
            raise


def in_workspace(workspace):
    return dataclasses.replace(ax.Plan.map(abs, [-1]), workspace=workspace)


async def test_an_opening_is_stopped_when_its_run_is_cancelled():
    workspace = Slowly()
    async with ax.Engine("serial") as engine:
        execution = engine.start(in_workspace(workspace))
        assert await asyncio.to_thread(workspace.began.wait, 30)
        execution.cancel()
        await asyncio.gather(execution, return_exceptions=True)
        assert not execution.failed
        assert workspace.made == []


async def test_a_run_may_be_cancelled_from_any_thread():
    started = threading.Event()
    async with ax.Engine("threads", executor_options={"max_workers": 1}) as engine:
        execution = engine.start(ax.Plan.map(lambda _: started.set() or 1, range(10**6)))
        assert await asyncio.to_thread(started.wait, 30)
        await asyncio.to_thread(execution.cancel)
        with pytest.raises(asyncio.CancelledError):
            await execution
    # Of a run that has ended, it does nothing.
    await asyncio.to_thread(execution.cancel)


def test_a_run_whose_loop_is_closed_may_be_cancelled():
    async def run():
        async with ax.Engine("serial") as engine:
            execution = engine.start(ax.Plan.map(abs, [-1]))
            await execution
            return execution

    execution = asyncio.run(run())
    execution.cancel()
    assert execution.progress.completed == 1


class Hung:
    """A workspace that hangs in one of its methods until it is let go, and notes what it was asked for."""

    notes = ()

    def __init__(self, where: str) -> None:
        self.where = where
        self.hangs = threading.Event()
        self.go = threading.Event()
        self.closed = threading.Event()
        self.made: list[str] = []

    def _pass(self, method: str) -> None:
        if method == self.where:
            self.hangs.set()
            self.go.wait(60)

    def open(self, stages, opening):
        self.made.append("array")
        self._pass("open")
        return self

    def io(self, stage):
        return None

    def done(self, stage):
        return ()

    def damaged(self, stage):
        return ()

    def passes_on(self, stage):
        return False

    def writers(self, array, chunks):
        return ()

    def holds(self, stage, task):
        return True

    def releases(self, stage):
        return False

    def collect(self, values):
        self._pass("collect")
        return "collected"

    def close(self, *, succeeded):
        self._pass("close")
        if not succeeded:
            self.made.clear()
        self.closed.set()


class Planning:
    """Becomes a plan in its own time."""

    def __init__(self) -> None:
        self.hangs = threading.Event()
        self.go = threading.Event()

    def to_plan(self):
        self.hangs.set()
        self.go.wait(60)
        return ax.Plan.map(abs, [-1])


def hung(where):
    if where == "plan":
        planning = Planning()
        return planning, planning
    workspace = Hung(where)
    return workspace, in_workspace(workspace)


async def soon(awaitable):
    """Wait for what takes less than a second where nothing hangs, and a minute where it does."""
    async with asyncio.timeout(scaled(30)):
        return await awaitable


MOMENTS = ["plan", "open", "collect", "close"]


@pytest.mark.parametrize("where", MOMENTS)
async def test_a_caller_is_let_go_although_what_is_called_hangs_and_it_is_undone_later(where):
    it, plan = hung(where)
    async with ax.Engine("serial") as engine:
        task = asyncio.create_task(engine.execute(plan))
        assert await asyncio.to_thread(it.hangs.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(task)
        assert not it.go.is_set()
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
    it.go.set()
    if where == "open":
        assert await asyncio.to_thread(it.closed.wait, 30)
        assert it.made == []


@pytest.mark.parametrize("where", MOMENTS)
async def test_a_second_and_third_cancel_change_nothing(where):
    it, plan = hung(where)
    async with ax.Engine("serial") as engine:
        execution = engine.start(plan)
        task = asyncio.create_task(execution)
        assert await asyncio.to_thread(it.hangs.wait, 30)
        steps = 0
        while not task.done():
            task.cancel()
            steps += 1
            await asyncio.sleep(0)
            assert execution.done or not task.done()
        assert steps > 3
        assert task.cancelled()
        it.go.set()


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_an_engine_closes_once_its_runs_have_ended_however_often_that_is_cancelled(times):
    it, plan = hung("open")
    engine = ax.Engine("serial")
    await engine.__aenter__()
    execution = engine.start(plan)
    assert await asyncio.to_thread(it.hangs.wait, 30)
    closing = asyncio.create_task(engine.__aexit__())
    await asyncio.sleep(0)
    for _ in range(times):
        closing.cancel()
        await asyncio.sleep(0)
        assert execution.done or not closing.done()
    with pytest.raises(asyncio.CancelledError):
        await soon(closing)
    assert execution.done
    it.go.set()


async def test_a_timeout_a_scope_and_a_group_keep_their_own_cancellations():
    async with ax.Engine("threads") as engine:
        gate = threading.Event()
        forever = ax.Plan.map(lambda _: gate.wait(60), [0])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await engine.execute(forever)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), asyncio.timeout(0.01):
                await engine.execute(forever)
        with anyio.move_on_after(0.01) as scope:
            await engine.execute(forever)
        assert scope.cancelled_caught
        assert asyncio.current_task().cancelling() == 0
        with pytest.raises(ExceptionGroup, match="unhandled errors"):
            await beside_a_failure(engine.execute(forever))
        gate.set()


async def beside_a_failure(coroutine):
    async def fail():
        raise ValueError("another task of the group")

    async with asyncio.TaskGroup() as group:
        group.create_task(coroutine)
        group.create_task(fail())


def test_a_loop_that_ends_with_an_open_engine_ends_its_runs():
    async def main():
        engine = await ax.Engine("threads").__aenter__()
        execution = engine.start(ax.Plan.map(asyncio.sleep, [3600]))
        while not execution.progress.running:
            await asyncio.sleep(0.001)
        return execution

    assert asyncio.run(main()).done


def test_planning_does_not_hold_the_event_loop():
    planned_in = []

    class Slow:
        def to_plan(self):
            planned_in.append(threading.current_thread())
            return ax.Plan.map(abs, [-1])

    async def main():
        async with ax.Engine("serial") as engine:
            assert (await engine.execute(Slow())).value == [1]
            assert (await engine.start(Slow())).value == [1]
            assert [value async for value in engine.results(Slow())] == [1]
            assert [event async for event in engine.stream(Slow())]

    asyncio.run(main())
    assert len(planned_in) == 4
    assert threading.current_thread() not in planned_in
