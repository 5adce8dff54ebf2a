"""An asyncio event loop whose time is virtual: an hour of sleeping runs in milliseconds.

Time stands still while anything is ready to run. When nothing is, it jumps to the next timer; when there is no timer
either, nothing can ever happen again, and :class:`DeadlockError` says which task waits where. Everything built on
``loop.time()`` and ``loop.call_later`` follows: ``asyncio.sleep``, ``asyncio.timeout``, ``anyio.move_on_after``.

What is not of the loop's making is real, and takes no virtual time unless somebody says that it is waited for:

- *Work in threads* started by ``asyncio.to_thread``, ``loop.run_in_executor`` and ``anyio.to_thread`` is waited for:
  time stands still until it has reported. A thread must therefore not wait for the loop's timers itself.
- *Other threads* and *file descriptors* (sockets, pipes, child processes) do not hold time, since many are there for
  as long as the loop is. Wrap what waits for them in :func:`real_work`.
- Where nothing is left but real things, the loop waits for them for ``patience_seconds`` before it calls a deadlock.
"""

from __future__ import annotations

import asyncio
import math
import random
import selectors
import threading
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from asyncexec.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

type _Ready = list[tuple[selectors.SelectorKey, int]]

# asyncio's own granularity: timers due within it fire together.
_RESOLUTION_SECONDS = 1e-9

_EVENT_LIBRARIES = (
    Path(asyncio.__file__).parent,
    *(Path(anyio.__file__).parent / part for part in ("_core", "_backends", "streams")),
)


class DeadlockError(AssertionError):
    """Tasks are left, and nothing can ever wake them."""


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An event loop that jumps to its next timer when nothing is ready; see the top of this module.

    >>> import asyncio
    >>> from asyncexec.testing.virtual_clock import VirtualClockLoop
    >>> with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
    ...     runner.run(asyncio.sleep(3600, "an hour later"))
    'an hour later'

    Parameters
    ----------
    seed : int, optional
        Shuffles which of the tasks that are ready runs first, to explore interleavings; the same seed gives the same
        order. Without a seed they run in asyncio's order, first in, first out. Callbacks that are no task's keep
        their places, as protocols rely on their order.
    patience_seconds : float
        How long to wait, in real time, for threads and file descriptors before calling a deadlock.
    """

    _ready: deque[asyncio.Handle]

    def __init__(self, *, seed: int | None = None, patience_seconds: float = 10.0) -> None:
        self._selector_below = _IdleSelector(self._idle)
        super().__init__(self._selector_below)
        self._clock_resolution = _RESOLUTION_SECONDS
        self._now = 0.0
        self._held = 0
        self._patience_seconds = patience_seconds
        self._own_descriptors = len(self._selector_below.get_map())
        self._random = None if seed is None else random.Random(seed)

    def time(self) -> float:
        """Return the virtual time, in seconds since the loop was made."""
        return self._now

    @contextmanager
    def real_work(self) -> Generator[None]:
        """Keep time from jumping while something real is waited for; see :func:`real_work`."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1

    def run_in_executor[*Ts, T](
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run ``func(*args)`` in a thread or process, and let time stand still until it is done or given up."""
        future = super().run_in_executor(executor, func, *args)
        self._held += 1
        future.add_done_callback(self._let_go)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Join the threads of the default executor; they end in real time."""
        with self.real_work():
            await super().shutdown_default_executor(timeout)

    def _let_go(self, _: asyncio.Future[Any]) -> None:
        self._held -= 1

    def _idle(self, timeout: float | None, poll: Callable[[float], _Ready]) -> _Ready:
        """Return what is ready; with nothing ready, wait for what is real, jump, or call a deadlock."""
        if self._random is not None:
            shuffle_tasks(self._ready, self._random)
        ready = poll(0.0)
        if ready or self._ready or timeout == 0:
            return ready
        if self._held or _worker_threads(self, busy=True):
            return self._wait(poll, "real work that does not end")
        if timeout is not None:
            self._jump(timeout)
            return ready
        if self._has_real_company():
            return self._wait(poll, "threads or file descriptors that do not report")
        raise DeadlockError(
            f"nothing is ready, and there is no timer to wait for\n{_whereabouts(self)}"
        )

    def _jump(self, seconds: float) -> None:
        self._now += seconds
        # asyncio fires what is due before now + resolution, which must not round to now.
        self._clock_resolution = max(_RESOLUTION_SECONDS, math.ulp(self._now))

    def _wait(self, poll: Callable[[float], _Ready], reason: str) -> _Ready:
        ready = poll(self._patience_seconds)
        if not ready and not self._ready:
            raise DeadlockError(
                f"waited {self._patience_seconds} real seconds for {reason}\n{_whereabouts(self)}"
            )
        return ready

    def _has_real_company(self) -> bool:
        threads = threading.active_count() - 1 - len(_worker_threads(self, busy=False))
        return threads > 0 or len(self._selector_below.get_map()) > self._own_descriptors


@contextmanager
def real_work() -> Generator[None]:
    """Keep the running loop's virtual time from jumping while something real is waited for.

    For threads of one's own, sockets and child processes: ``with real_work(): await process.wait()``. Nests.

    >>> import asyncio, threading
    >>> from asyncexec.testing.virtual_clock import real_work
    >>> from asyncexec.testing.virtual_time import run
    >>> async def wait_for_a_thread():
    ...     done, loop = asyncio.Event(), asyncio.get_running_loop()
    ...     threading.Timer(0.05, loop.call_soon_threadsafe, [done.set]).start()
    ...     with real_work():
    ...         await asyncio.wait_for(done.wait(), 3600)
    ...     return loop.time()
    >>> run(wait_for_a_thread())
    0.0

    Raises
    ------
    UsageError
        If the running loop has no virtual clock.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualClockLoop):
        raise UsageError(
            f"real_work() holds virtual time, and the running loop is a {type(loop).__name__}: "
            f"run the test with asyncexec.testing.virtual_time"
        )
    with loop.real_work():
        yield


def shuffle_tasks(ready: deque[asyncio.Handle], source: random.Random) -> None:
    """Shuffle the steps of tasks among their places in ``ready``; other callbacks stay where they are."""
    # Threads may append meanwhile, so that only what is there now is taken out and put back in front.
    handles = [ready.popleft() for _ in range(len(ready))]
    places = [place for place, handle in enumerate(handles) if _is_step(handle)]
    steps = [handles[place] for place in places]
    source.shuffle(steps)
    for place, handle in zip(places, steps, strict=True):
        handles[place] = handle
    ready.extendleft(reversed(handles))


def _is_step(handle: asyncio.Handle) -> bool:
    callback = getattr(handle, "_callback", None)
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)


class _IdleSelector(selectors.BaseSelector):
    """Hands the decision what to do when nothing is ready to the loop."""

    def __init__(self, idle: Callable[[float | None, Callable[[float], _Ready]], _Ready]) -> None:
        self._inner = selectors.DefaultSelector()
        self._idle = idle

    def select(self, timeout: float | None = None) -> _Ready:
        return self._idle(timeout, self._inner.select)

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._inner.unregister(fileobj)

    def modify(
        self, fileobj: FileDescriptorLike, events: int, data: Any = None
    ) -> selectors.SelectorKey:
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Any:
        return self._inner.get_map()

    def close(self) -> None:
        self._inner.close()


def _worker_threads(loop: asyncio.AbstractEventLoop, *, busy: bool) -> list[threading.Thread]:
    """Return the threads of ``anyio.to_thread`` that work (or wait for work) for ``loop``.

    anyio hands work to its threads past ``run_in_executor``, and has no public way to ask. A thread that belongs to a
    loop and knows a list of idle threads is busy while it is not on it.
    """
    found: list[threading.Thread] = []
    for thread in threading.enumerate():
        idle = getattr(thread, "idle_workers", None)
        if idle is not None and getattr(thread, "loop", None) is loop:
            works = thread not in idle and not getattr(thread, "stopping", False)
            if works is busy:
                found.append(thread)
    return found


def _whereabouts(loop: asyncio.AbstractEventLoop) -> str:
    """Return one line for every task: its name and where it waits."""
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    lines = [f"  {task.get_name()} waits at {_place(task.get_coro())}" for task in tasks]
    return "\n".join(lines) or "  (no task is left, but the loop was not stopped)"


def _place(awaited: Any) -> str:
    """Return where the innermost coroutine under ``awaited`` is suspended, event libraries left out."""
    place = "an unknown place"
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            code = frame.f_code
            if "unknown" in place or Path(code.co_filename).parent not in _EVENT_LIBRARIES:
                place = f"{code.co_filename}:{frame.f_lineno} in {code.co_qualname}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)
    return place
