"""The segments of a journal of values: a file for each run, or numbered objects in stores that cannot append."""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from asyncexec.storage.places.objects import objects_at

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.values.records import Buffer

FOLDER = "journal"


class Segments(Protocol):
    """A journal's segments: those of earlier runs, to read, and one of this run, to append to."""

    gather_seconds: float
    """For how long records are gathered before they are written."""

    def read(self) -> list[memoryview]:
        """Return the segments that are there, in their order."""
        ...

    def append(self, pieces: Sequence[Buffer]) -> None:
        """Write these pieces, and return when a driver that is killed would not lose them."""
        ...

    def close(self) -> None:
        """Close what is open; what was read may still be looked into."""
        ...


def segments_at(location: Location) -> Segments:
    """Return the segments in a run's folder."""
    path = location.local_path
    return ObjectSegments(location) if path is None else FileSegments(path)


class FileSegments:
    """Segments as files of a local directory.

    Parameters
    ----------
    root : Path
        The run's folder, which is there.
    """

    gather_seconds = 0.0

    def __init__(self, root: Path) -> None:
        self._folder = root / FOLDER
        self._descriptor: int | None = None

    def read(self) -> list[memoryview]:
        with contextlib.suppress(FileNotFoundError):
            # Mapped, not read: a journal may be larger than memory, and most values are never looked at.
            return [_mapped(path) for path in sorted(self._folder.iterdir()) if path.stat().st_size]
        return []

    def append(self, pieces: Sequence[Buffer]) -> None:
        data = memoryview(b"".join(pieces))
        descriptor = self._open()
        # Into the system's cache only: that survives the death of this process, and costs no wait for the disk.
        while data:
            data = data[os.write(descriptor, data) :]

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        """Return the file of this run, made for the first record: behind another's cut-off record nothing is found."""
        if self._descriptor is None:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            number = 1 + max((int(path.name) for path in self._folder.iterdir()), default=-1)
            # Exclusively: two runs that count at the same time must not write into one file.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
            self._descriptor = os.open(self._folder / f"{number:012d}", flags, 0o600)
        return self._descriptor


class ObjectSegments:
    """Segments as objects, one for all that is gathered within half a second.

    Parameters
    ----------
    location : Location
        The run's key prefix.
    """

    gather_seconds = 0.5

    def __init__(self, location: Location) -> None:
        self._objects = objects_at(location.join(FOLDER))
        self._next: int | None = None
        self._run = uuid.uuid4().hex[:8]

    def read(self) -> list[memoryview]:
        names = sorted(self._objects.names())
        self._next = 1 + max((int(name.partition("-")[0]) for name in names), default=-1)
        # Copied to one file on disk, which is mapped: what was kept may be larger than memory.
        with tempfile.TemporaryFile() as file:
            ends = list(_copy(filter(None, map(self._objects.get, names)), file))
            whole = _view(file)
        starts = [0, *ends][: len(ends)]
        return [whole[start:end] for start, end in zip(starts, ends, strict=True)]

    def append(self, pieces: Sequence[Buffer]) -> None:
        if self._next is None:
            self.read()
        number = self._next or 0
        # Two runs at once, which a store does not keep apart, do not replace each other's.
        self._objects.put(f"{number:012d}-{self._run}", b"".join(pieces))
        self._next = number + 1

    def close(self) -> None:
        """Do nothing: nothing is open."""


def _copy(parts: Iterable[bytes], file: IO[bytes]) -> Iterable[int]:
    for part in parts:
        file.write(part)
        yield file.tell()
    file.flush()


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return _view(file)


def _view(file: IO[bytes]) -> memoryview:
    if not os.fstat(file.fileno()).st_size:
        return memoryview(b"")
    return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
