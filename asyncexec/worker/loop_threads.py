"""Threads that block for the attempts of one event loop: their loading and saving, and their kernels.

They are daemons, as a kernel that never returns must not keep the process alive; there are as many as block at once.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from asyncexec.worker.pace import Pace
from asyncexec.worker.thread_jobs import Jobs, serve

THREAD_NAME = "asyncexec-loop-thread"


class LoopThreads:
    """Threads that run functions for the coroutines of one event loop, in whose thread all methods are called.

    Parameters
    ----------
    first : Jobs, optional
        Those of a thread that is there already and serves them, as the first of these threads.
    """

    def __init__(self, first: Jobs | None = None) -> None:
        self._idle: list[Jobs] = [] if first is None else [first]
        self._all: list[Jobs] = [*self._idle]

    async def run(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Return what ``function`` returns, which is called in a thread and in the context of the caller.

        Where this is cancelled, the function goes on and its result is dropped.
        """
        return await self.submit(function, *arguments)

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> asyncio.Future[Any]:
        """Call ``function`` in a thread, and return the future of its result."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        # The thread that was idle last, so that the others stay asleep and their stacks cold.
        jobs = self._idle.pop() if self._idle else self._start()
        call = partial(copy_context().run, function, *arguments)
        jobs.put(partial(self._call, call, future, loop, jobs))
        return future

    def close(self) -> None:
        """End the threads that are idle, and each other one after what it runs."""
        # Those that are busy are told now, as the loop may not live until they have ended.
        for jobs in self._all:
            jobs.put(None)
        self._all.clear()
        self._idle.clear()

    def _start(self) -> Jobs:
        jobs: Jobs = queue.SimpleQueue()
        self._all.append(jobs)
        name = f"{THREAD_NAME}-{len(self._all)}"
        threading.Thread(target=serve, args=(jobs,), name=name, daemon=True).start()
        return jobs

    def _call(
        self,
        call: Callable[[], Any],
        future: asyncio.Future[Any],
        loop: asyncio.AbstractEventLoop,
        jobs: Jobs,
    ) -> None:
        """Run in the thread."""
        result: Any = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as raised:  # noqa: BLE001 - it is raised where it is waited for
            error = raised
        try:
            loop.call_soon_threadsafe(self._settle, future, result, error, jobs)
        except RuntimeError:  # The loop is closed: nobody waits any more.
            jobs.put(None)
        finally:
            # A thread that waits must not keep what it ran last.
            del call, future, result, error

    def _settle(
        self,
        future: asyncio.Future[Any],
        result: Any,
        error: BaseException | None,
        jobs: Jobs,
    ) -> None:
        if self._all:  # else they were closed meanwhile
            self._idle.append(jobs)
        # Cancelled meanwhile: whoever waited has gone.
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):  # Which no future takes.
            future.set_exception(RuntimeError(f"a task raised {error!r}"))
        else:
            future.set_exception(error)


class KernelThreads:
    """Threads that run kernels, a few at once: as many as the worker has slots.

    Parameters
    ----------
    most : int
        The number of kernels that run at once.
    entered : callable, optional
        Called with the attempt whose kernel runs next, and with 0 when it has ended.
    first : Jobs, optional
        Those of a thread in which kernels run, and nothing else; others take its place where it is left behind.

    Attributes
    ----------
    threads : LoopThreads
        Those in which whatever else blocks runs; and kernels, too, without ``first``.
    """

    def __init__(
        self,
        most: int,
        entered: Callable[[int], object] | None = None,
        first: Jobs | None = None,
    ) -> None:
        self.threads = LoopThreads()
        self._own = self.threads if first is None else LoopThreads(first)
        self._entered = entered
        # Not a semaphore: a kernel that is left behind gives its turn back while its thread goes on.
        self._free = most
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._running: set[int] = set()

    async def run(self, attempt: int, function: Callable[[], Any]) -> Any:
        """Return what ``function`` returns, which is called when it is its turn.

        Where this is cancelled before, it is not called. After that, the cancellation waits for its end, as it cannot
        be interrupted.
        """
        await self._turn()
        self._running.add(attempt)
        if self._entered is not None:
            self._entered(attempt)
        try:
            return await finished(self._own.submit(function))
        finally:
            self.leave(attempt)

    def close(self) -> None:
        """End the threads; those that are left behind end when what they run has ended."""
        self.threads.close()
        self._own.close()

    def leave(self, attempt: int) -> None:
        """Let others run their kernels, although that of ``attempt`` may go on."""
        if attempt in self._running:
            self._running.discard(attempt)
            if self._entered is not None:
                self._entered(0)
            self._pass_on()

    async def _turn(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()  # It had just got its turn.
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class PacedKernels:
    """The kernels of one program, by whose times its attempts are paced.

    Parameters
    ----------
    kernels : KernelThreads
    pace : Pace
    slots : int
        The slots that share them.
    widened : callable
        Called when more attempts may run at once than before.
    """

    def __init__(
        self, kernels: KernelThreads, pace: Pace, slots: int, widened: Callable[[], object]
    ) -> None:
        self.threads = kernels.threads
        self.pace = pace
        self._widened = widened
        self.leave = kernels.leave
        self._kernels = kernels
        self._slots = slots
        self._seconds: dict[int, float] = {}

    async def run(self, attempt: int, function: Callable[[], Any]) -> Any:
        """Do what :meth:`KernelThreads.run` does, and note how long the kernel has taken."""
        return await self._kernels.run(attempt, partial(self._timed, attempt, function))

    def measured(self, attempt: int, io_seconds: float) -> int:
        """Record that an attempt has loaded and saved in that time; return how many a slot should run at once."""
        self.pace.measured(io_seconds, self._seconds.pop(attempt, 0.0))
        return self._each_slot

    def measured_piece(self, attempt: int, io_seconds: float) -> int:
        """Record in what time the first piece of an attempt was loaded, and computed with.

        Others begin for it, rather than when the attempt has taken all of its pieces. Return how many a slot should run
        at once; 0 where that was known.
        """
        if self.pace.is_measured:
            return 0
        self.pace.measured(io_seconds, self._seconds.get(attempt, 0.0))
        self._widened()
        return self._each_slot

    @property
    def _each_slot(self) -> int:
        return -(-self.pace.width // self._slots)

    def _timed(self, attempt: int, function: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = function()
        # Of one that takes its input piece by piece, all calls together.
        self._seconds[attempt] = self._seconds.get(attempt, 0.0) + time.perf_counter() - began
        return result


async def finished(future: asyncio.Future[Any], *, wanted: bool = False) -> Any:
    """Return the result of ``future``; where this is cancelled, that is raised when the future is done.

    The result, or what it raised, is then dropped; a result that is ``wanted`` all the same is returned.
    """
    cancelled: asyncio.CancelledError | None = None
    # Every cancellation in turn: what a thread runs cannot be interrupted, and must not be taken for ended.
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    try:
        if cancelled is None or (wanted and not future.cancelled() and future.exception() is None):
            return future.result()
        if not future.cancelled():
            future.exception()  # Else asyncio complains that nobody has looked at it.
        raise cancelled
    finally:
        del cancelled, future
