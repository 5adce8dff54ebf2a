"""Blobs: objects of bytes under keys in one place, each of which is there whole, as its checksum shows, or not at all.

A blob is its bytes and, behind them, a mark, their number and their CRC-32. In a local directory it is written under
another name and renamed; object stores show an object when all of it has arrived.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import struct
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.objects import Objects, objects_at

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location

type Piece = bytes | bytearray | memoryview

PARTIAL = ".partial-"
"""The beginning of the names of files whose writers have not finished, or were killed."""
MAP_BYTES = 1 << 20
"""Files of this size and more are mapped, smaller ones read."""

_TRAILER = struct.Struct("<8sQI")
_MARK = b"axblob-1"


class BlobEntry(NamedTuple):
    """A blob as a listing shows it."""

    key: str
    nbytes: int
    """The room that it takes; 0 where the store does not say."""
    used_at: float
    """When it was last written or marked as used, in seconds since the epoch; 0.0 where the store does not say."""


class Blobs:
    """The blobs of one place; it can be pickled, and opens its store when it is first used.

    Parameters
    ----------
    location : Location
        A directory, which must be there, or a key prefix.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self._path = location.local_path

    def put(self, key: str, pieces: Iterable[Piece]) -> None:
        """Write a blob made of ``pieces``, or replace it.

        Raises
        ------
        FileNotFoundError
            If the directory is not there, as on a machine that does not share it.
        StorageError
            If it cannot be written.
        """
        trailed = [*pieces, b""]
        size = checksum = 0
        # Without joining them: on a disk they are written one after another, too.
        for piece in trailed:
            size += memoryview(piece).nbytes
            checksum = zlib.crc32(piece, checksum)
        trailed[-1] = _TRAILER.pack(_MARK, size, checksum)
        try:
            if self._path is None:
                self._objects.put(key, b"".join(trailed))
            else:
                _write(self._path, self._path / key, trailed)
        except FileNotFoundError:
            raise
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise storage_error(error, self.location, "cannot be written", path=key) from None

    def get(self, key: str) -> memoryview | None:
        """Return the bytes of a blob; None where there is none, or it is not whole: then it is removed.

        Raises
        ------
        StorageError
            If the place cannot be read.
        """
        try:
            whole = self._objects.get(key) if self._path is None else _contents(self._path / key)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise storage_error(error, self.location, "cannot be read", path=key) from None
        if whole is None:
            return None
        body = _checked(memoryview(whole))
        if body is None:
            self.delete([key])
        return body

    def has(self, key: str, nbytes: int) -> bool:
        """Return whether there is a blob of so many bytes, without reading all of it."""
        if self._path is None:
            return key in self._names
        with contextlib.suppress(OSError):
            return (self._path / key).stat().st_size == nbytes + _TRAILER.size
        return False

    def exists(self, key: str) -> bool:
        """Return whether there is a blob now, whole or not."""
        if self._path is not None:
            return (self._path / key).is_file()
        try:
            return key in self._objects.names(key)
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise storage_error(error, self.location, "cannot be listed", path=key) from None

    def delete(self, keys: Iterable[str]) -> None:
        """Remove these blobs; one that is gone already is as good as removed."""
        for key in keys:
            with contextlib.suppress(Exception):
                if self._path is None:
                    self._objects.remove(key)
                else:
                    (self._path / key).unlink(missing_ok=True)

    def mark_used(self, key: str) -> None:
        """Note that a blob was used now, where the place keeps such times."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                os.utime(self._path / key)

    def entries(self) -> Iterator[BlobEntry]:
        """Yield all blobs; what writers that were killed have left, too, when it is an hour old."""
        if self._path is None:
            yield from (BlobEntry(name, 0, 0.0) for name in self._objects.names())
            return
        for folder, _, names in os.walk(self._path):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    found = path.stat()
                    if not name.startswith(PARTIAL) or time.time() - found.st_mtime > 3600:
                        key = str(path.relative_to(self._path))
                        yield BlobEntry(key, found.st_size, found.st_mtime)

    @cached_property
    def _objects(self) -> Objects:
        return objects_at(self.location)

    @cached_property
    def _names(self) -> frozenset[str]:
        """The blobs that were there at the first question: the objects of a store are listed once."""
        return frozenset(self._objects.names())

    def __reduce__(self) -> tuple[type[Blobs], tuple[Location]]:
        return Blobs, (self.location,)


def _write(root: Path, path: Path, pieces: Sequence[Piece]) -> None:
    partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
    try:
        try:
            file = partial.open("xb")
        except FileNotFoundError:
            if (
                not root.is_dir()
            ):  # Of a folder that is not there nothing is made: its driver is elsewhere, or ended.
                raise
            path.parent.mkdir(parents=True, exist_ok=True)
            file = partial.open("xb")
        with file:
            file.writelines(pieces)
        # A name appears with all of its bytes, or not at all.
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def _contents(path: Path) -> mmap.mmap | bytearray:
    """Return what a file holds: mapped where it is large, in memory that is this process's to change."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size >= MAP_BYTES:
            return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
        contents = bytearray(size)
        if file.readinto(contents) != size:
            raise OSError(errno.EIO, "the file was cut off while it was read")
        return contents


def _checked(whole: memoryview) -> memoryview | None:
    """Return a blob without what is behind it; None where it is not whole."""
    body = len(whole) - _TRAILER.size
    if body < 0:
        return None
    mark, size, checksum = _TRAILER.unpack_from(whole, body)
    if mark != _MARK or size != body or zlib.crc32(whole[:body]) != checksum:
        return None
    return whole[:body]
