"""Small objects in a store that is no local directory, read and written by blocking calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.places.object_records import FetchedObject, ListedObject


class Objects(Protocol):
    """The objects under one key prefix; names are relative to it.

    Methods raise what the store raises, apart from missing objects.
    """

    def get(self, name: str) -> bytes | None:
        """Return the object's data; None where there is no such object."""
        ...

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the data of those objects that there are, by name, asked for at the same time."""
        ...

    def fetch(self, name: str) -> FetchedObject | None:
        """Return the object's data with its version and attributes; None where there is no such object."""
        ...

    def age(self, name: str) -> float | None:
        """Return how many seconds ago the object was written, by the store's own clock; None where that is not known.

        Another object is written for that, and removed.
        """
        ...

    def put(self, name: str, data: bytes) -> None:
        """Create the object, or replace it."""
        ...

    def create(self, name: str, data: bytes) -> str:
        """Create the object; return the version that it has then, empty where there was one already."""
        ...

    def replace(self, name: str, data: bytes, version: str) -> str:
        """Replace the object if it has this version (of :meth:`fetch`); return its new one, empty if it had not.

        In object stores one of several callers succeeds, in whatever process; in other stores, and in those that know
        no conditional writes, one of several callers of this process.
        """
        ...

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that begin with ``prefix``."""
        ...

    def listed(self, prefix: str = "") -> Iterator[ListedObject]:
        """Yield the objects whose names begin with ``prefix``."""
        ...

    def versions(self) -> Iterator[str]:
        """Return a line for each object, another one once it was written again; none where a store gives no listing."""
        ...

    def remove(self, name: str) -> None:
        """Delete the object, if there is one."""
        ...

    def remove_all(self, names: Iterable[str]) -> None:
        """Delete those of the objects that there are, by as few requests as the store takes."""
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

    place = open_place(location, read_only=read_only)
    client = client_of(place.store)
    if client is None:
        return StoreObjects(place)
    from asyncexec.storage.places.obstore_objects import ObstoreObjects  # noqa: PLC0415 - for object stores only

    return ObstoreObjects(client, place.path)


def client_of(store: object) -> object | None:
    """Return obstore's store in ``store``; None where it is of another kind, or in a wrapper that is not ours.

    What a wrapper of others does with keys and data is not known, so it is used as the Zarr store that it is.
    """
    while type(store).__module__.startswith("asyncexec."):
        store = getattr(store, "_store", None)
    # By name, as whoever has one has loaded it.
    is_object_store = f"{type(store).__module__}.{type(store).__name__}" == _OBJECT_STORE
    return getattr(store, "store", None) if is_object_store else None


_OBJECT_STORE = "zarr.storage._obstore.ObjectStore"
