"""Coroutine tasks on the caller's own loop: many at once, in order, really cancelled."""

import asyncio
import contextvars
import threading
import time

import pytest

import asyncexec as ax
from asyncexec.backends.asyncio import AsyncioBackend
from asyncexec.errors import OptionError, TaskTimeoutError
from asyncexec.plan.coroutine_functions import is_coroutine_function
from asyncexec.testing.patience import scaled
from asyncexec.testing.virtual_time import run

CALLER = contextvars.ContextVar("CALLER", default="nobody")


def engine(**options):
    return ax.Engine(executor=AsyncioBackend(**options), straggler=False)


class Crowd:
    """A coroutine function that counts how many of its calls there are at once."""

    def __init__(self, seconds=0.1):
        self.seconds = seconds
        self.now = self.most = self.cancelled = 0
        self.loops = set()

    async def __call__(self, item):
        self.loops.add(asyncio.get_running_loop())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.now -= 1
        return item


async def test_ten_thousand_tasks_that_wait_run_a_thousand_at_once_on_the_callers_loop():
    crowd = Crowd(seconds=0.01)
    async with engine() as e:
        result = await e.execute(ax.Plan.map(crowd, range(10_000)))
    assert result.value == list(range(10_000))
    assert crowd.most == 1000
    assert crowd.loops == {asyncio.get_running_loop()}


@pytest.mark.parametrize("executor, stage, most", [(5, None, 5), (50, 3, 3), (4, 9, 4)])
async def test_neither_the_executors_nor_the_stages_limit_is_exceeded(executor, stage, most):
    crowd = Crowd(seconds=0.001)
    async with engine(concurrency=executor) as e:
        await e.execute(ax.Plan.map(crowd, range(100), concurrency=stage))
    assert crowd.most == most


async def test_the_limit_holds_for_several_stages_and_runs_together():
    crowd = Crowd(seconds=0.001)
    async with engine(concurrency=7) as e:
        plan = ax.Plan.map(crowd, range(40)).then(crowd)
        await asyncio.gather(e.execute(plan), e.execute(plan))
    assert crowd.most == 7


async def test_a_task_that_is_cancelled_gets_the_error_where_it_awaits_and_others_go_on():
    crowd = Crowd(seconds=60)

    async def work(item):
        return await crowd(item) if item == 3 else item

    async with engine() as e:
        with pytest.raises(TaskTimeoutError, match="longer than its timeout"):
            await e.execute(ax.Plan.map(work, range(10)), timeout=scaled(0.2), retry=False)
        assert (await e.execute(ax.Plan.map(work, range(3)))).value == [0, 1, 2]
    assert (crowd.cancelled, crowd.now) == (1, 0)


async def test_a_cancelled_run_leaves_no_asyncio_task_behind():
    crowd = Crowd(seconds=60)
    before = asyncio.all_tasks()
    async with engine() as e:
        execution = e.start(ax.Plan.map(crowd, range(50)))
        while crowd.now < 50:
            await asyncio.sleep(0.001)
        execution.cancel()
        with pytest.raises(asyncio.CancelledError):
            await execution
        assert (crowd.cancelled, crowd.now) == (50, 0)
    assert asyncio.all_tasks() <= before


async def test_what_ignores_being_cancelled_is_left_behind_and_counted():
    let_go = asyncio.Event()

    async def stubborn(item):
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return item

    backend = AsyncioBackend()
    async with ax.Engine(executor=backend, straggler=False) as e:
        with pytest.raises(TaskTimeoutError):
            await e.execute(ax.Plan.map(stubborn, [1]), timeout=0.02, retry=False)
        assert backend.abandoned == 1
        let_go.set()
        assert (await e.execute(ax.Plan.map(stubborn, [2]))).value == [2]


async def test_a_cancelled_coroutine_is_not_counted_as_abandoned():
    crowd = Crowd(seconds=60)
    tries = []

    async def work(item):
        tries.append(item)
        return await crowd(item) if len(tries) == 1 else item

    async with engine() as e:
        result = await e.execute(
            ax.Plan.map(work, [1]), timeout=scaled(0.2), retry=ax.Retry(base_seconds=0)
        )
    assert (result.value, result.abandoned, len(tries)) == ([1], 0, 2)


async def test_plain_functions_run_in_threads_and_leave_the_loop_free():
    gate = threading.Event()

    def block(item):
        gate.wait(20)
        return threading.current_thread().name

    async with engine(max_threads=3) as e:
        execution = e.start(ax.Plan.map(block, range(3)))
        await asyncio.sleep(0)
        gate.set()
        names = (await execution).value
    assert threading.current_thread().name not in names


async def test_variables_of_the_caller_reach_tasks_and_those_of_tasks_nobody():
    async def read(item):
        seen = CALLER.get()
        CALLER.set(f"task {item}")
        await asyncio.sleep(0)
        return seen, CALLER.get()

    CALLER.set("me")
    async with engine() as e:
        result = await e.execute(ax.Plan.map(read, range(3)))
    assert result.value == [("me", f"task {n}") for n in range(3)]
    assert CALLER.get() == "me"


async def test_a_coroutine_that_raises_system_exit_has_failed_and_the_loop_goes_on():
    async def leave(item):
        raise SystemExit(3)

    async with engine() as e:
        with pytest.raises(ax.TaskError, match="SystemExit"):
            await e.execute(ax.Plan.map(leave, [1]), retry=False)


async def test_the_context_of_the_run_can_be_asked_for_and_says_that_it_is_cancelled():
    seen = []

    async def ask(item):
        context = ax.get_run_context()
        try:
            await asyncio.sleep(60)
        finally:
            seen.append((context.stage, context.task, context.cancelled))

    async with engine() as e:
        with pytest.raises(TaskTimeoutError):
            await e.execute(ax.Plan.map(ask, [1], name="asking"), timeout=0.02, retry=False)
    assert seen == [("asking", 0, True)]


async def test_a_loop_that_starts_tasks_eagerly_changes_nothing():
    async def at_once(item):
        return item

    loop = asyncio.get_running_loop()
    loop.set_task_factory(asyncio.eager_task_factory)
    try:
        async with engine() as e:
            assert (await e.execute(ax.Plan.map(at_once, range(300)))).value == list(range(300))
    finally:
        loop.set_task_factory(None)


def test_ten_thousand_naps_of_a_tenth_of_a_second_take_a_second_of_virtual_time():
    async def nap(item):
        await asyncio.sleep(0.1)
        return item

    async def main():
        async with engine() as e:
            start = asyncio.get_running_loop().time()
            await e.execute(ax.Plan.map(nap, range(10_000)))
            return asyncio.get_running_loop().time() - start

    assert run(main()) == pytest.approx(1.0, abs=0.1)


def test_options_out_of_range_are_refused():
    with pytest.raises(OptionError, match="concurrency"):
        AsyncioBackend(concurrency=0)


def test_which_functions_are_known_to_be_coroutine_functions():
    from functools import partial

    async def plain(x): ...

    assert is_coroutine_function(plain)
    assert is_coroutine_function(partial(partial(plain, 1)))
    assert is_coroutine_function(Crowd())
    assert not is_coroutine_function(Crowd)
    assert not is_coroutine_function(lambda x: [plain(x)][0])
    assert not is_coroutine_function(time.sleep)
