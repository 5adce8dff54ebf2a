"""Small objects in a store that is no local directory, read and written by blocking calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncexec.storage.places.locations import Location


class Objects(Protocol):
    """The objects under one key prefix; names are relative to it."""

    def get(self, name: str) -> bytes | None:
        """Return the object's data; None where there is no such object."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Create the object, or replace it."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Create the object; return whether there was none, so that it is this caller's."""
        ...

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that begin with ``prefix``."""
        ...

    def versions(self) -> Iterator[str]:
        """Return a line for each object, another one once it was written again; none where a store gives no listing."""
        ...

    def remove(self, name: str) -> None:
        """Delete the object, if there is one."""
        ...

    def is_empty(self) -> bool:
        """Return whether there are no objects."""
        ...

    def delete(self, *, last: Sequence[str] = ()) -> None:
        """Delete all of them, those named ``last`` after the others."""
        ...


def objects_at(location: Location, *, read_only: bool = False) -> Objects:
    """Return the objects under ``location``.

    Raises
    ------
    MissingExtraError, StorageError
        If the store cannot be opened.
    """
    from asyncexec.storage.places.store_objects import StoreObjects  # noqa: PLC0415 - brings Zarr, which is dear
    from asyncexec.storage.places.stores import open_place  # noqa: PLC0415 - the same

    return StoreObjects(open_place(location, read_only=read_only))
