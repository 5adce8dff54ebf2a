"""Values as files that every worker of one machine sees, in a memory file system as long as it has room."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncexec.errors import OutOfSpaceError, ValueLostError
from asyncexec.events.outcome import ValueHandle
from asyncexec.worker.value_layout import file_contents, load_value, write_value
from asyncexec.worker.values import THRESHOLD_BYTES

if TYPE_CHECKING:
    from asyncexec.worker.values import PickledValue

LEAST_FREE = 0.25
"""The part of the memory file system that is left to others."""
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
            return load_value(file_contents(descriptor))

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


def _has_room(place: Path, size: int) -> bool:
    found = os.statvfs(place)
    return found.f_bavail * found.f_frsize - size >= LEAST_FREE * found.f_blocks * found.f_frsize
