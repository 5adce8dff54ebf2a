"""The store of values in a place that driver and workers reach: a work directory, or a prefix of an object store.

It travels with the program of a stage, so it needs nothing of the backend. Where a worker does not see the place, its
values travel with their outcomes, as without a store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from asyncexec.errors import ValueLostError
from asyncexec.events.outcome import ValueHandle
from asyncexec.worker.value_layout import load_value, write_value

if TYPE_CHECKING:
    from asyncexec.worker.values import PickledValue


class BlobStore(Protocol):
    """The blobs of one place (see :class:`asyncexec.storage.values.blobs.Blobs`)."""

    def put(self, key: str, pieces: Iterable[bytes | bytearray | memoryview], /) -> None:
        """Write a blob; FileNotFoundError where the place is not there."""
        ...

    def get(self, key: str, /) -> memoryview | None:
        """Return a blob's bytes; None where it is not there or not whole."""
        ...

    def delete(self, keys: Iterable[str], /) -> None:
        """Remove blobs."""
        ...

    def mark_used(self, key: str, /) -> None:
        """Note that a blob was used now."""
        ...


class PlacedValues:
    """Keeps large values as blobs (see :class:`~asyncexec.worker.values.ValueStore`); it can be pickled.

    Parameters
    ----------
    blobs : BlobStore
    place : str
        The name of the place in handles.
    run : str
        Begins the keys of this run's values: attempts of another run may have the same numbers.
    """

    def __init__(self, blobs: BlobStore, place: str, run: str) -> None:
        self._blobs = blobs
        self._place = place
        self._run = run

    def put(self, attempt: int, value: PickledValue, /) -> ValueHandle | None:
        """Keep the value that ``attempt`` has returned; None where this machine does not share the place."""
        key = f"values/{self._run}-{attempt}"
        try:
            self._blobs.put(key, pieces_of(value))
        except FileNotFoundError:
            return None
        return ValueHandle(self._place, key, value.nbytes, on_disk=True)

    def get(self, handle: ValueHandle, /) -> Any:
        """Return the value; what is changed in its buffers is changed in this process alone."""
        whole = None if handle.place != self._place else self._blobs.get(handle.key)
        if whole is None:
            raise ValueLostError(
                f"a value of {handle.nbytes:,} bytes is gone from {handle.place}, where it was kept for the tasks that "
                f"read it, or cannot be reached there: leave work_dir alone while plans run, and give one that all "
                f"workers share",
                handle,
            )
        return load_value(whole)

    def delete(self, handles: Collection[ValueHandle], /) -> None:
        """Delete these values, now."""
        self._blobs.delete([handle.key for handle in handles])


def pieces_of(value: PickledValue) -> list[bytes | memoryview]:
    """Return a value's bytes in pieces, without copying any."""
    pieces = _Pieces()
    write_value(pieces, *value)
    return pieces


class _Pieces(list[bytes | memoryview]):
    """A list of what is written."""

    def write(self, data: bytes | memoryview, /) -> None:
        self.append(data)
