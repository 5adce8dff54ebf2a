"""The objects under a path of a Zarr store, read and written by blocking calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import cache
from threading import Lock
from typing import Any

from zarr.core.buffer import default_buffer_prototype
from zarr.core.common import concurrent_map
from zarr.core.config import config
from zarr.core.sync import collect_aiterator, sync
from zarr.storage import FsspecStore, ObjectStore, StorePath

from asyncexec.storage.places.held_stores import innermost
from asyncexec.storage.places.urls import join


async def _create(place: StorePath, data: bytes) -> None:
    """Write ``data`` where there is nothing; else, or where somebody else was first, do nothing."""
    buffer, store = default_buffer_prototype().buffer.from_bytes(data), place.store
    if isinstance(store, FsspecStore):
        # Zarr looks first and writes then; file systems can do better.
        with contextlib.suppress(TypeError):  # Of one that knows no modes.
            with contextlib.suppress(FileExistsError):
                path = join(store.path, place.path)
                await store.fs._pipe_file(path, data, mode="create")  # noqa: SLF001 - there is no other
            return
    await store.set_if_not_exists(place.path, buffer)


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
    filesystem.invalidate_cache()
    found: dict[str, Any] = await filesystem._find(path, detail=True)  # noqa: SLF001 - there is no other
    return found


@cache
def _locks() -> tuple[Lock, ...]:
    return tuple(Lock() for _ in range(64))


def _lock_of(key: str) -> Lock:
    """Return the lock that creators of ``key`` in this process share."""
    return _locks()[hash(key) % 64]


class StoreObjects:
    """The objects under a path of a Zarr store."""

    def __init__(self, place: StorePath) -> None:
        self._place = place
        self._prefix = f"{place.path}/" if place.path else ""

    def get(self, name: str) -> bytes | None:
        """Return the object's data; None where there is no such object."""
        data = sync((self._place / name).get())
        return None if data is None else data.to_bytes()

    def put(self, name: str, data: bytes) -> None:
        """Create the object, or replace it."""
        sync((self._place / name).set(default_buffer_prototype().buffer.from_bytes(data)))

    def create(self, name: str, data: bytes) -> bool:
        """Create the object; return whether there was none, so that it is this caller's.

        Of object stores, memory and local files, one of several runs succeeds, in whatever process. Other stores look
        first and write then; there, one of several runs of this process does.
        """
        # Whoever finds its own bytes has won: no two runs write the same ones.
        with _lock_of(f"{self._prefix}{name}"):
            sync(_create(self._place / name, data))
            return self.get(name) == data

    def names(self, prefix: str = "") -> Iterator[str]:
        """Return the names that begin with ``prefix``."""
        keys = collect_aiterator(self._place.store.list_prefix(f"{self._prefix}{prefix}"))
        return (key.removeprefix(self._prefix) for key in keys)

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

    def remove(self, name: str) -> None:
        """Delete the object, if there is one."""
        sync((self._place / name).delete())

    def is_empty(self) -> bool:
        """Return whether there are no objects."""
        return not sync(self._first_key())

    def delete(self, *, last: Sequence[str] = ()) -> None:
        """Delete all of them, those named ``last`` after the others."""
        if last:
            sync(self._delete_before(last))
        for name in last:
            self.remove(name)
        sync(self._place.store.delete_dir(self._place.path))

    async def _delete_before(self, last: Sequence[str]) -> None:
        store, kept = self._place.store, {f"{self._prefix}{name}" for name in last}
        keys = [(key,) async for key in store.list_prefix(self._prefix) if key not in kept]
        await concurrent_map(keys, store.delete, limit=config.get("async.concurrency"))

    async def _first_key(self) -> str:
        async for key in self._place.store.list_prefix(self._prefix):
            return key
        return ""
