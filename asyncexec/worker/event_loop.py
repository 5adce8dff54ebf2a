"""The event loop of a worker: one for all its coroutine tasks, so that they can share clients and locks.

It runs in a thread of its own, which the first coroutine task starts, and ends with the worker: in the driver's process
with the last backend that keeps it, in a worker process with the process.
"""

from __future__ import annotations

import inspect
import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from contextvars import Context
from typing import TYPE_CHECKING, Any

from asyncexec.worker.forks import FORKS

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable

    from asyncexec.worker.control import MaySave

GRACE_SECONDS = 0.5
"""The time that a cancelled coroutine has to end, before it is left behind."""

_POLL_SECONDS = 0.002

THREAD_NAME = "asyncexec-event-loop"


class WorkerLoop:
    """An event loop in a thread, which lives as long as somebody keeps it.

    A coroutine that blocks (by ``time.sleep``, say) holds up all others. If one that was cancelled goes on blocking, it
    is left behind with its loop, and what comes after it gets another.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: LoopThread | None = None
        self._blocked: list[LoopThread] = []
        self._owners = 0
        self.started = 0
        """The number of loops that were started in this process."""

    def get(self) -> asyncio.AbstractEventLoop:
        """Return the loop, which is started if none runs."""
        with self._lock:
            running = self._running
            if running is not None and running.process != os.getpid():
                # A fork has copied the object, but not its thread.
                running, self._blocked = None, []
            if running is not None and running.is_blocked:
                self._blocked.append(running)
                running = None
            if running is None:
                self.started += 1
                # In a context of its own: a loop keeps the one that it was made in, and with it the task of that time.
                running = Context().run(LoopThread, f"{THREAD_NAME}-{self.started}")
                self._running = running
            return running.loop

    def run(self, awaitable: Awaitable[Any], control: MaySave | None = None) -> Any:
        """Return the result of ``awaitable``, from another thread, or raise what it raises.

        It runs in the context of the calling thread. ``control`` may cancel it; it then raises ``CancelledError``.
        """
        import asyncio

        loop = self.get()
        future = asyncio.run_coroutine_threadsafe(_settled(awaitable), loop)
        if control is not None:
            # After the coroutine is submitted: only then is there something that can be cancelled.
            control.awaits(lambda: self.cancel(future.cancel, loop))
        result, error = future.result()
        if error is not None:
            raise error
        return result

    def cancel(self, cancel: Callable[[], object], loop: asyncio.AbstractEventLoop) -> None:
        """Call ``cancel``, and expect ``loop`` to notice; called in any thread."""
        cancel()
        with self._lock:
            if self._running is not None and self._running.loop is loop:
                self._running.expect_answer()

    @contextmanager
    def kept(self) -> Generator[None]:
        """Keep the loop for the time of the context; it ends with the last of its owners, which waits for that."""
        self.keep()
        try:
            yield
        finally:
            for thread in self.let_go():
                thread.join()

    def keep(self) -> None:
        """Add an owner of the loop, which need not run yet."""
        with self._lock:
            self._owners += 1

    def let_go(self) -> list[LoopThread]:
        """Remove an owner; without others the loop ends, and its threads are returned, to be waited for."""
        with self._lock:
            self._owners -= 1
            if self._owners:
                return []
        return self.end()

    def end(self) -> list[LoopThread]:
        """End the loop: cancel its tasks; return its threads (of blocked ones too), to be waited for."""
        with self._lock:
            threads = [*self._blocked, *([self._running] if self._running is not None else [])]
            self._running, self._blocked = None, []
        # A fork has copied the others as objects alone: there is no thread to wait for.
        mine = [thread for thread in threads if thread.process == os.getpid()]
        for thread in mine:
            thread.end()
        return mine


def _close_unstarted(settling: Any) -> None:
    """Close what a coroutine of this module would have awaited, if it has not begun and now never will.

    Else Python would warn, at some later time, that nobody has awaited a user's coroutine.
    """
    ours = inspect.iscoroutine(settling) and settling.cr_code is _settled.__code__
    if ours and inspect.getcoroutinestate(settling) == "CORO_CREATED":
        awaitable = inspect.getcoroutinelocals(settling).get("awaitable")
        if inspect.iscoroutine(awaitable):
            awaitable.close()


async def ended(threads: list[LoopThread]) -> None:
    """Wait, on another event loop, until these have ended, but not for what does not end."""
    import asyncio

    for thread in threads:
        while thread.is_ending:  # noqa: ASYNC110 - a thread has ended only after its last act
            await asyncio.sleep(_POLL_SECONDS)


class LoopThread:
    """One loop and its thread."""

    def __init__(self, name: str) -> None:
        import asyncio

        self.process = os.getpid()
        self.loop = asyncio.new_event_loop()
        self._closing = False
        self._end_by = 0.0
        self._asked_at: float | None = None
        # A daemon: a coroutine that blocks for ever must not keep the process alive.
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()

    def expect_answer(self) -> None:
        """Schedule an answer of the loop, whose absence shows that something blocks it."""
        # The first question counts: later ones must not put off the moment at which the loop counts as blocked.
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self.loop.call_soon_threadsafe(self._answer)

    def _answer(self) -> None:
        self._asked_at = None

    @property
    def is_blocked(self) -> bool:
        """True if the loop has not answered for as long as a cancelled coroutine has to end."""
        asked_at = self._asked_at
        return asked_at is not None and time.monotonic() - asked_at > GRACE_SECONDS

    def end(self) -> None:
        """End the loop."""
        self._closing = True
        # Twice the grace, as cancelled coroutines have it once. One that blocks holds the thread, which is left.
        self._end_by = time.monotonic() + 2 * GRACE_SECONDS
        self.loop.call_soon_threadsafe(
            self.loop.stop
        )  # What ends its tasks runs in its own thread.

    @property
    def is_ending(self) -> bool:
        """True until it has ended, or does not end in time."""
        return self._thread.is_alive() and time.monotonic() < self._end_by

    def join(self) -> None:
        """Wait, in this thread, until it has ended, or does not end in time."""
        self._thread.join(max(0.0, self._end_by - time.monotonic()))

    def _main(self) -> None:
        import asyncio

        asyncio.set_event_loop(self.loop)
        FORKS.watch_loop(self.loop)
        while not self._closing:
            # `SystemExit` in a task that a coroutine has started would end the loop with all others.
            with suppress(BaseException):
                self.loop.run_forever()
        try:
            self._end_tasks()
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()

    def _end_tasks(self) -> None:
        import asyncio

        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            _close_unstarted(task.get_coro())
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=GRACE_SECONDS))
        for task in asyncio.all_tasks(self.loop):
            # It ignores being cancelled, and ends here, where nothing runs it any more.
            vars_of_task: Any = task
            vars_of_task._log_destroy_pending = False  # noqa: SLF001 - as asyncio does where a task is dropped knowingly
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())


async def _settled(awaitable: Awaitable[Any]) -> tuple[Any, BaseException | None]:
    """Return the result of ``awaitable`` and None, or None and what it has raised.

    ``SystemExit`` from a task would end the loop, and a ``CancelledError`` of its own would come as that of a future.
    """
    try:
        return await awaitable, None
    except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
        return None, error


EVENT_LOOP = WorkerLoop()
"""Of this process: a worker has one, whichever backends and batches use it."""
