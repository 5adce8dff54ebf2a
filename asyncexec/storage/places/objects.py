"""Small objects in a store that is not a directory of this machine, read and written without an event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncexec.storage.places.locations import Location


class Objects(Protocol):
    """The objects under one key prefix; names are relative to it."""

    def get(self, name: str) -> bytes | None:
        """Return what the object holds, None where there is none."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Make the object, or replace it."""
        ...

    def names(self, prefix: str = "") -> Iterator[str]:
        """Iterate over the names that begin with ``prefix``."""
        ...

    def is_empty(self) -> bool:
        """Whether there are none."""
        ...

    def delete(self) -> None:
        """Delete all of them."""
        ...


def objects_at(location: Location, *, read_only: bool = False) -> Objects:
    """Return the objects under ``location``.

    Raises
    ------
    MissingExtraError, StorageError
        If the store cannot be opened.
    """
    from asyncexec.storage.places.stores import StoreObjects, open_place  # noqa: PLC0415 - brings Zarr, which is dear

    return StoreObjects(open_place(location, read_only=read_only))
