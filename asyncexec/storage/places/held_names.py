"""Names of what the stores of callers lead to, as the stores themselves say it."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Mapping
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING, Any

from asyncexec.storage.places.filesystem_names import filesystem_name
from asyncexec.storage.places.held_stores import innermost
from asyncexec.storage.places.url_names import bucket_name, inside, web_name

if TYPE_CHECKING:
    from zarr.abc.store import Store

_BUCKETS = {
    "S3Store": ("s3", "bucket"),
    "GCSStore": ("gs", "bucket"),
    "AzureStore": ("az", "container_name"),
}
"""The stores of obstore, with the family that each serves and its option for the bucket."""

_lock = Lock()
_numbers = count(1)
_tokens: dict[int, tuple[Callable[[], Any], int]] = {}


def held_name(store: Store) -> str:
    """Return a name for the root of ``store``: that of the place it leads to, or else one of the store's own."""
    known = known_name(store)
    return known if known is not None else _own_name(store)


def same_store(one: Store, other: Store) -> bool:
    """Return whether two stores are the same by their kind, the place they lead to, and how they are opened."""
    from zarr.storage import MemoryStore  # noqa: PLC0415 - whoever hands a store in has loaded it

    if type(one) is not type(other) or one.read_only != other.read_only:
        return False
    # Of stores in memory, the place says it all: they compare by what they hold.
    in_memory = isinstance(innermost(one), MemoryStore)
    return held_name(one) == held_name(other) and (in_memory or one == other)


def known_name(store: Store) -> str | None:
    """Return a name for the place that ``store`` leads to; None where that is not known."""
    from zarr.storage import (  # noqa: PLC0415 - whoever hands a store in has loaded it
        FsspecStore,
        LocalStore,
        MemoryStore,
        ObjectStore,
        ZipStore,
    )

    inner = passed_on(store)
    namers: dict[type, Callable[[Any], str | None]] = {
        LocalStore: lambda local: os.path.realpath(local.root),
        MemoryStore: _memory_name,
        ZipStore: _zip_name,
        ObjectStore: lambda held: _object_store_name(held.store),
        FsspecStore: lambda held: filesystem_name(held.fs, held.path),
    }
    name = next((name for kind, name in namers.items() if isinstance(inner, kind)), None)
    if name is not None:
        return name(inner)
    if inner is None or not type(inner).__module__.startswith("icechunk"):
        return None
    return _own_name(inner)


def _memory_name(store: Any) -> str:
    # Those that Zarr manages have a path of their own.
    return inside(f"memory:{id(store._store_dict)}", getattr(store, "path", ""))  # noqa: SLF001 - there is no other


def _zip_name(store: Any) -> str | None:
    path = getattr(store, "path", None)
    return None if path is None else f"{os.path.realpath(path)}::zip"


def _object_store_name(store: Any) -> str | None:
    kind = type(store).__name__
    prefix = str(getattr(store, "prefix", None) or "")
    if kind in _BUCKETS:
        family, option = _BUCKETS[kind]
        config: Mapping[str, Any] = store.config
        return inside(bucket_name(family, str(config.get(option, "")), config), prefix)
    if kind == "LocalStore":
        return os.path.realpath(prefix or "/")
    if kind == "HTTPStore":
        return web_name(store.url)
    return f"memory:{_token(store)}" if kind == "MemoryStore" else None


def passed_on(store: Store) -> Store | None:
    """Return the store that wrappers of Zarr's and ours pass all on to; None inside of others: they may change keys."""
    from zarr.storage import LoggingStore, WrapperStore  # noqa: PLC0415 - whoever hands a store in has loaded it

    while isinstance(store, WrapperStore):
        own = type(store) in (LoggingStore, WrapperStore) or type(store).__module__.startswith(
            ("zarr.", "asyncexec.")
        )
        if not own:
            return None
        store = store._store  # noqa: SLF001 - there is no other
    return store


def _own_name(store: Store) -> str:
    return f"{type(store).__name__}:{_token(store)}"


def _token(held: Any) -> int:
    """Return a number that the object has as long as it is there, and no other; of Icechunk's, one a session."""
    with _lock:
        reference, number = _tokens.get(id(held), (lambda: None, 0))
        if reference() is held:
            return number
        number = _number_of_session(held) or next(_numbers)
        key = id(held)
        try:
            made: Callable[[], Any] = weakref.ref(held, lambda _: _tokens.pop(key, None))
        except TypeError:
            made = lambda: held  # noqa: E731 - kept for good, as nothing says when it goes
        _tokens[key] = made, number
        return number


def _number_of_session(held: Any) -> int:
    """Return the number that another store of the same session of Icechunk's has; 0 without any."""
    if not type(held).__module__.startswith("icechunk"):
        return 0
    for reference, number in list(_tokens.values()):
        other = reference()
        if type(other) is type(held) and other == held:
            return number
    return 0
