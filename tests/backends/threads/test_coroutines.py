"""Coroutine tasks on `threads`: one loop in a thread of its own, where they are really cancelled."""

import asyncio
import threading
import time
from contextlib import suppress

import pytest

import asyncexec as ax
from asyncexec.backends.threads import ThreadsBackend
from asyncexec.errors import TaskTimeoutError
from asyncexec.worker.event_loop import THREAD_NAME


def engine(workers=2):
    return ax.Engine(executor=ThreadsBackend(max_workers=workers), straggler=False)


class Presence:
    """A coroutine function that counts its calls that run, and the most of them at once."""

    def __init__(self, seconds=0.01):
        self.seconds = seconds
        self.now = self.most = 0
        self.loops = set()

    async def __call__(self, item):
        self.loops.add(asyncio.get_running_loop())
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1
        return item


@pytest.mark.parametrize("concurrency, most", [(None, 2), (1, 2), (10, 20)])
async def test_as_many_run_at_once_as_the_slots_take_on_one_loop(concurrency, most):
    there = Presence()
    async with engine() as e:
        result = await e.execute(ax.Plan.map(there, range(200), concurrency=concurrency))
        assert result.value == list(range(200))
    assert there.most == most
    assert len(there.loops) == 1
    assert next(iter(there.loops)).is_closed()


async def test_engines_of_one_process_share_the_loop():
    there = Presence()
    async with engine() as one, engine() as other:
        await one.execute(ax.Plan.map(there, range(3), concurrency=3))
        await other.execute(ax.Plan.map(there, range(3)))
        assert len(there.loops) == 1
        assert sum(t.name.startswith(THREAD_NAME) for t in threading.enumerate()) == 1
    assert next(iter(there.loops)).is_closed()


@pytest.mark.parametrize("concurrency", [None, 5])
async def test_a_cancelled_run_stops_what_its_coroutines_do(concurrency):
    there = Presence(seconds=120)
    async with engine() as e:
        execution = e.start(ax.Plan.map(there, range(5), concurrency=concurrency))
        while there.now < (2 if concurrency is None else 5):
            await asyncio.sleep(0.001)
        execution.cancel()
        with suppress(asyncio.CancelledError):
            await execution
    assert there.now == 0


async def test_what_merely_returns_an_awaitable_is_awaited():
    async def double(item):
        return 2 * item

    async with engine() as e:
        assert (await e.execute(ax.Plan.map(lambda x: double(x) if x else x, range(3)))).value == [
            0,
            2,
            4,
        ]


async def test_a_coroutine_that_blocks_is_given_up_with_its_loop_and_what_comes_after_has_another():
    gate = threading.Event()

    async def block(item):
        gate.wait(60)

    there = Presence()
    backend = ThreadsBackend(max_workers=1)
    async with ax.Engine(executor=backend, straggler=False) as e:
        plan = ax.Plan.map(block, [1], concurrency=2)
        with pytest.raises(TaskTimeoutError):
            await e.execute(plan, timeout=0.1, retry=False)
        assert backend.abandoned == 1
        assert (await e.execute(ax.Plan.map(there, range(4), concurrency=4))).value == [0, 1, 2, 3]
        gate.set()


async def test_variables_of_the_caller_are_set_in_coroutines_and_each_has_its_own():
    async def read(item):
        before = ax.get_run_context().task
        await asyncio.sleep(0)
        return before == ax.get_run_context().task == item

    async with engine() as e:
        assert all((await e.execute(ax.Plan.map(read, range(50), concurrency=25))).value)


async def test_a_limit_of_the_stage_holds_beside_its_concurrency():
    there = Presence(seconds=0.001)
    async with engine() as e:
        await e.execute(ax.Plan.map(there, range(60), concurrency=20, max_at_once=7))
    assert there.most == 7


async def test_the_loop_of_the_caller_goes_on_while_coroutines_run():
    there = Presence(seconds=0.05)
    async with engine() as e:
        execution = e.start(ax.Plan.map(there, range(500), concurrency=250))
        turns, began = 0, time.monotonic()
        while not execution.done and time.monotonic() < began + 60:
            turns += 1
            await asyncio.sleep(0.001)
        await execution
    assert turns > 5
