"""The files, or objects, below a place: names, sizes and times, as they are listed, without being read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncexec.errors import StorageError
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.objects import client_of
from asyncexec.storage.places.urls import join

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file or an object below a place.

    Attributes
    ----------
    name : str
        Relative to the place, with slashes.
    nbytes : int
        Its size; 0 where the store does not say it in a listing.
    written_at : float
        When it was written, in seconds since the epoch; 0.0 where the store does not say it.
    """

    name: str
    nbytes: int = 0
    written_at: float = 0.0


def listed_files(location: Location) -> Iterator[ListedFile]:
    """Yield each file or object below ``location``, in no order; links to directories are not followed.

    Raises
    ------
    StorageError
        If the place cannot be listed.
    """
    path = location.local_path
    try:
        yield from _files(str(path)) if path is not None else _objects(location)
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be listed") from None


def can_list(location: Location) -> bool:
    """Return whether the store of ``location`` says what is in it, as web servers do not."""
    if location.local_path is not None:
        return True
    if location.scheme in ("http", "https"):
        return False
    from asyncexec.storage.places.stores import open_place  # noqa: PLC0415 - brings Zarr, which is dear

    return open_place(location, read_only=True).store.supports_listing


def _files(root: str) -> Iterator[ListedFile]:
    # A stack and not recursion: folders may be nested more deeply than calls.
    left = [""]
    while left:
        above = left.pop()
        try:
            found = list(os.scandir(f"{root}/{above}"))
        except (FileNotFoundError, NotADirectoryError):
            continue  # Removed meanwhile, or the place itself is not there.
        for entry in found:
            name = f"{above}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                left.append(f"{name}/")
                continue
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                yield ListedFile(name, status.st_size, status.st_mtime)


def _objects(location: Location) -> Iterator[ListedFile]:
    from zarr.core.sync import collect_aiterator, sync  # noqa: PLC0415 - brings Zarr, which is dear
    from zarr.storage import FsspecStore, MemoryStore  # noqa: PLC0415 - the same

    from asyncexec.storage.places.stores import open_place  # noqa: PLC0415 - the same

    place = open_place(location, read_only=True)
    store: Any = place.store
    if not store.supports_listing:
        raise StorageError(
            f"{location} cannot be listed: a {type(store).__name__} does not say what is in it"
        )
    prefix = f"{place.path}/" if place.path else ""
    client: Any = client_of(store)
    while type(store).__module__.startswith("asyncexec."):
        store = store._store  # noqa: SLF001 - wrappers of our own, which change neither keys nor sizes
    if client is not None:
        for batch in client.list(place.path or None):
            for found in batch:
                yield ListedFile(
                    found["path"].removeprefix(prefix),
                    found["size"],
                    found["last_modified"].timestamp(),
                )
        return
    if isinstance(store, FsspecStore):
        yield from sync(_in_file_system(store, place.path))
        return
    held = store._store_dict if isinstance(store, MemoryStore) else {}  # noqa: SLF001 - sizes without reading
    for key in collect_aiterator(store.list_prefix(prefix)):
        nbytes = len(held[key]) if key in held else 0
        yield ListedFile(key.removeprefix(prefix), nbytes)


async def _in_file_system(store: Any, path: str) -> list[ListedFile]:
    """Return what a file system of fsspec says of each file below ``path``, as it is now."""
    filesystem = store.fs
    filesystem.invalidate_cache()
    root = join(store.path, path) if path else store.path
    found = await filesystem._find(root, detail=True)  # noqa: SLF001 - there is no other
    base = f"{root.strip('/')}/"
    return [
        ListedFile(name.lstrip("/").removeprefix(base), detail.get("size") or 0, _time_of(detail))
        for name, detail in found.items()
    ]


def _time_of(detail: dict[str, Any]) -> float:
    """Return when a file of fsspec was written, under whichever of their names; 0.0 where it is not said."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        at: Any = detail.get(name)
        if isinstance(at, int | float):
            return float(at)
        if hasattr(at, "timestamp"):
            return float(at.timestamp())
    return 0.0
