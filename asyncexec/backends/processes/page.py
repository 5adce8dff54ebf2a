"""A page of memory that is shared by a worker process and the driver.

A worker deep in a kernel can send nothing: the kernel may hold the GIL for an hour, or crash. So before each attempt it
writes to the page which one it starts, and after each attempt the outcome, which stays there until the next frame takes
it along. The driver reads the page when a worker has been silent for a while, and after it has died. So

- the start of a long job is known within milliseconds, with the outcomes of the short jobs before it;
- a crash costs the job that crashed, and no other, and that job is known by its position;
- jobs that a worker holds and has not started can be taken away from it: the driver forbids them on the page.

Cells are 8 bytes, aligned, and each is written by one side, in one store. Values that belong together are in one cell:
(batch, position) of the attempt that runs, (batch, first, count) of the outcomes on the page. An attempt runs if its
position follows the outcomes.
"""

from __future__ import annotations

import mmap
import os
import time
from typing import NamedTuple

from asyncexec.backends.processes.frames import ROW

MOST_JOBS = 512
MOST_LANES = 4096
PAYLOAD_BYTES = 64 * 1024

_CELLS_AT, _TIMES_AT, _FORBIDDEN_AT = 0, 16, 64
_ROWS_AT = _FORBIDDEN_AT + 2 * MOST_JOBS
_PAYLOAD_AT = _ROWS_AT + ROW.size * MOST_JOBS
_LANES_AT = _PAYLOAD_AT + PAYLOAD_BYTES
_PAGE_BYTES = _LANES_AT + 8 * MOST_LANES

_RUN, _LEFT = 0, 1
_STARTED_AT, _SINCE = 0, 1
_KERNEL_AT = 32


class PageSnapshot(NamedTuple):
    """The state of a worker, as read from its page.

    Attributes
    ----------
    number : int
        The batch that it runs, or ran last; 0 before the first.
    position : int
        The position of the last attempt that it has started.
    running : bool
        True if that attempt has not ended.
    started_at, since : float
        Its start: in seconds since the epoch, and by the monotonic clock.
    first, left : int
        The position of the first outcome on the page, and their number.
    """

    number: int
    position: int
    running: bool
    started_at: float
    since: float
    first: int
    left: int


class Page:
    """The page, mapped from a file descriptor; both sides use this class."""

    def __init__(self, descriptor: int) -> None:
        self._map = mmap.mmap(descriptor, _PAGE_BYTES)
        self._whole = memoryview(self._map)
        self._cells = self._whole[_CELLS_AT:_TIMES_AT].cast("q")
        self._times = self._whole[_TIMES_AT : _TIMES_AT + 16].cast("d")
        self._forbidden = tuple(
            self._whole[_FORBIDDEN_AT + n * MOST_JOBS : _FORBIDDEN_AT + (n + 1) * MOST_JOBS]
            for n in range(2)
        )
        self._kernel = self._whole[_KERNEL_AT : _KERNEL_AT + 8].cast("q")
        self.table = self._whole[_ROWS_AT:_PAYLOAD_AT]
        self.payload = self._whole[_PAYLOAD_AT:_LANES_AT]
        """``table`` and ``payload``: where outcomes are left: their rows, and the bytes of their values and errors."""
        self.lanes = self._whole[_LANES_AT:].cast("q")
        """The attempts that run at once, in any order; 0 where there is none."""

    @staticmethod
    def create() -> int:
        """Return a file descriptor for a new page; the file has no name, and is removed with its last user."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("asyncexec")
        else:
            import tempfile  # Dear for a worker, which only opens pages.

            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, _PAGE_BYTES)
        return descriptor

    def close(self) -> None:
        """Unmap the page."""
        for cells in (self._cells, self._times, self._kernel):
            cells.release()
        for view in (*self._forbidden, self.table, self.payload, self.lanes, self._whole):
            view.release()
        self._map.close()

    # The worker's side.

    def begin(self, number: int) -> None:
        """Note that a batch starts; the page must hold no outcome of the last one."""
        self._cells[_LEFT] = number << 32

    def start(self, number: int, position: int) -> None:
        """Note that an attempt starts."""
        self._times[_STARTED_AT] = time.time()
        self._times[_SINCE] = time.monotonic()
        self._cells[_RUN] = number << 32 | position

    def enter(self, attempt: int) -> None:
        """Note whose kernel runs now, of the attempts that run at once; 0 for none."""
        self._kernel[0] = attempt

    def left(self, number: int, first: int, count: int) -> None:
        """Note that the table holds ``count`` outcomes, from position ``first``."""
        self._cells[_LEFT] = number << 32 | first << 16 | count

    def forbidden(self, number: int) -> memoryview:
        """Return a byte for each position in a batch: 1 if the attempt must not start."""
        return self._forbidden[number & 1]

    # The driver's side.

    def snapshot(self) -> PageSnapshot:
        """Return the state of the worker."""
        run, left = self._cells[_RUN], self._cells[_LEFT]
        number, position = run >> 32, run & 0xFFFFFFFF
        first, count = left >> 16 & 0xFFFF, left & 0xFFFF
        running = number > 0 and left >> 32 == number and position == first + count
        return PageSnapshot(
            number,
            position,
            running,
            self._times[_STARTED_AT],
            self._times[_SINCE],
            first,
            count,
        )

    @property
    def kernel(self) -> int:
        """The attempt whose kernel runs, of those that run at once; 0 for none."""
        return self._kernel[0]

    def allow(self, number: int) -> None:
        """Allow every attempt of a batch to start; a batch of the same parity must have ended."""
        self._forbidden[number & 1][:] = bytes(MOST_JOBS)

    def forbid(self, number: int) -> None:
        """Forbid the start of all attempts of a batch that have not started."""
        self._forbidden[number & 1][:] = b"\1" * MOST_JOBS
