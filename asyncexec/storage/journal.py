"""What is complete, kept across runs: an append-only file of checksummed lines.

Each line is the CRC-32 of a JSON document and the document. A line that does not match its checksum (a run was killed
while it wrote) is left out: what it told of will be done again, which costs time and is never wrong. The first line
says of which plan the journal is.

Lines are written by a thread of its own, twice a second and at the end, from what was noted since; noting costs an
append to a queue.
"""

from __future__ import annotations

import json
import logging
import threading
import zlib
from collections import deque
from typing import TYPE_CHECKING, Any, Protocol

from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import collect_aiterator, sync

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from asyncexec.storage.locations import Location

VERSION = 1
FLUSH_SECONDS = 0.5
_log = logging.getLogger(__name__)


class Log(Protocol):
    """Somewhere to append to."""

    def read(self) -> bytes:
        """Return everything appended so far."""
        ...

    def append(self, data: bytes) -> None:
        """Append ``data``."""
        ...


class FileLog:
    """A local file."""

    def __init__(self, path: Any) -> None:
        self._path = path

    def read(self) -> bytes:
        try:
            return bytes(self._path.read_bytes())
        except FileNotFoundError:
            return b""

    def append(self, data: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(data)


class ObjectLog:
    """Numbered objects under a prefix, for stores that cannot append."""

    def __init__(self, location: Location) -> None:
        self._place = location.open()
        self._next: int | None = None

    def read(self) -> bytes:
        keys = self._keys()
        self._next = 1 + max((int(key.rpartition("/")[2]) for key in keys), default=-1)
        prototype = default_buffer_prototype()
        found = [sync(self._place.store.get(key, prototype)) for key in keys]
        return b"".join(data.to_bytes() for data in found if data is not None)

    def append(self, data: bytes) -> None:
        if self._next is None:
            self.read()
        sync(
            (self._place / f"{self._next:012d}").set(
                default_buffer_prototype().buffer.from_bytes(data)
            )
        )
        self._next = (self._next or 0) + 1

    def _keys(self) -> list[str]:
        prefix = f"{self._place.path}/" if self._place.path else ""
        return sorted(collect_aiterator(self._place.store.list_prefix(prefix)))


def log_at(location: Location) -> Log:
    """Return the log at ``location``."""
    path = location.local_path
    return ObjectLog(location) if path is None else FileLog(path)


class Journal:
    """Which tasks of a plan are complete, and which arrays it has made.

    Parameters
    ----------
    log : Log
    fingerprint : str
        Of the plan; what another plan has journalled does not count.
    """

    def __init__(self, log: Log, fingerprint: str) -> None:
        self._log = log
        self._notes: deque[tuple[str, tuple[int, ...]]] = deque()
        self._stop = threading.Event()
        self._torn = False
        self._thread: threading.Thread | None = None
        self.made: dict[str, str] = {}
        """Arrays made by earlier runs: their place, and the stamp that tells whether they are still the same."""
        self._done: dict[str, list[tuple[int, int]]] = {}
        data = log.read()
        documents = list(_documents(data))
        heading = _heading(fingerprint)
        if heading in documents:
            for document in documents[documents.index(heading) + 1 :]:
                self._replay(document)
            if not data.endswith(b"\n"):
                log.append(b"\n")
        else:
            log.append((b"\n" if data else b"") + _line(heading))

    def done(self, stage: str) -> list[range]:
        """Return which tasks (flat indices) of ``stage`` earlier runs have completed."""
        return [range(start, stop) for start, stop in merged(self._done.get(stage, []))]

    def start(self) -> None:
        """Begin to write what is noted."""
        self._thread = threading.Thread(
            target=self._write_on, name="asyncexec-journal", daemon=True
        )
        self._thread.start()

    def note(self, stage: str, tasks: Sequence[int]) -> None:
        """Take note that ``tasks`` (flat indices) of ``stage`` are complete; returns at once."""
        self._notes.append((stage, tuple(tasks)))

    def note_made(self, place: str, stamp: str) -> None:
        """Write down that the array at ``place`` was made, which has nothing complete in it yet."""
        self.made[place] = stamp
        self._log.append(_line({"made": place, "stamp": stamp}))

    def close(self) -> None:
        """Write what is still only noted, and stop."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._flush()

    def _replay(self, document: Any) -> None:
        if "made" in document:
            self.made[document["made"]] = document["stamp"]
        elif "done" in document:
            runs = document["runs"]
            self._done.setdefault(document["done"], []).extend(
                zip(runs[::2], runs[1::2], strict=True)
            )

    def _write_on(self) -> None:
        while not self._stop.wait(FLUSH_SECONDS):
            self._flush()

    def _flush(self) -> None:
        noted: dict[str, list[int]] = {}
        while self._notes:
            stage, tasks = self._notes.popleft()
            noted.setdefault(stage, []).extend(tasks)
        if not noted:
            return
        lines = [_line({"done": stage, "runs": _runs(tasks)}) for stage, tasks in noted.items()]
        start = b"\n" if self._torn else b""
        try:
            self._log.append(start + b"".join(lines))
            self._torn = False
        except Exception as error:  # noqa: BLE001 - as the store puts it
            # The run itself goes on: without these lines, more would be done again after a failure. They may be
            # written in part, so the next ones begin with a new line.
            _log.warning(
                "the journal cannot be written, so resuming would repeat more: %s",
                type(error).__name__,
            )
            self._notes.extend((stage, tuple(tasks)) for stage, tasks in noted.items())
            self._torn = True


def merged(runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ``runs`` (start, stop) sorted, without overlaps, adjacent ones joined."""
    found: list[tuple[int, int]] = []
    for start, stop in sorted(runs):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        elif start < stop:
            found.append((start, stop))
    return found


def _runs(tasks: list[int]) -> list[int]:
    return [end for run in merged((task, task + 1) for task in tasks) for end in run]


def _heading(fingerprint: str) -> dict[str, Any]:
    return {"asyncexec-journal": VERSION, "plan": fingerprint}


def _line(document: Any) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _documents(data: bytes) -> Iterable[Any]:
    """Iterate over the documents of the lines that are whole."""
    for line in data.split(b"\n"):
        checksum, _, text = line.partition(b" ")
        if text and checksum == b"%08x" % zlib.crc32(text):
            yield json.loads(text)
