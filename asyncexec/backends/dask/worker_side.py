"""What runs in a Dask worker: a batch as one Dask task, and orders to a batch that runs.

News go out as events, which the scheduler passes on, as long as they are small: it keeps the last thousand. What is
large comes as the result of the Dask task, and another Dask task then follows the batch, which runs on.
"""

from __future__ import annotations

import os
import pickle
import signal
import struct
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from asyncexec.events.outcome import Outcome
from asyncexec.worker.control import NOTHING_STOPPED, BatchControl, StopResult
from asyncexec.worker.memory import MemoryMeter
from asyncexec.worker.remote_batch import RemoteBatch

GATHER_SECONDS = 0.02
EVENT_BYTES = 16_384
REMEMBERED_CALLS = 10_000

_CELL = struct.Struct("<q")


class BatchPayload(NamedTuple):
    """How a call is told of.

    Attributes
    ----------
    topic : str
        Of the events.
    number : int
        Of the call, unique in its topic.
    starts : str
        Path of a file that a driver on the same machine reads after the worker's death.
    cell : int
        Where in it the call writes down which attempt runs.
    worker : str
        What the driver calls the worker.
    measured : bool
        Whether the process's memory is that of one task at a time.
    """

    topic: str
    number: int
    starts: str
    cell: int
    worker: str
    measured: bool

    @property
    def name(self) -> str:
        """Which call it is, on a worker that has many masters."""
        return f"{self.topic}/{self.number}"


def run_call(packed: bytes, payload: BatchPayload) -> list[bytes]:
    """Run a batch, and return a frame that is too large for an event as soon as there is one; else nothing, at the end.

    A Dask task, like :func:`follow_call`, which is to come after such a frame; the batch runs on meanwhile.
    """
    call: RemoteBatch = pickle.loads(packed)  # noqa: S301 - from the driver
    control = call.control()
    _CALLS.begin(payload.name, control, _frames(call, control, _StartsCell(payload)))
    return follow_call(payload)


def follow_call(payload: BatchPayload) -> list[bytes]:
    """Return the next large frame of a batch that runs; nothing at its end."""
    for frame in _CALLS.frames(payload.name):
        if not _tell(payload, frame, end=False):
            return [frame]
    _CALLS.end(payload.name)
    _tell(payload, b"", end=True)
    return []


def _frames(call: RemoteBatch, control: BatchControl, cell: _StartsCell) -> Iterator[bytes]:
    try:
        yield from call.frames(
            control,
            worker=cell.payload.worker,
            gather_seconds=GATHER_SECONDS,
            meter=_meter() if cell.payload.measured else None,
            marks=cell,
        )
    finally:
        cell.close()


def _tell(payload: BatchPayload, frame: bytes, *, end: bool) -> bool:
    """Send a frame as an event; False if it is too large for that."""
    from distributed import get_worker

    if len(frame) > EVENT_BYTES:
        return False
    event = {"call": payload.number, "frame": frame, "end": end}
    get_worker().log_event(payload.topic, event)
    return True


def stop_attempts(
    name: str, attempts: Sequence[int], *, leave: bool
) -> tuple[list[int], list[int]]:
    """Stop attempts of a call, and return those that were dropped and those that were left behind.

    Called on the worker's event loop, while the batch runs or before it has come. Without ``leave`` one that runs goes
    on running.
    """
    stopped = _CALLS.stop(name, attempts, leave=leave)
    return stopped.not_started, stopped.left


class _Calls:
    """The calls of this process: those that run, those that were stopped before they came, those that have ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, BatchControl] = {}
        self._frames: dict[str, Iterator[bytes]] = {}
        self._early: OrderedDict[str, set[int]] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def begin(self, name: str, control: BatchControl, frames: Iterator[bytes]) -> None:
        with self._lock:
            self._running[name] = control
            self._frames[name] = frames
            control.stop(self._early.pop(name, ()))

    def frames(self, name: str) -> Iterator[bytes]:
        return self._frames[name]

    def end(self, name: str) -> None:
        with self._lock:
            del self._running[name], self._frames[name]
            self._ended[name] = None
            _shorten(self._ended)

    def stop(self, name: str, attempts: Sequence[int], *, leave: bool) -> StopResult:
        with self._lock:
            control = self._running.get(name)
            if control is not None:
                return control.stop(attempts, leave=leave)
            if name in self._ended:
                return NOTHING_STOPPED
            self._early.setdefault(name, set()).update(attempts)
            _shorten(self._early)
            return StopResult(sorted(attempts), [])


class _StartsCell:
    """Notes which attempt runs, where a driver on the same machine can read it."""

    def __init__(self, payload: BatchPayload) -> None:
        self.payload = payload
        self._offset = payload.cell * _CELL.size
        try:
            self._file = os.open(payload.starts, os.O_WRONLY)
        except OSError:
            self._file = -1  # Another machine.

    def started(self, attempt: int) -> None:
        if self._file >= 0:
            os.pwrite(self._file, _CELL.pack(attempt), self._offset)

    def ended(self, outcome: Outcome) -> None:
        """Do nothing: the driver has the outcome, or charges this attempt."""

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)


class StartsFile:
    """The file of :class:`BatchPayload`, as the driver sees it.

    Parameters
    ----------
    path : str
        Of a file that this creates.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._free: list[int] = []
        self._cells = 0

    def take(self) -> int:
        """Return a cell for a call."""
        if not self._free:
            self._free.append(self._cells)
            self._cells += 1
        cell = self._free.pop()
        os.pwrite(self._file, _CELL.pack(0), cell * _CELL.size)
        return cell

    def read(self, cell: int) -> int:
        """Return the attempt that started last; 0 if none has, or the worker does not see the file."""
        (attempt,) = _CELL.unpack(os.pread(self._file, _CELL.size, cell * _CELL.size))
        return int(attempt)

    def give_back(self, cell: int) -> None:
        """Let another call have the cell."""
        self._free.append(cell)

    def close(self) -> None:
        """Close it; its directory is removed by whoever made it."""
        os.close(self._file)


@cache
def _meter() -> MemoryMeter:
    """Return the one meter of this process."""
    return MemoryMeter()


def kill_worker(dask_worker: Any) -> None:
    """End a worker's process, from its nanny, which starts another."""
    if dask_worker.pid is not None:
        os.kill(dask_worker.pid, signal.SIGKILL)


def forget_topic(dask_scheduler: Any, topic: str) -> None:
    """Have the scheduler forget what was said under a topic."""
    broker = getattr(dask_scheduler, "_broker", None)
    if broker is not None:
        broker.truncate(topic)


def _shorten(names: OrderedDict[str, Any]) -> None:
    while len(names) > REMEMBERED_CALLS:
        names.popitem(last=False)


_CALLS = _Calls()
