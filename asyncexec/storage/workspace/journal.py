"""The journal of the arrays that a plan has created, kept across runs: an append-only file of checksummed lines.

The chunks themselves show which tasks are complete: each appears whole or not at all, is always written (also where it
holds nothing but the fill value), and is written by one task of one plan. So nothing is recorded for a task, and a
driver that is killed loses no chunk that was written. The chunks do not show which plan wrote them. The journal does:
it has the fingerprint of the plan, and the arrays that this plan has created, each with a stamp that differs from that
of an array created at the same place since.

Each line is the CRC-32 of a JSON document and the document. A line that does not match its checksum (a run was killed
while it wrote) is ignored: the array in it is created again, which costs time and is never wrong.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Protocol

from asyncexec.storage.places.objects import objects_at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from asyncexec.storage.places.locations import Location

VERSION = 1


class Log(Protocol):
    """A log that data are appended to."""

    def read(self) -> bytes:
        """Return everything appended so far."""
        ...

    def append(self, data: bytes) -> None:
        """Append ``data``."""
        ...


class FileLog:
    """A log in a local file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""

    def append(self, data: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(data)


class ObjectLog:
    """A log of numbered objects under a prefix, for stores that cannot append."""

    def __init__(self, location: Location) -> None:
        self._objects = objects_at(location)
        self._next: int | None = None

    def read(self) -> bytes:
        names = sorted(self._objects.names())
        self._next = 1 + max((int(name.rpartition("/")[2]) for name in names), default=-1)
        found = [self._objects.get(name) for name in names]
        return b"".join(data for data in found if data is not None)

    def append(self, data: bytes) -> None:
        if self._next is None:
            self.read()
        self._objects.put(f"{self._next:012d}", data)
        self._next = (self._next or 0) + 1


def log_at(location: Location) -> Log:
    """Return the log at ``location``."""
    path = location.local_path
    return ObjectLog(location) if path is None else FileLog(path)


class Journal:
    """The arrays that a plan has created.

    Parameters
    ----------
    log : Log
    fingerprint : str
        Of the plan; arrays of another plan are ignored.
    """

    def __init__(self, log: Log, fingerprint: str) -> None:
        self._log = log
        self.made: dict[str, str] = {}
        """The stamps of arrays that runs of this plan have created, by place."""
        data = log.read()
        documents = list(_documents(data))
        heading = {"asyncexec-journal": VERSION, "plan": fingerprint}
        if heading in documents:
            for document in documents[documents.index(heading) + 1 :]:
                self._replay(document)
        # A line that was cut off at the end is closed first, or the next one would become part of it.
        begin = b"" if not data or data.endswith(b"\n") else b"\n"
        if heading not in documents or begin:
            log.append(begin + (b"" if heading in documents else _line(heading)))

    def record(self, place: str, stamp: str) -> None:
        """Record that the array at ``place`` was created."""
        self._log.append(_line({"made": place, "stamp": stamp}))
        self.made[place] = stamp

    def _replay(self, document: Any) -> None:
        if "made" in document:
            self.made[document["made"]] = document["stamp"]


def _line(document: Any) -> bytes:
    text = json.dumps(document, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _documents(data: bytes) -> Iterable[Any]:
    """Yield the documents of the lines whose checksums match."""
    for line in data.split(b"\n"):
        checksum, _, text = line.partition(b" ")
        if text and checksum == b"%08x" % zlib.crc32(text):
            yield json.loads(text)
