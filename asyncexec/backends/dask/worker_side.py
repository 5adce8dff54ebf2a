"""The code that runs in Dask workers: a batch as one Dask task, and the functions that stop attempts of it.

Small frames go out as events, which the scheduler passes on; it keeps the last thousand. A large frame comes as the
result of the Dask task, and another Dask task then follows the batch, which runs on in its thread.
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
from asyncexec.worker.control import NOTHING_STOPPED, StopResult
from asyncexec.worker.memory import MemoryMeter
from asyncexec.worker.remote_batch import RemoteBatch
from asyncexec.worker.streaming import Control

GATHER_SECONDS = 0.02
EVENT_BYTES = 16_384
REMEMBERED_CALLS = 10_000

_CELL = struct.Struct("<q")


class BatchPayload(NamedTuple):
    """The address of a call, for its reports."""

    topic: str
    """The topic of its events."""
    number: int
    """The number of the call, unique in its topic."""
    starts: str
    """The path of a file that a driver on the same machine reads after the worker's death."""
    cell: int
    """The cell of that file in which the call writes the attempt that runs."""
    worker: str
    """The driver's name for the worker."""
    measured: bool
    """True if the process's memory is that of one task at a time."""

    @property
    def name(self) -> str:
        """The name of the call, unique on a worker that serves several engines."""
        return f"{self.topic}/{self.number}"


def run_batch(packed: bytes, payload: BatchPayload) -> list[bytes]:
    """Start a batch, and follow it until a frame is too large for an event or the batch has ended.

    This is a Dask task, like :func:`follow_batch`, which is submitted after each large frame while the batch runs on.
    """
    call: RemoteBatch = pickle.loads(packed)  # noqa: S301 - from the driver
    control = call.control()
    _BATCHES.begin(payload.name, control, _frames(call, control, _StartsCell(payload)))
    return follow_batch(payload)


def follow_batch(payload: BatchPayload) -> list[bytes]:
    """Return the next large frame of a running batch; an empty list at its end."""
    for frame in _BATCHES.frames(payload.name):
        if not _send_event(payload, frame, end=False):
            return [frame]
    _BATCHES.end(payload.name)
    _send_event(payload, b"", end=True)
    return []


def _frames(call: RemoteBatch, control: Control, cell: _StartsCell) -> Iterator[bytes]:
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


def _send_event(payload: BatchPayload, frame: bytes, *, end: bool) -> bool:
    """Send a frame as an event; return False if it is too large for that."""
    from distributed import get_worker

    if len(frame) > EVENT_BYTES:
        return False
    event = {"call": payload.number, "frame": frame, "end": end}
    get_worker().log_event(payload.topic, event)
    return True


def stop_attempts(
    name: str, attempts: Sequence[int], *, leave: bool
) -> tuple[list[int], list[int]]:
    """Stop attempts of a call; return those that were dropped, and the one that was left behind.

    Called on the worker's event loop, while the batch runs or before it has arrived. Without ``leave``, an attempt that
    runs goes on.
    """
    stopped = _BATCHES.stop(name, attempts, leave=leave)
    return stopped.not_started, stopped.left


class _Batches:
    """The batches of this process: running ones, those with attempts stopped before they arrived, ended ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Control] = {}
        self._frames: dict[str, Iterator[bytes]] = {}
        self._stopped_early: OrderedDict[str, set[int]] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def begin(self, name: str, control: Control, frames: Iterator[bytes]) -> None:
        with self._lock:
            self._running[name] = control
            self._frames[name] = frames
            control.stop(self._stopped_early.pop(name, ()))

    def frames(self, name: str) -> Iterator[bytes]:
        return self._frames[name]

    def end(self, name: str) -> None:
        with self._lock:
            del self._running[name], self._frames[name]
            self._ended[name] = None
            _forget_oldest(self._ended)

    def stop(self, name: str, attempts: Sequence[int], *, leave: bool) -> StopResult:
        with self._lock:
            control = self._running.get(name)
            if control is not None:
                return control.stop(attempts, leave=leave)
            if name in self._ended:
                return NOTHING_STOPPED
            self._stopped_early.setdefault(name, set()).update(attempts)
            _forget_oldest(self._stopped_early)
            return StopResult(sorted(attempts), [])


class _StartsCell:
    """Writes the attempt that runs to a file that a driver on the same machine can read."""

    def __init__(self, payload: BatchPayload) -> None:
        self.payload = payload
        self._offset = payload.cell * _CELL.size
        try:
            self._file = os.open(payload.starts, os.O_WRONLY)
        except OSError:
            self._file = -1  # The driver is on another machine.

    def started(self, attempt: int) -> None:
        if self._file >= 0:
            os.pwrite(self._file, _CELL.pack(attempt), self._offset)

    def ended(self, outcome: Outcome) -> None:
        """Do nothing: the driver has the outcome, or counts this attempt as the one that was running."""

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)


class StartsFile:
    """The driver's side of the file in :class:`BatchPayload`.

    Parameters
    ----------
    path : str
        The path of the file, which is created.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        self._free: list[int] = []
        self._cells = 0

    def acquire(self) -> int:
        """Reserve a cell for a call."""
        if not self._free:
            self._free.append(self._cells)
            self._cells += 1
        cell = self._free.pop()
        os.pwrite(self._file, _CELL.pack(0), cell * _CELL.size)
        return cell

    def read(self, cell: int) -> int:
        """Return the attempt that started last; 0 if none has, or if the worker cannot write to the file."""
        (attempt,) = _CELL.unpack(os.pread(self._file, _CELL.size, cell * _CELL.size))
        return int(attempt)

    def release(self, cell: int) -> None:
        """Release the cell of a call."""
        self._free.append(cell)

    def close(self) -> None:
        """Close the file; its directory is removed by its owner."""
        os.close(self._file)


@cache
def _meter() -> MemoryMeter:
    """Return the only meter of this process."""
    return MemoryMeter()


def kill_worker(dask_worker: Any) -> None:
    """Kill a worker's process; called in its nanny, which starts another."""
    if dask_worker.pid is not None:
        os.kill(dask_worker.pid, signal.SIGKILL)


def forget_topic(dask_scheduler: Any, topic: str) -> None:
    """Remove the events of a topic from the scheduler."""
    broker = getattr(dask_scheduler, "_broker", None)
    if broker is not None:
        broker.truncate(topic)


def _forget_oldest(names: OrderedDict[str, Any]) -> None:
    while len(names) > REMEMBERED_CALLS:
        names.popitem(last=False)


_BATCHES = _Batches()
