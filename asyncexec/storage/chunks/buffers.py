"""Memory for chunks that is used again: fresh memory costs a page fault for every 4 kB, which is filled with zeros.

A thread that runs tasks keeps the blocks that chunks of one stage were read and decoded into, until that stage's tasks
give way to another's, or their program is gone. So it holds no more than a task of the stage has held, all of which the
task's projected memory counts. A block is free when no view of it is left, in whatever thread the last one went.
"""

from __future__ import annotations

import mmap
import threading
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

LEAST_BYTES = 2**18
"""Up to this size the allocator uses memory again by itself."""


_HUGE_BYTES = 2**22
_MOST_KEPT = 2**25 - 2**16
"""The largest blocks that glibc's allocator keeps, less what it adds to each."""

_SPARE = 16


def _mapped(nbytes: int) -> np.ndarray:
    """Return memory that goes back to the system as soon as it is free; an allocator may keep some."""
    if not hasattr(mmap, "MAP_PRIVATE"):
        return np.empty(nbytes, np.uint8)
    pages = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if nbytes >= _HUGE_BYTES and hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):  # Where the system has none.
            pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, np.uint8)


def _nobody() -> None:
    return None


class _FreeBlocks:
    """The blocks that the tasks of one program have left; with those in use, no more bytes than were in use at once.

    Blocks that serve are as large as what is asked for, or little larger, and sizes may differ by as little from task
    to task: :data:`_SPARE` is that part of them.
    """

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._used = self._most = 0
        self._lock = (
            threading.RLock()
        )  # As garbage may be collected, and blocks come back, at any moment.
        self._closed = False

    def add(self, block: np.ndarray) -> None:
        with self._lock:
            self._used -= block.nbytes
            if not self._closed:
                self._blocks.append(block)

    def pop(self, nbytes: int) -> np.ndarray:
        """Return the smallest block that serves, or a new one, in place of others that are too much with it."""
        with self._lock:
            self._blocks.sort(key=_size)
            smaller = sum(block.nbytes < nbytes for block in self._blocks)
            fits = self._blocks[smaller : smaller + 1]
            if fits and fits[0].nbytes <= nbytes + nbytes // _SPARE:
                block = self._blocks.pop(smaller)
            else:
                used = self._used + nbytes
                self._most = max(self._most, used)
                while sum(map(_size, self._blocks)) > self._most + self._most // _SPARE - used:
                    # The largest of those that it takes the place of first; then the smallest of the others.
                    smaller -= 1
                    del self._blocks[max(smaller, 0)]
                block = _mapped(nbytes)
            self._used += block.nbytes
        return block

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._blocks.clear()

    @property
    def nbytes(self) -> int:
        with self._lock:
            return sum(block.nbytes for block in self._blocks)


class _Allocator:
    """The allocator of this process, as far as it keeps what is freed.

    That of glibc gives a block back to the system at once if it is larger than any that was freed before, up to
    :data:`_MOST_KEPT`, and the end of its heap when more than twice of that is free. An encoder asks for what its
    result could have at most and frees what it has, so that the allocator never learns that size: chunks are encoded
    into fresh memory, which the system fills with zeros page by page.
    """

    def __init__(self) -> None:
        self._learned = 0

    def learn(self, nbytes: int) -> None:
        """Have blocks of up to ``nbytes`` kept when they are freed, and as much more."""
        if self._learned < nbytes <= _MOST_KEPT:
            self._learned = nbytes
            with suppress(MemoryError):
                # Freed at once; the system gives no memory for zeros that nobody looks at. Twice as much, as the result
                # of a kernel lies in the heap below what it is encoded into.
                bytes(min(2 * nbytes, _MOST_KEPT))


ALLOCATOR = _Allocator()


class Buffers(threading.local):
    """The memory that the calling thread uses again; ``has_user`` says whether any may be kept.

    >>> from asyncexec.storage.chunks.buffers import Buffers
    >>> class Program: ...
    >>> buffers, program = Buffers(), Program()
    >>> buffers.begin(program)
    >>> block = buffers.take(1_000_000)
    >>> buffers.free_bytes
    0
    >>> del block
    >>> buffers.free_bytes
    1000000
    >>> del program
    >>> buffers.free_bytes
    0
    """

    def __init__(self) -> None:
        self.has_user = False
        self._user: Callable[[], Any] = _nobody
        self._free: _FreeBlocks | None = None
        self._lasts = False

    @contextmanager
    def lasting(self) -> Generator[None]:
        """Have what is taken meanwhile be memory of its own, for what is there longer than the task that takes it."""
        self._lasts = True
        try:
            yield
        finally:
            self._lasts = False

    def begin(self, user: object) -> None:
        """Have what ``user`` takes in this thread be used again by it; what another one has left goes."""
        if self._user() is user:
            return
        if self._free is not None:
            self._free.close()
        free = self._free = _FreeBlocks()
        # Weak, as a thread may wait for its next task for long: a program that is gone takes its memory along.
        self._user = weakref.ref(user, lambda _: free.close())
        self.has_user = True

    def end_of_others(self, user: object) -> None:
        """Let all go that others than ``user`` have left."""
        if self._user() is user:
            return
        if self._free is not None:
            self._free.close()
        self._free, self._user, self.has_user = None, _nobody, False

    def take(self, nbytes: int) -> np.ndarray:
        """Return ``nbytes`` bytes of any content, which are used again when the last view of them is gone."""
        free = self._free
        if nbytes < LEAST_BYTES:
            return np.empty(nbytes, np.uint8)
        if self._lasts:
            return _mapped(nbytes)
        if free is None:
            return np.empty(nbytes, np.uint8)
        block = free.pop(nbytes)
        # Of the memory, not of the array: else views would refer to the block itself, and outlive what is told here.
        taken: np.ndarray = np.frombuffer(block.data, np.uint8, nbytes)
        weakref.finalize(taken, free.add, block).atexit = False
        return taken

    @property
    def free_bytes(self) -> int:
        """The bytes that the thread keeps for later."""
        return 0 if self._free is None else self._free.nbytes


BUFFERS = Buffers()
"""Those of the thread in which a task runs."""


def read_only(block: np.ndarray) -> memoryview:
    """Return the bytes of ``block``, which nobody can make writable again."""
    return memoryview(block).toreadonly()


def _size(block: np.ndarray) -> int:
    return block.nbytes
