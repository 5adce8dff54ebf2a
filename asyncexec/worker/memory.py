"""The memory that a worker process holds, and the limit of what it may hold.

On Linux a process can reset the kernel's record of its own peak ("5" to ``clear_refs``) before a task and
read it (``VmHWM``) after; that costs about 10 µs. Elsewhere there is only the peak of the process's whole life.

The limit is RLIMIT_DATA, which counts private writable memory when it is asked for, not when it is touched. Libraries
ask for more than they touch (stacks of threads, pools), so what they have reserved and not touched when a program has
just been loaded is added on top of the limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
import threading
import time
from collections.abc import Generator
from typing import Self

# A value stage's task shorter than this is not measured: it would cost more than the task.
WORTH_MEASURING_SECONDS = 0.001
_STATUS_BYTES = 8192
_STACK_BYTES = 8 * 2**20
LEAST_BYTES = 64 * 2**20
"""The bytes that a process may ask for beyond what it has when its first batch begins, however little it may hold."""


class MemoryMeter:
    """Measures this process, one attempt at a time.

    Parameters
    ----------
    always : bool
        Whether short attempts are measured too; otherwise only those that save.
    """

    def __init__(self, *, always: bool = False) -> None:
        self._always = always
        self._saves = False
        self._since = 0.0
        self._reset = _open("/proc/self/clear_refs", os.O_WRONLY)
        self._status = _open("/proc/self/status", os.O_RDONLY)
        if not self._can_reset():
            self._reset = None

    def start(self, *, saves: bool = False) -> None:
        """Forget the peak so far; an attempt that ``saves`` is measured however short it is."""
        self._saves = saves
        self._since = time.perf_counter()
        if self._reset is not None:
            os.pwrite(self._reset, b"5", 0)  # Linux sets the peak back to what is held now.

    def peak_bytes(self) -> int:
        """Return the most this process has held since :meth:`start`; 0 where it was not worth asking."""
        brief = time.perf_counter() - self._since < WORTH_MEASURING_SECONDS
        if brief and not (self._always or self._saves):
            return 0
        if self._reset is None:
            return lifetime_peak_bytes()
        return self._figure(b"VmHWM:")

    def reserved_bytes(self) -> int:
        """Return how much private memory has been asked for beyond what is held."""
        if self._status is None:
            return 0
        return max(0, self._figure(b"VmData:") - self._figure(b"VmRSS:"))

    def _figure(self, name: bytes) -> int:
        if self._status is None:
            return 0
        text = os.pread(self._status, _STATUS_BYTES, 0)
        at = text.find(name) + len(name)
        return int(text[at : text.index(b"kB", at)]) * 1024

    def _can_reset(self) -> bool:
        if self._reset is None or self._status is None:
            return False
        try:
            os.pwrite(self._reset, b"5", 0)
            return b"VmHWM:" in os.pread(self._status, _STATUS_BYTES, 0)
        except OSError:
            return False


def lifetime_peak_bytes() -> int:
    """Return the most this process has ever held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class MemoryLimit:
    """The most private memory this process may ask for."""

    def __init__(self, meter: MemoryMeter) -> None:
        self._meter = meter
        self._spare = 0
        self._before = 0
        self._now: int | None = None

    def loading(self) -> None:
        """Begin to measure the load of a program, with the libraries it needs."""
        self._before = self._meter.reserved_bytes()

    def loaded(self) -> None:
        """End the measurement of the load: memory that was reserved and not touched does not count."""
        self._spare += max(0, self._meter.reserved_bytes() - self._before)

    def set(self, allowed_bytes: int | None) -> None:
        """Let this process hold ``allowed_bytes``; None lifts the limit."""
        wanted = None if allowed_bytes is None else allowed_bytes + self._spare
        # Tasks of one stage have one limit: a system call for each would be most of what a short one costs.
        if wanted == self._now:
            return
        _set_limit(wanted)
        self._now = wanted


class MemoryGuard(MemoryMeter):
    """A meter that keeps each attempt which it measures within its memory; for processes with other threads in them.

    What the process has asked for and not touched when an attempt begins (stacks, pools) is added on top.

    Parameters
    ----------
    always : bool
        As of :class:`MemoryMeter`.
    """

    def __init__(self, *, always: bool = False) -> None:
        super().__init__(always=always)
        self._allowed_bytes = 0
        self._limit = MemoryLimit(self) if sys.platform == "linux" else None

    def within(self, allowed_bytes: int) -> Self:
        """Return this guard, which keeps the attempts from now on within ``allowed_bytes``."""
        self._allowed_bytes = allowed_bytes
        return self

    def start(self, *, saves: bool = False) -> None:
        """Begin an attempt."""
        super().start(saves=saves)
        if self._limit is not None:
            self._limit.set(self._allowed_bytes + self.reserved_bytes())

    def peak_bytes(self) -> int:
        """End the attempt, and return the most this process has held in it."""
        if self._limit is not None:
            self._limit.set(None)
        return super().peak_bytes()


class SharedMemoryLimit:
    """The limit of a process in which batches may run side by side: the sum of what each of them may hold.

    What the process has reserved and not touched when the first of them begins is added on top. A process that holds
    nearly as much by then, or more, may ask for :data:`LEAST_BYTES` further ones, so that it can report. Only Linux
    has such a limit; elsewhere nothing happens.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._allowed: list[int] = []
        self._spare = 0
        self._least = 0

    @contextlib.contextmanager
    def within(self, allowed_bytes: int | None) -> Generator[None]:
        """Let a batch hold ``allowed_bytes`` meanwhile; None is no limit of its own."""
        if allowed_bytes is None or sys.platform != "linux":
            yield
            return
        with self._lock:
            if not self._allowed:
                data, held = _data_now()
                self._spare, self._least = max(0, data - held), data + LEAST_BYTES
            self._allowed.append(allowed_bytes)
            self._set()
        try:
            yield
        finally:
            with self._lock:
                self._allowed.remove(allowed_bytes)
                self._set()

    @contextlib.contextmanager
    def lifted(self) -> Generator[None]:
        """Have no limit meanwhile, to load a program: what its libraries reserve does not count afterwards."""
        with self._lock:
            if not self._allowed:
                yield
                return
            data, held = _data_now()
            _set_limit(None)
            try:
                yield
            finally:
                data_then, held_then = _data_now()
                self._spare += max(0, (data_then - held_then) - (data - held))
                self._least = max(self._least, data_then + LEAST_BYTES)
                self._set()

    def _set(self) -> None:
        if not self._allowed:
            _set_limit(None)
            return
        # Each batch has a thread, whose stack counts as soon as it is reserved.
        wanted = sum(self._allowed) + self._spare + _STACK_BYTES * len(self._allowed)
        # A process that holds more already than its tasks may must still be able to say so.
        _set_limit(max(wanted, self._least))


SHARED_LIMIT = SharedMemoryLimit()
"""The limit of this process, where its batches come with what they may hold."""


def give_back_memory() -> None:
    """Hand freed memory that the allocator keeps back to the system, where the allocator can (glibc).

    What tasks of one kind leave behind would count as held by tasks of another kind, which may be allowed less.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def be_killed_first() -> None:
    """Ask the system, should it run out of memory, to kill this process rather than the driver."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - no pathlib here: its import is slower than all of this
        file.write("500")


def _set_limit(wanted: int | None) -> None:
    """Set the most private memory that this process may ask for; None is as much as the system lets it have."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = hard if wanted is None else wanted
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_now() -> tuple[int, int]:
    """Return how much private memory this process has asked for, and how much it holds, also after a fork."""
    figures = {b"VmData": 0, b"VmRSS": 0}
    with open("/proc/self/status", "rb") as status:  # noqa: PTH123 - the same
        for line in status:
            name, _, value = line.partition(b":")
            if name in figures:
                figures[name] = int(value.split()[0]) * 1024
    return figures[b"VmData"], figures[b"VmRSS"]


def _open(path: str, flags: int) -> int | None:
    try:
        return os.open(path, flags)
    except OSError:
        return None
