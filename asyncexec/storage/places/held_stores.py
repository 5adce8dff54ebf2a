"""Zarr stores that the caller made, and the stores inside of them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from zarr.abc.store import Store


def innermost(store: Store) -> Store:
    """Return the store inside of a wrapper (or of several); another store itself."""
    from zarr.abc.store import Store  # noqa: PLC0415 - whoever hands a store in has loaded it

    while isinstance(inner := getattr(store, "_store", None), Store):
        store = inner
    return store


def is_of_icechunk(value: object) -> bool:
    """Return whether a store or a session is Icechunk's; it is not imported for that."""
    return type(value).__module__.partition(".")[0] == "icechunk"


def as_store(place: object) -> Store | None:
    """Return a store of obstore's, a mapping of fsspec's or a dictionary as a store of Zarr's; None of other things."""
    from zarr.storage import FsspecStore, MemoryStore, ObjectStore  # noqa: PLC0415 - the same

    kind, given = type(place), cast("Any", place)
    package = kind.__module__.partition(".")[0]
    if package == "obstore":
        return ObjectStore(given)
    if package == "fsspec" and kind.__name__ == "FSMap":
        # Zarr's own way takes any folder of a file system for one that can be awaited.
        sync = given.fs.async_impl and not getattr(
            getattr(given.fs, "fs", None), "async_impl", True
        )
        return _wrapped(given) if sync else FsspecStore.from_mapper(given)
    return MemoryStore(given) if kind is dict else None


def _wrapped(mapping: Any) -> Store:
    """Return the store of a mapping of fsspec's whose file system blocks, although its class knows to await."""
    from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper  # noqa: PLC0415 - who hands it in has fsspec
    from zarr.storage import FsspecStore  # noqa: PLC0415 - the same

    return FsspecStore(AsyncFileSystemWrapper(mapping.fs, asynchronous=True), path=mapping.root)


def store_text(store: Store) -> str:
    """Return ``store`` as messages and fingerprints have it, in one line."""
    if is_of_icechunk(store):
        session = getattr(store, "session")  # noqa: B009 - Zarr's stores have none
        return f"icechunk:{session.branch or ''}@{session.snapshot_id}"
    return " ".join(str(store).split())


def local_root(store: Store) -> str | None:
    """Return the directory of a local store, absolute; None for other stores.

    A wrapper or a subclass may do other things with the files, so it is used as the store that it is.
    """
    from zarr.storage import FsspecStore, LocalStore, ObjectStore  # noqa: PLC0415 - the same

    root: str | None = None
    if type(store) is LocalStore:
        root = str(store.root)
    elif type(store) is FsspecStore:
        root = _local_path(store.fs, store.path)
    elif type(store) is ObjectStore and type(store.store).__name__ == "LocalStore":
        root = str(store.store.prefix or "/")
    return None if root is None else os.path.abspath(root)  # noqa: PTH100 - as text


def _local_path(filesystem: Any, path: str) -> str | None:
    """Return the path on this machine that a file system of fsspec has ``path`` at; None of others."""
    name = type(filesystem).__name__
    if name == "AsyncFileSystemWrapper":
        return _local_path(filesystem.sync_fs, path)
    if name == "DirFileSystem":
        return _local_path(filesystem.fs, f"{str(filesystem.path).rstrip('/')}/{path.strip('/')}")
    return path if name == "LocalFileSystem" else None


def in_memory(store: Store) -> bool:
    """Return whether what ``store`` holds is in this process's memory, as far as that is known."""
    from zarr.storage import MemoryStore  # noqa: PLC0415 - the same

    inner: Any = innermost(store)
    return (
        isinstance(inner, MemoryStore)
        or type(getattr(inner, "store", None)).__name__ == "MemoryStore"
        or "memory" in protocols(getattr(inner, "fs", None))
    )


def layers(store: Store) -> list[str]:
    """Return the names of the stores around the innermost, and the protocols of its file systems, if it has some."""
    from zarr.abc.store import Store  # noqa: PLC0415 - the same

    found: list[str] = []
    while isinstance(inner := getattr(store, "_store", None), Store):
        found.append(type(store).__name__)
        store = inner
    return [*found, *sorted(protocols(getattr(store, "fs", None)))]


def protocols(filesystem: Any) -> set[str]:
    """Return the protocols of a file system of fsspec, and of those inside of it."""
    found: set[str] = set()
    # Adapters and caches hold another file system.
    while filesystem is not None:
        protocol = getattr(filesystem, "protocol", ())
        found.update((protocol,) if isinstance(protocol, str) else protocol)
        inner = getattr(filesystem, "sync_fs", None) or getattr(filesystem, "fs", None)
        filesystem = None if inner is filesystem else inner
    return found
