"""A worker has one event loop for its coroutine tasks, from the first of them to the worker's end."""

import asyncio
import contextvars
import inspect
import threading
import time
from concurrent.futures import CancelledError
from contextlib import suppress

import pytest

from asyncexec.testing.patience import scaled
from asyncexec.worker.control import BatchControl
from asyncexec.worker.event_loop import GRACE_SECONDS, THREAD_NAME, WorkerLoop

COLOUR = contextvars.ContextVar("COLOUR", default="none")


async def loop_here():
    return asyncio.get_running_loop()


def threads():
    return [t for t in threading.enumerate() if t.name.startswith(THREAD_NAME)]


def given_up(loop, coroutine, control):
    """A thread that waits for a coroutine, and finds it cancelled."""

    def wait():
        with suppress(CancelledError):
            loop.run(coroutine, control)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_it_is_started_by_the_first_coroutine_and_shared_by_all():
    loop = WorkerLoop()
    with loop.kept():
        assert (loop.started, threads()) == (0, [])
        first, second = loop.run(loop_here()), loop.run(loop_here())
        assert first is second
        assert (loop.started, len(threads())) == (1, 1)
    assert first.is_closed()
    assert threads() == []


def test_it_ends_with_the_last_that_keeps_it():
    loop = WorkerLoop()
    with loop.kept():
        with loop.kept():
            running = loop.run(loop_here())
        assert loop.run(loop_here()) is running
    assert running.is_closed()


def test_a_coroutine_runs_in_the_context_of_the_thread_that_waits_for_it():
    async def colour():
        return COLOUR.get()

    COLOUR.set("red")
    loop = WorkerLoop()
    with loop.kept():
        assert loop.run(colour()) == "red"


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError]
)
def test_whatever_a_coroutine_raises_is_raised_where_it_is_waited_for(error):
    async def refuse():
        raise error("no")

    loop = WorkerLoop()
    with loop.kept():
        before = loop.run(loop_here())
        with pytest.raises(error, match="no"):
            loop.run(refuse())
        assert loop.run(loop_here()) is before


def test_an_attempt_that_is_left_behind_is_cancelled_where_it_awaits():
    began, ended = threading.Event(), threading.Event()

    async def wait():
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    control = BatchControl([1])
    control.begin(1)
    loop = WorkerLoop()
    with loop.kept():
        thread = given_up(loop, wait(), control)
        assert began.wait(scaled(20))
        assert control.stop([1]).left == [1]
        assert ended.wait(scaled(20))
        thread.join(scaled(20))
        assert not thread.is_alive()


def test_a_coroutine_that_has_not_begun_when_the_loop_ends_is_closed():
    held, sent = threading.Event(), threading.Event()

    class TellsThatItIsSent:
        def awaits(self, cancel):
            sent.set()

    worker_loop = WorkerLoop()
    worker_loop.keep()
    worker_loop.get().call_soon_threadsafe(held.wait)
    coroutine = asyncio.sleep(3600)
    raised = []

    def wait():
        try:
            worker_loop.run(coroutine, TellsThatItIsSent())
        except (CancelledError, asyncio.CancelledError) as error:
            # The latter where the loop came to it just before its end.
            raised.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert sent.wait(scaled(30))
    ending = worker_loop.let_go()
    held.set()
    for thread in ending:
        thread.join()
    waiting.join()
    assert len(raised) == 1
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


def test_what_runs_at_the_end_is_cancelled_and_what_ignores_that_is_stopped_for_good():
    steps = []

    async def polite():
        try:
            await asyncio.sleep(60)
        finally:
            steps.append("polite")

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(0.001)
                steps.append("again")
            except asyncio.CancelledError:
                steps.append("ignored")

    async def start():
        tasks = [asyncio.ensure_future(polite()), asyncio.ensure_future(stubborn())]
        await asyncio.sleep(0.01)
        return tasks

    loop = WorkerLoop()
    with loop.kept():
        tasks = loop.run(start())
    assert {"polite", "ignored"} <= {*steps}
    assert threads() == []
    count = len(steps)
    assert not tasks[1].done()
    with suppress(GeneratorExit):
        tasks[1].get_coro().throw(GeneratorExit)
    assert len(steps) == count


def test_a_loop_that_a_cancelled_coroutine_blocks_is_replaced():
    began, gate = threading.Event(), threading.Event()

    async def block():
        began.set()
        gate.wait(20)

    control = BatchControl([1])
    control.begin(1)
    loop = WorkerLoop()
    with loop.kept():
        thread = given_up(loop, block(), control)
        assert began.wait(scaled(20))
        control.stop([1])
        deadline = time.monotonic() + 20 * GRACE_SECONDS
        blocked = loop.get()
        while loop.get() is blocked:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert loop.run(loop_here()) is not blocked
        assert loop.started == 2
        gate.set()
        thread.join(scaled(20))
