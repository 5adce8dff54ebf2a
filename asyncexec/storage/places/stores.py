"""The Zarr store of a location, by the scheme of its URL, and the objects in it."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import re
from functools import cache, lru_cache
from typing import Any

from zarr.abc.store import Store
from zarr.storage import (
    FsspecStore,
    LocalStore,
    MemoryStore,
    ObjectStore,
    StorePath,
    WrapperStore,
)

from asyncexec.errors import (
    MissingExtraError,
    StorageAccessError,
    StorageError,
    StorageRefusedError,
)
from asyncexec.request_failures.reading import failure_of
from asyncexec.request_failures.reasons import NO_CREDENTIALS
from asyncexec.storage.places.locations import Location
from asyncexec.storage.places.option_problems import (
    malformed_option,
    misplaced_option,
    option_problem,
)
from asyncexec.storage.places.options import StorageOptions
from asyncexec.storage.places.queried_store import QueriedStore
from asyncexec.storage.places.repeating_store import repeating
from asyncexec.storage.places.store_clients import client_defaults
from asyncexec.storage.places.suitability import check_spelling, check_writable
from asyncexec.storage.places.urls import object_url, split_query

EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "azure": "azure",
    "adl": "azure",
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
    check_spelling(location)
    if not read_only:
        check_writable(location)
    if location.store is not None:
        store = repeating(location.store)
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
        store, inner = _remote_store(location, read_only=read_only)
        return StorePath(repeating(store), inner)
    except (MissingExtraError, StorageError, *_ENDS):
        raise
    except BaseException as error:  # noqa: BLE001 - as the store puts it; obstore panics at options that it does not know
        raise _unopened(location, error) from None


_ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
"""What ends a program or a task, and is nobody's message about a place."""


def _unopened(location: Location, error: BaseException) -> StorageError:
    """Return the error for a store that cannot be made of its URL and options, in one line."""
    text = location.hide_in(str(error))
    _log.debug("%s cannot be opened: %s: %s", location, type(error).__name__, text)
    problem = option_problem(error, location.options)
    if problem is None:
        failure = failure_of(error)
        if failure is not None and failure.reason is NO_CREDENTIALS:
            return StorageAccessError(
                f"{location} cannot be opened: {NO_CREDENTIALS.text} ({text.strip().partition(chr(10))[0]}). "
                f"{NO_CREDENTIALS.advice}"
            )
        problem = f"{type(error).__name__}: {text.strip().partition(chr(10))[0]}"
    return StorageRefusedError(
        f"{location} cannot be opened: {problem}. Check the URL and storage_options"
    )


_log = logging.getLogger("asyncexec.storage")


@cache
def _memory_store(_name: str) -> MemoryStore:
    """Return the store behind ``memory://name``, which lives as long as the process."""
    return MemoryStore()


def _remote_store(location: Location, *, read_only: bool) -> tuple[Store, str]:
    """Return the store, and the path in it."""
    if location.scheme in EXTRAS:
        return _obstore_store(location, read_only=read_only)
    return _fsspec_store(location, read_only=read_only), ""


def _obstore_store(location: Location, *, read_only: bool) -> tuple[Store, str]:
    if (problem := misplaced_option(location.options)) is not None:
        raise StorageRefusedError(f"{location} cannot be opened: {problem}")
    parts = object_url(location.url)
    assert parts is not None  # noqa: S101 - its scheme is one of these
    if (problem := malformed_option(location.options, parts.family)) is not None:
        raise StorageRefusedError(f"{location} cannot be opened: {problem}")
    # Part of the key: a program may change its keys, and would get the client of the old ones.
    told = tuple(sorted(item for item in os.environ.items() if item[0].startswith(_TOLD_BY)))
    try:
        client = _client(f"{parts.family}://{parts.host}", location.options, told, os.getpid())
    except ImportError as error:
        extra = EXTRAS[location.scheme]
        raise MissingExtraError.of(str(location), "obstore", extra=extra) from error
    return ObjectStore(client, read_only=read_only), parts.key.strip("/")


_TOLD_BY = ("AWS_", "AZURE_", "GOOGLE_")
"""The beginnings of the names of variables that hold keys and endpoints."""


@lru_cache(maxsize=32)
def _client(bucket: str, options: StorageOptions, _told: object, _process: int) -> Any:
    """Return obstore's client of a bucket: one, so that requests for all that is in it share their connections."""
    obstore = importlib.import_module("obstore.store")
    return obstore.from_url(f"{bucket}/", **client_defaults(options, bucket.partition(":")[0]))


def _fsspec_store(location: Location, *, read_only: bool) -> Store:
    try:
        importlib.import_module("fsspec")
    except ImportError as error:
        raise MissingExtraError(
            f"{location} needs the package fsspec, which is not installed. Install it with: pip install fsspec"
        ) from error
    url, query = split_query(location.url)
    store = FsspecStore.from_url(url, storage_options=dict(location.options), read_only=read_only)
    # File systems of fsspec cut a name off there, and would read and write another object.
    mark = re.search(r"[?#].*", url, re.DOTALL)
    if mark is not None and not store.path.rstrip("/").endswith(mark[0].rstrip("/")):
        raise StorageError(
            f"{location} cannot be opened: its URL has a '?' or '#', which {type(store.fs).__name__} does not take for "
            f"a part of the name. Give it another name"
        )
    return QueriedStore(store, query) if query else store


class _ReadOnlyView(WrapperStore[Store]):
    """A store of the caller's that is only read from."""

    @property
    def read_only(self) -> bool:
        return True

    def _check_writable(self) -> None:
        raise ValueError("this view of a store is for reading only")
