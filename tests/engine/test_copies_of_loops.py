"""Copies of a process that are made where an event loop runs: the loop of the first goes on as if there were none."""

import asyncio
import contextvars
import os
import sys
import threading

import pytest

import asyncexec as ax

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system makes no copies")

EXECUTORS = ["serial", "threads", "asyncio", "processes"]


def ended_with(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


async def and_goes_on(child, item):
    """Return what a copy ended with, after this loop was woken by threads and by time."""
    status = await asyncio.to_thread(ended_with, child)
    for _ in range(3):
        await asyncio.to_thread(abs, 1)
        await asyncio.sleep(0)
    return item, status


def exits_in_a_loop_of_its_own(item):
    async def own():
        if not (child := os.fork()):
            sys.exit(7)
        return await and_goes_on(child, item)

    return asyncio.run(own())


def ends_a_loop_of_its_own(item):
    """Its copy ends the loop as a program does, and goes on after that."""
    children = []

    async def own():
        children.append(os.fork())
        if not children[0]:
            return None  # In a copy asyncio finds no running loop to await with.
        return await and_goes_on(children[0], item)

    result = asyncio.run(own())
    if not children[0]:
        sys.exit(7)
    return result


async def exits_in_a_callback_of_a_thread(item):
    loop = asyncio.get_running_loop()
    made = loop.create_future()

    def fork():
        if not (child := os.fork()):
            sys.exit(7)
        made.set_result(child)

    # A thread starts with no variable of a context: nothing says that the callback is a task's.
    threading.Thread(target=loop.call_soon_threadsafe, args=(fork,)).start()
    return await and_goes_on(await made, item)


async def exits_without_a_context(item):
    async def forks():
        if not (child := os.fork()):
            sys.exit(7)
        return child

    nothing = contextvars.Context()
    task = asyncio.get_running_loop().create_task(forks(), context=nothing)
    return await and_goes_on(await task, item)


@pytest.mark.parametrize(
    "task",
    [
        exits_in_a_loop_of_its_own,
        ends_a_loop_of_its_own,
        exits_in_a_callback_of_a_thread,
        exits_without_a_context,
    ],
)
@pytest.mark.parametrize("executor", EXECUTORS)
async def test_a_copy_that_ends_on_an_event_loop_stops_no_loop_but_its_own(executor, task):
    async with asyncio.timeout(60), ax.Engine(executor) as engine:
        result = await engine.execute(ax.Plan.map(task, range(3)))
    assert result.value == [(item, 7) for item in range(3)]
