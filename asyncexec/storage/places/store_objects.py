"""The objects under a path of a Zarr store of any kind, read and written by blocking calls."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

from zarr.abc.store import Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.common import concurrent_map
from zarr.core.config import config
from zarr.core.sync import collect_aiterator, sync
from zarr.storage import FsspecStore, ObjectStore, StorePath

from asyncexec.storage.places.held_stores import innermost, is_of_icechunk, local_root
from asyncexec.storage.places.object_records import FetchedObject, ListedObject
from asyncexec.storage.places.store_creation import created
from asyncexec.storage.places.urls import join

_VERSION = (
    "size",
    "mtime",
    "ETag",
    "etag",
    "LastModified",
    "last_modified",
    "updated",
    "generation",
)
"""What file systems of fsspec say of a file that was written again."""


async def _found(filesystem: Any, path: str) -> dict[str, Any]:
    """Return what a file system of fsspec says of each file below ``path``, as it is now."""
    # What it has listed before may be another run's state.
    filesystem.invalidate_cache()
    found: dict[str, Any] = await filesystem._find(path, detail=True)  # noqa: SLF001 - there is no other
    return found


@cache
def _locks() -> tuple[Lock, ...]:
    # So many and not one for each key, of which there is no end; two keys with one lock wait a little.
    return tuple(Lock() for _ in range(64))


def _lock_of(key: str) -> Lock:
    """Return the lock that creators of ``key`` in this process share."""
    return _locks()[hash(key) % 64]


def _version(data: bytes) -> str:
    return blake2b(data, digest_size=16).hexdigest()


def _at_once() -> int:
    found: int = config.get("async.concurrency")
    return found


async def _keys(store: Store, prefix: str) -> AsyncIterator[str]:
    """Yield the keys that begin with ``prefix``."""
    try:
        async for key in store.list_prefix(prefix):
            yield key
    except Exception as error:
        # Icechunk lists groups and arrays only; what is neither is nothing.
        if getattr(error, "kind", "") != "bad-key-prefix":
            raise


class StoreObjects:
    """The objects under a path of a Zarr store."""

    def __init__(self, place: StorePath) -> None:
        self._place = place
        self._prefix = f"{place.path}/" if place.path else ""

    def get(self, name: str) -> bytes | None:
        """Return the object's data; None where there is no such object."""
        return self.read([name]).get(name)

    def read(self, names: Sequence[str]) -> dict[str, bytes]:
        """Return the data of those objects that there are, by name, asked for at the same time."""
        return sync(self._read(names))

    def fetch(self, name: str) -> FetchedObject | None:
        """Return the object's data with its version and attributes; None where there is no such object."""
        data = self.get(name)
        return None if data is None else FetchedObject(data, _version(data), {})

    def age(self, name: str) -> float | None:
        """Return None: of these stores, none says when an object was written, and what the time is now."""
        return None

    def put(self, name: str, data: bytes) -> None:
        """Create the object, or replace it."""
        sync((self._place / name).set(default_buffer_prototype().buffer.from_bytes(data)))

    def create(self, name: str, data: bytes) -> str:
        """Create the object; return the version that it has then, empty where there was one already.

        Of object stores, memory and local files, one of several runs succeeds, in whatever process. Other stores look
        first and write then; there, one of several runs of this process does.
        """
        # Whoever finds its own bytes has won: no two runs write the same ones.
        with _lock_of(f"{self._prefix}{name}"):
            value = default_buffer_prototype().buffer.from_bytes(data)
            is_there = sync(created(self._place.store, f"{self._prefix}{name}", value))
            return _version(data) if is_there else ""

    def replace(self, name: str, data: bytes, version: str) -> str:
        """Replace the object if it has this version; return its new one, empty if it had not.

        In this process, nobody is between.
        """
        with _lock_of(f"{self._prefix}{name}"):
            found = self.get(name)
            if found is None or _version(found) != version:
                return ""
            self.put(name, data)
            return _version(data)

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that begin with ``prefix``."""
        # Some stores list what is in a folder, and take no part of a name.
        wanted, folder = f"{self._prefix}{prefix}", f"{self._prefix}{prefix}".rpartition("/")[0]
        keys = collect_aiterator(_keys(self._place.store, f"{folder}/" if folder else ""))
        return (key.removeprefix(self._prefix) for key in keys if key.startswith(wanted))

    def listed(self, prefix: str = "") -> Iterator[ListedObject]:
        """Yield the objects whose names begin with ``prefix``; of these stores, listings say no versions."""
        names = list(self.names(prefix))
        sizes = sync(self._sizes(names))
        return (ListedObject(name, size, "") for name, size in zip(names, sizes, strict=True))

    def versions(self) -> Iterator[str]:
        """Return a line for each object, another one once it was written again; none where a store gives no listing."""
        store: Any = innermost(self._place.store)
        if isinstance(store, ObjectStore):
            for batch in store.store.list(self._place.path or None):
                yield from (
                    f"{o['path']} {o['size']} {o['last_modified']} {o['e_tag']}" for o in batch
                )
        elif isinstance(store, FsspecStore):
            place = join(store.path, self._place.path) if self._place.path else store.path
            for name, found in sync(_found(store.fs, place)).items():
                yield f"{name} {[str(found[key]) for key in _VERSION if found.get(key) is not None]}"
        elif is_of_icechunk(store):
            changed = store.session.has_uncommitted_changes
            # What is not committed has no name, and is never taken for what was there before.
            yield uuid.uuid4().hex if changed else store.session.snapshot_id

    def remove(self, name: str) -> None:
        """Delete the object, if there is one."""
        sync((self._place / name).delete())

    def remove_all(self, names: Iterable[str]) -> None:
        """Delete those of the objects that there are, many at the same time."""
        names = list(names)
        sync(self._delete_keys([f"{self._prefix}{name}" for name in names]))
        self._remove_folders(names)

    def _remove_folders(self, names: Sequence[str]) -> None:
        """Remove the folders of a store on this machine in which these were, and in which nothing is left.

        They would be in the way of files of their names: chunk 1 of an array of one axis is where row 1 was before.
        """
        root = local_root(innermost(self._place.store))
        if root is None:
            return
        around = {str(parent) for name in names for parent in PurePosixPath(name).parents} - {"."}
        for folder in sorted(around, key=len, reverse=True):
            with suppress(OSError):  # Something is in it, or it is not there.
                Path(root, self._place.path, folder).rmdir()

    def is_empty(self) -> bool:
        """Return whether there are no objects."""
        return not sync(self._first_key())

    def delete(self, *, last: Sequence[str] = ()) -> None:
        """Delete all of them, those named ``last`` after the others."""
        if last:
            self.remove_all(name for name in self.names() if name not in last)
        for name in last:
            self.remove(name)
        sync(self._place.store.delete_dir(self._place.path))

    async def _read(self, names: Sequence[str]) -> dict[str, bytes]:
        found = await asyncio.gather(*((self._place / name).get() for name in names))
        return {
            name: data.to_bytes()
            for name, data in zip(names, found, strict=True)
            if data is not None
        }

    async def _sizes(self, names: Sequence[str]) -> list[int]:
        keys = [(f"{self._prefix}{name}",) for name in names]
        return await concurrent_map(keys, self._place.store.getsize, limit=_at_once())

    async def _delete_keys(self, keys: Sequence[str]) -> None:
        await concurrent_map([(key,) for key in keys], self._place.store.delete, limit=_at_once())

    async def _first_key(self) -> str:
        async for key in _keys(self._place.store, self._prefix):
            return key
        return ""
