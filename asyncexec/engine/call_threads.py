"""The calls of an engine's runs that block (planning, opening, collecting, closing), in threads of the engine's own.

The calls of one run are made one after another: they have a *lane*. A call cannot be interrupted. Where a run is
cancelled and its call does not come back, a store that hangs say, the lane is *abandoned*: nobody waits any longer, and
the thread goes on by itself with what is left in the lane, which is to undo what the call has made. So the caller is
let go, and nothing stays behind once the store has answered.

Threads that everybody shares would not do: a few stores that hang would hold them, and the process could not end.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any

from asyncexec.errors import ExecutionError
from asyncexec.scheduler.set_once import SetOnce

WIDTH = 32
"""The lanes that are served at the same time; those that were abandoned do not count."""

_MOST = 256
_STUCK_SECONDS = 1.0

_IDLE = 8
"""The threads that are kept for the next call."""

_EXIT_SECONDS = 1.0
"""The time that an abandoned call has to come back and undo its work when the process ends."""


class AbandonedCallError(Exception):
    """Nobody waits for this call any longer, as its run was cancelled and the call did not come back in time."""


class LaneCall[T]:
    """A call in a lane.

    Attributes
    ----------
    done : SetOnce
        Set when the call has returned or raised, or was abandoned.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self.done = SetOnce()
        self._function: Callable[[], T] | None = function
        self._context: Context = copy_context()
        self._returned: list[T] = []
        self._raised: BaseException | None = None

    def run(self) -> None:
        """Make the call, in its thread; whatever it raises is kept for :meth:`result`."""
        function, self._function = self._function, None
        try:
            if function is not None:
                self._returned.append(self._context.run(function))
        except BaseException as error:  # noqa: BLE001 - it is raised where the call is waited for
            self._raised = error

    def result(self, name: str) -> T:
        """Return what the call, of this name for messages, has returned, or raise what it has raised.

        Raises
        ------
        AbandonedCallError
            If it has done neither.
        ExecutionError
            If it has raised what is no ``Exception``, which would end more than a run.
        """
        raised, self._raised = self._raised, None
        if raised is not None:
            try:
                if isinstance(raised, Exception):
                    raise raised
                raise ExecutionError(
                    f"{name} ended with {raised!r}. This is no Exception, but made to end a "
                    f"task or the process; it has ended this run alone"
                ) from raised
            finally:
                del raised, self  # or the traceback would hold itself
        if not self._returned:
            raise AbandonedCallError
        return self._returned.pop()


class Lane:
    """The blocking calls of one run, in the order in which they were made."""

    def __init__(self, threads: CallThreads) -> None:
        self.abandoned = False
        self.thread: CallThread | None = None
        self._threads = threads
        self._calls: tuple[LaneCall[Any], ...] = ()  # rarely more than one
        self._current: LaneCall[Any] | None = None
        self._served = False

    @property
    def is_busy(self) -> bool:
        """True while a call has not come back."""
        return self._served

    def call[T](self, function: Callable[[], T]) -> LaneCall[T]:
        """Have ``function`` called after those before it; in an abandoned lane nobody can wait for it."""
        call = LaneCall(function)
        if self.abandoned:
            call.done.set()
        with self._threads.lock:
            self._calls = (*self._calls, call)
            served, self._served = self._served, True
        if not served:
            self._threads.serve(self)
        return call

    def abandon(self) -> None:
        """End all waiting for calls; the calls are made nevertheless."""
        if self.abandoned:
            return
        self.abandoned = True
        with self._threads.lock:
            left = [*self._calls, *([self._current] if self._current is not None else [])]
        for call in left:
            call.done.set()
        self._threads.given_up(self)

    def take(self) -> LaneCall[Any] | None:
        """Return the next call, in the thread that serves this lane; None if there is none now."""
        with self._threads.lock:
            first, self._calls = self._calls[:1], self._calls[1:]
            self._current = first[0] if first else None
            self._served = self._current is not None
            return self._current


class CallThreads:
    """The threads of one engine; methods belong to its event loop.

    No more than ``WIDTH`` lanes have a thread. Where none of these ends for a while, all may hang, and as many more are
    served.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.idle: deque[CallThread] = deque()
        # One for all lanes: each holds it for a moment, and there may be a thousand lanes.
        self.lock = threading.Lock()
        self._width = WIDTH
        self._waiting: deque[Lane] = deque()
        self._busy: set[CallThread] = set()
        self._given_up: set[CallThread] = set()
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def abandoned(self) -> int:
        """The number of threads whose call nobody waits for any longer."""
        return len(self._given_up)

    def lane(self) -> Lane:
        """Return a lane for the calls of a run."""
        return Lane(self)

    def serve(self, lane: Lane) -> None:
        """Have a thread make the calls of ``lane``, now or as soon as one is free."""
        if lane.abandoned or len(self._busy) < self._width:
            self._start(lane)
        else:
            self._waiting.append(lane)
            if self._watch is None:
                self._watch = self.loop.call_later(_STUCK_SECONDS, self._widen)

    def given_up(self, lane: Lane) -> None:
        """Have the thread of ``lane`` end with it, and start another where lanes wait."""
        if lane in self._waiting:
            self._waiting.remove(lane)
            self._start(lane)
        if (thread := lane.thread) is not None:
            self._give_up(thread)
        self._serve_waiting()

    def freed(self, thread: CallThread, lane: Lane, done: SetOnce) -> None:
        """Take back a thread whose lane has no more calls after one that is ``done``."""
        done.set()
        if lane.thread is thread:
            lane.thread = None
        if thread.stopping:
            return
        self._busy.discard(thread)
        if self._closed or len(self.idle) >= _IDLE:
            thread.end()
        else:
            self.idle.append(thread)
        self._serve_waiting()

    def returned(self, thread: CallThread) -> None:
        """Note, in the thread, that an abandoned call has come back, and what was left to do is done."""
        self._given_up.discard(thread)
        if not self._given_up:
            atexit.unregister(self._join)

    def close(self) -> None:
        """End the threads that are idle; those that were abandoned end when their calls return."""
        self._closed = True
        self._stop_watching()
        while self.idle:
            self.idle.pop().end()

    def _start(self, lane: Lane) -> None:
        lane.thread = thread = self.idle.pop() if self.idle else CallThread(self)
        thread.serve(lane)
        if lane.abandoned:
            self._give_up(thread)
        else:
            self._busy.add(thread)

    def _give_up(self, thread: CallThread) -> None:
        self._busy.discard(thread)
        if not thread.stopping:
            if not self._given_up:
                atexit.register(self._join)
            self._given_up.add(thread)
            thread.give_up()

    def _serve_waiting(self) -> None:
        while self._waiting and len(self._busy) < self._width:
            self._start(self._waiting.popleft())
            self._stop_watching()
        if self._waiting and self._watch is None:
            self._watch = self.loop.call_later(_STUCK_SECONDS, self._widen)

    def _widen(self) -> None:
        """Serve more lanes at once, as none has come to its end while others waited."""
        self._watch = None
        self._width = min(self._width + WIDTH, _MOST)
        self._serve_waiting()

    def _stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _join(self) -> None:
        """Give abandoned calls a moment to come back, and to undo what they have made, as the process ends."""
        end_by = time.monotonic() + _EXIT_SECONDS
        for thread in tuple(self._given_up):
            thread.join(max(0.0, end_by - time.monotonic()))


class CallThread(threading.Thread):
    """A thread that makes the calls of one lane after another.

    A daemon: a store that hangs must not keep the process alive. The virtual clock of the tests knows its attributes,
    which are those of anyio's threads.
    """

    def __init__(self, threads: CallThreads) -> None:
        super().__init__(name="asyncexec-blocking", daemon=True)
        self.loop = threads.loop
        self.idle_workers = threads.idle
        self.stopping = False
        self._threads = threads
        self._lanes: SimpleQueue[Lane | None] = SimpleQueue()

    def serve(self, lane: Lane) -> None:
        """Make the calls of ``lane``."""
        self._lanes.put(lane)
        if self.ident is None:
            self.start()

    def give_up(self) -> None:
        """End after the lane that is served, which nobody waits for."""
        self.stopping = True
        self._lanes.put(None)

    def end(self) -> None:
        """End, as there is nothing to do; wait for it, which does not take long."""
        self.stopping = True
        self._lanes.put(None)
        self.join()

    def run(self) -> None:
        """Make calls until there are no more lanes."""
        while (lane := self._lanes.get()) is not None:
            call = lane.take()
            while call is not None:
                call.run()
                done, call = call.done, lane.take()
                if call is not None:
                    self._tell(done.set)
                else:
                    self._tell(self._threads.freed, self, lane, done)
                del done
            del lane
        self._threads.returned(self)

    def _tell(self, function: Callable[..., object], *arguments: object) -> None:
        # RuntimeError means that the loop is closed: an abandoned call has come back after its run.
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function, *arguments)
