"""Values as files that every worker of one machine sees, in a memory file system as long as it has room."""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncexec.errors import OutOfSpaceError, ValueLostError
from asyncexec.events.outcome import ValueHandle
from asyncexec.worker.value_layout import file_contents, load_value, write_value
from asyncexec.worker.values import THRESHOLD_BYTES

if TYPE_CHECKING:
    import mmap

    from asyncexec.worker.value_layout import WritableFile
    from asyncexec.worker.values import PickledValue

LEAST_FREE, MOST_FREE_BYTES = 0.25, 2**30
"""The part of the memory file system that is left to others, up to so many bytes; as chunks leave it to them."""
_CHECKSUM_BYTES = 4
FULL = "full"
"""The file that says that no more values shall go to memory."""


class ValueFiles:
    """Keeps values in two directories, as a worker does (see :class:`~asyncexec.worker.values.ValueStore`).

    Parameters
    ----------
    memory : Path or None
        In a memory file system, if there is one.
    disk : Path
        For what finds no room there, and for all as long as the file ``FULL`` is in it.
    threshold : int
        The bytes from which whoever shares these files is to put a value here.
    """

    def __init__(
        self, memory: Path | None, disk: Path, *, threshold: int = THRESHOLD_BYTES
    ) -> None:
        self.places = [place for place in (memory, disk) if place is not None]
        self.threshold = threshold
        self._memory = memory
        self._disk = disk
        self._full = disk / FULL

    def put(self, attempt: int, value: PickledValue, /) -> ValueHandle:
        """Keep the value that ``attempt`` has returned."""
        key, size = str(attempt), value.nbytes
        for place in self.places:
            if place == self._memory and (self._full.exists() or not _has_room(place, size)):
                continue
            try:
                with (place / key).open("wb") as file:
                    if place == self._disk:
                        _write_checked(file, value)
                    else:
                        write_value(file, *value)
            except OSError as error:
                # What was written of it would take the room that is lacking.
                (place / key).unlink(missing_ok=True)
                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
            else:
                return ValueHandle(str(place), key, size, place == self._disk)
        raise OutOfSpaceError(
            f"there is no room for a value of {size:,} bytes in {' or '.join(map(str, self.places))}: free some, or "
            f"set TMPDIR to a directory that has it"
        )

    def get(self, handle: ValueHandle, /) -> Any:
        """Return the value; what is changed in its buffers, mapped or read, is changed in this process alone."""
        with self._opened(handle) as descriptor:
            whole = file_contents(descriptor)
        if not _is_whole(whole, handle.nbytes):
            raise ValueLostError(
                f"a value of {handle.nbytes:,} bytes is damaged in {self.path(handle)}, where it was kept for the "
                f"tasks that read it",
                handle,
            )
        return load_value(whole)

    def delete(self, handles: Iterable[ValueHandle], /) -> None:
        """Delete these values, now; one that is gone already is as good as deleted."""
        for handle in handles:
            with contextlib.suppress(OSError):
                self.path(handle).unlink(missing_ok=True)

    def discard(self, attempts: Iterable[int]) -> None:
        """Delete what these attempts have left, whole or in part."""
        for attempt in attempts:
            for place in self.places:
                with contextlib.suppress(OSError):
                    (place / str(attempt)).unlink(missing_ok=True)

    def path(self, handle: ValueHandle) -> Path:
        """Return the file of a value.

        Raises
        ------
        ValueLostError
            If the handle is another store's.
        """
        for place in self.places:
            # Digits only: a handle comes from a worker, and must not name a file outside of the place.
            if handle.place == str(place) and handle.key.isdigit():
                return place / handle.key
        raise ValueLostError(f"{handle} is no value of this store ({self.places})", handle)

    @contextlib.contextmanager
    def _opened(self, handle: ValueHandle) -> Generator[int]:
        """Open the file of a value."""
        try:
            descriptor = os.open(self.path(handle), os.O_RDONLY)
        except OSError as error:
            raise ValueLostError(
                f"a value of {handle.nbytes:,} bytes is gone from {handle.place}, where it was kept for the tasks that "
                f"read it: {error.strerror}",
                handle,
            ) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)


class _Checked:
    """A file that takes the CRC-32 of what is written to it."""

    def __init__(self, file: WritableFile) -> None:
        self.checksum = 0
        self._file = file

    def write(self, data: bytes | memoryview, /) -> None:
        self.checksum = zlib.crc32(data, self.checksum)
        self._file.write(data)


def _write_checked(file: WritableFile, value: PickledValue) -> None:
    """Write a value with its checksum behind it: what lies on a disk may be damaged, unlike what is in memory."""
    checked = _Checked(file)
    write_value(checked, *value)
    file.write(checked.checksum.to_bytes(_CHECKSUM_BYTES, "little"))


def _is_whole(contents: mmap.mmap | bytearray, size: int) -> bool:
    """Return whether the contents of a file are a value of this size, without or with its checksum."""
    if len(contents) == size:
        return True
    if len(contents) != size + _CHECKSUM_BYTES:
        return False
    whole = memoryview(contents)
    return zlib.crc32(whole[:size]) == int.from_bytes(whole[size:], "little")


def _has_room(place: Path, size: int) -> bool:
    found = os.statvfs(place)
    left = min(LEAST_FREE * found.f_blocks * found.f_frsize, MOST_FREE_BYTES)
    return found.f_bavail * found.f_frsize - size >= left
