"""The Zarr store of a location, by the scheme of its URL, and the objects in it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
from collections.abc import Iterator, Sequence
from functools import cache
from threading import Lock
from typing import Any

from zarr.abc.store import Store
from zarr.core.buffer import Buffer, default_buffer_prototype
from zarr.core.common import concurrent_map
from zarr.core.config import config
from zarr.core.sync import collect_aiterator, sync
from zarr.storage import (
    FsspecStore,
    LocalStore,
    MemoryStore,
    ObjectStore,
    StorePath,
    WrapperStore,
)

from asyncexec.errors import MissingExtraError, StorageError
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.chunks.chunk_files import WholeFiles
from asyncexec.storage.places.held_stores import innermost
from asyncexec.storage.places.locations import Location, join
from asyncexec.storage.places.options import shown
from asyncexec.storage.places.suitability import check_writable

EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "azure": "azure",
    "abfs": "azure",
    "abfss": "azure",
}
"""URL schemes that obstore serves, and the extra that installs it."""


def open_place(location: Location, *, read_only: bool = False) -> StorePath:
    """Return the store of ``location`` and the path in it, ready for Zarr; one of the caller's is used as it is.

    Raises
    ------
    MissingExtraError
        If the package that serves such URLs is not installed; the message holds the install command.
    StorageError
        If the store cannot be made of the URL and its options, or is to be written to and was opened read-only.
    """
    if not read_only:
        check_writable(location)
    if location.store is not None:
        store = location.store
        # A copy by with_read_only would not be the caller's: wrappers lose what else they were given, some cannot.
        return StorePath(
            _ReadOnlyView(store) if read_only and not store.read_only else store, location.url
        )
    path = location.local_path
    if path is not None:
        return StorePath(LocalStore(path, read_only=read_only), "")
    if location.scheme == "memory":
        name, _, inner = location.url.removeprefix("memory://").strip("/").partition("/")
        return StorePath(_memory_store(name).with_read_only(read_only), inner)
    try:
        return StorePath(_remote_store(location, read_only=read_only), "")
    except (MissingExtraError, *_ENDS):
        raise
    except BaseException as error:  # noqa: BLE001 - as the store puts it; obstore panics at options that it does not know
        message = location.options.hide_in(str(error)).replace(location.url, shown(location.url))
        raise StorageError(
            f"{location} cannot be opened: {type(error).__name__}: {message}. "
            f"Check the URL and storage_options"
        ) from None


_ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
"""What ends a program or a task, and is nobody's message about a place."""


@cache
def _memory_store(_name: str) -> MemoryStore:
    """Return the store behind ``memory://name``, which lives as long as the process."""
    return MemoryStore()


def _remote_store(location: Location, *, read_only: bool) -> Store:
    if location.scheme in EXTRAS:
        return _obstore_store(location, read_only=read_only)
    return _fsspec_store(location, read_only=read_only)


def _obstore_store(location: Location, *, read_only: bool) -> Store:
    try:
        obstore = importlib.import_module("obstore.store")
    except ImportError as error:
        extra = EXTRAS[location.scheme]
        raise MissingExtraError.of(str(location), "obstore", extra=extra) from error
    return ObjectStore(obstore.from_url(location.url, **location.options), read_only=read_only)


def _fsspec_store(location: Location, *, read_only: bool) -> Store:
    try:
        importlib.import_module("fsspec")
    except ImportError as error:
        raise MissingExtraError(
            f"{location} needs the package fsspec, which is not installed. Install it with: pip install fsspec"
        ) from error
    return FsspecStore.from_url(
        location.url, storage_options=dict(location.options), read_only=read_only
    )


class FencedStore(LocalStore):
    """The files of a target: written only as long as it is the run's that ``ref`` is of, each whole or not at all."""

    def __init__(self, ref: StoredArray) -> None:
        root = ref.location.local_path
        assert root is not None  # noqa: S101 - it is made of local arrays
        super().__init__(root)
        self._files = WholeFiles(ref)

    async def set(self, key: str, value: Buffer) -> None:
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        self._files.write(f"{self.root}/{key}", value.as_buffer_like())


class _ReadOnlyView(WrapperStore[Store]):
    """A store of the caller's that is only read from."""

    @property
    def read_only(self) -> bool:
        return True

    def _check_writable(self) -> None:
        raise ValueError("this view of a store is for reading only")


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
