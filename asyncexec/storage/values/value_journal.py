"""The journal of a run of functions: which tasks are complete, with their values, so that a further run goes on there.

The driver writes it, for it is where small values arrive anyway: from a thread of its own, many records at a time.
Large values are blobs that workers have written before they report the task; of them the journal holds the key.
"""

from __future__ import annotations

import threading
import time
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from asyncexec.errors import StorageError
from asyncexec.events.outcome import Encoded, ValueHandle
from asyncexec.storage.values.records import (
    Buffer,
    Kind,
    blob_data,
    blob_of,
    is_whole,
    record,
    record_at,
    records,
)

if TYPE_CHECKING:
    from asyncexec.storage.values.blobs import Blobs
    from asyncexec.storage.values.segments import Segments

_ABSENT = -1
_GATHERED_BYTES = 4 << 20
"""So much is written at once at the latest, where records are gathered for a while."""


class ValueJournal:
    """The completed tasks of a plan, by stage and task.

    Parameters
    ----------
    segments : Segments
    blobs : Blobs
        Those of the same run's folder.
    pickled : callable
        Returns the pickle of a value that came as it is.

    Attributes
    ----------
    error : StorageError or None
        Why nothing more can be written: then the run should not go on as if it could be resumed.
    """

    def __init__(
        self, segments: Segments, blobs: Blobs, *, pickled: Callable[[Any], bytes]
    ) -> None:
        self.error: StorageError | None = None
        self._segments = segments
        self._blobs = blobs
        self._pickled = pickled
        # Segments are mapped and stay as they are: what is appended from now on is in segments of its own.
        self._read = segments.read()
        self._starts = [0, *accumulate(map(len, self._read))]
        # By stage: for each task the place of its last record among all segments. Eight bytes a task, and no object.
        self._places: dict[str, array[int]] = {}
        for start, segment in zip(self._starts, self._read, strict=False):
            self._index(start, segment)
        self._waiting: deque[Buffer] = deque()
        self._waiting_bytes = 0
        self._wake = threading.Condition()
        self._closing = False
        self._writer: threading.Thread | None = None

    def done(self, stage: str, tasks: int) -> list[range]:
        """Return those of a stage's ``tasks`` that are complete and whose values are there, as ranges."""
        places = self._places.get(stage)
        if places is None:
            return []
        for task in range(min(tasks, len(places))):
            if places[task] != _ABSENT and not self._is_there(places[task]):
                places[task] = _ABSENT
        return list(_runs(places, tasks))

    def has(self, stage: str, task: int) -> bool:
        """Return whether an earlier run has completed a task."""
        places = self._places.get(stage, ())
        return task < len(places) and places[task] != _ABSENT

    def get(self, stage: str, task: int) -> Encoded | ValueHandle:
        """Return the value of a task that an earlier run has completed: pickled, or the handle of its blob.

        Of one that was damaged since the journal was opened, it is the handle of a blob that is not there, so that it
        is computed again as any lost value is.

        Raises
        ------
        KeyError
            If none has.
        """
        if not self.has(stage, task):
            raise KeyError(task)
        # Checked again, as it may have been damaged since it was indexed.
        kind, data = self._data(self._places[stage][task])
        if data is None:
            return ValueHandle(str(self._blobs.location), f"values/damaged-{stage}-{task}", 0)
        if kind == Kind.BLOB:
            return ValueHandle(str(self._blobs.location), *blob_of(data))
        return Encoded(bytes(data))

    def forget(self, stage: str) -> None:
        """Take nothing of a stage for complete: what its tasks are is not what it was."""
        self._places.pop(stage, None)

    def put(self, stage: str, task: int, value: Any) -> None:
        """Append a completed task, soon; returns at once, and never fails: see ``error``.

        ``value`` is ``Encoded``, a handle of the run's blobs, or any value that is small.
        """
        if type(value) is ValueHandle:
            pieces = record(stage, task, Kind.BLOB, blob_data(value.key, value.nbytes))
        else:
            data = value.data if type(value) is Encoded else self._pickled(value)
            pieces = record(stage, task, Kind.PICKLE, data)
        with self._wake:
            # Woken for the first record only: the writer takes all that has come by then.
            idle = not self._waiting
            self._waiting.extend(pieces)
            self._waiting_bytes += sum(map(len, pieces))
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_all, name="asyncexec-journal")
                self._writer.start()
            elif idle or self._waiting_bytes > _GATHERED_BYTES:
                self._wake.notify()

    def close(self) -> None:
        """Write what is waiting, and end; what was read stays readable."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._writer is not None:
            self._writer.join()
        self._segments.close()

    def _index(self, start: int, segment: memoryview) -> None:
        for found in records(segment):
            places = self._places.setdefault(found.stage.decode(), array("q"))
            if found.task >= len(places):
                # Twice as many, so that tasks that come one by one cost no more than all at once.
                room = max(found.task + 1, min(2 * len(places), found.task + 65536))
                places.extend([_ABSENT] * (room - len(places)))
            places[found.task] = start + found.begin

    def _data(self, place: int) -> tuple[int, memoryview | None]:
        """Return the kind of a record and its data; None where it is not whole any more."""
        number = bisect_right(self._starts, place) - 1
        segment = self._read[number]
        at = place - self._starts[number]
        if not is_whole(segment, at):
            return Kind.PICKLE, None
        found = record_at(segment, at)
        return found.kind, segment[found.start : found.stop]

    def _is_there(self, place: int) -> bool:
        kind, data = self._data(place)
        return data is not None and (kind == Kind.PICKLE or self._blobs.has(*blob_of(data)))

    # -- the thread that writes

    def _write_all(self) -> None:
        while (pieces := self._next()) is not None:
            try:
                self._segments.append(pieces)
            except Exception as error:  # noqa: BLE001 - whatever the store raises; the run fails by it
                self.error = self.error or _unwritten(error)

    def _next(self) -> Sequence[Buffer] | None:
        """Wait for records and return all that are there; None at the end."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
            if gather := self._segments.gather_seconds:
                until = time.monotonic() + gather
                self._wake.wait_for(
                    lambda: self._closing or self._waiting_bytes > _GATHERED_BYTES,
                    until - time.monotonic(),
                )
            pieces = list(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
        return pieces or None


def _runs(places: array[int], tasks: int) -> Iterator[range]:
    begin: int | None = None
    for task in range(min(tasks, len(places))):
        absent = places[task] == _ABSENT
        if begin is None and not absent:
            begin = task
        elif begin is not None and absent:
            yield range(begin, task)
            begin = None
    if begin is not None:
        yield range(begin, min(tasks, len(places)))


def _unwritten(error: Exception) -> StorageError:
    if isinstance(error, StorageError):
        return error
    return StorageError(
        f"the journal of completed tasks cannot be written: {type(error).__name__}: {error}. The run stops, as what it "
        f"completes from here on could not be resumed: free space in work_dir, and run again with resume=True"
    )
