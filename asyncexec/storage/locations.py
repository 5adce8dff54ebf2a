"""Where arrays are: local paths, URLs, and Zarr stores handed in."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from zarr.abc.store import Store
from zarr.storage import FsspecStore, LocalStore, MemoryStore, ObjectStore, StorePath

from asyncexec.errors import MissingExtraError, OptionError, StorageError
from asyncexec.storage.options import StorageOptions, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

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

RUN_SCOPED = "run://"
"""Scheme of places that are known only when a run begins: ``run://name`` is ``name`` in the run's own directory."""

type PlaceLike = str | os.PathLike[str] | Store | StorePath | Location


@dataclass(frozen=True, slots=True)
class Location:
    """A place for an array: a URL or local path, or a path in a store that was handed in.

    Attributes
    ----------
    url : str
        A local path, a URL, or (with ``store``) the path in the store.
    options : StorageOptions
        What the store is opened with; never shown.
    store : zarr.abc.store.Store or None
        The store itself, where the caller made one.
    """

    url: str
    options: StorageOptions = field(default_factory=StorageOptions)
    # Stores are equal by what they hold, and cannot be hashed.
    store: Store | None = field(default=None, hash=False)

    @property
    def scheme(self) -> str:
        """The URL's scheme; ``file`` for a local path, ``""`` in a store handed in."""
        if self.store is not None:
            return ""
        scheme, found, _ = self.url.partition("://")
        return scheme.lower() if found else "file"

    @property
    def local_path(self) -> Path | None:
        """The path on this machine, or None where it is elsewhere."""
        if self.store is not None:
            return self.store.root / self.url if isinstance(self.store, LocalStore) else None
        if self.scheme != "file":
            return None
        return Path(
            unquote(urlsplit(self.url).path) if self.url.startswith("file://") else self.url
        )

    @property
    def run_scoped(self) -> bool:
        """Whether the place is bound only when a run begins."""
        return self.store is None and self.url.startswith(RUN_SCOPED)

    @property
    def process_bound(self) -> bool:
        """Whether the place is in this process's memory, where no other process can reach it."""
        return self.scheme == "memory" or isinstance(self.store, MemoryStore)

    def join(self, name: str) -> Location:
        """Return the place called ``name`` inside this one."""
        return replace(self, url=join(self.url, name))

    def open(self, *, read_only: bool = False) -> StorePath:
        """Return the store and the path in it, ready for Zarr.

        Raises
        ------
        MissingExtraError
            If the package that serves such URLs is not installed; the message holds the install command.
        StorageError
            If the store cannot be made of the URL and its options.
        """
        if self.store is not None:
            return StorePath(self.store.with_read_only(read_only), self.url)
        path = self.local_path
        if path is not None:
            return StorePath(LocalStore(path, read_only=read_only), "")
        if self.scheme == "memory":
            name, _, inner = self.url.removeprefix("memory://").strip("/").partition("/")
            return StorePath(_memory_store(name).with_read_only(read_only), inner)
        try:
            return StorePath(self._remote_store(read_only=read_only), "")
        except MissingExtraError:
            raise
        except Exception as error:  # noqa: BLE001 - as the store puts it
            told = self.options.hide_in(str(error)).replace(self.url, shown(self.url))
            raise StorageError(
                f"{self} cannot be opened: {type(error).__name__}: {told}. "
                f"Check the URL and storage_options"
            ) from None

    def _remote_store(self, *, read_only: bool) -> Store:
        if self.scheme in EXTRAS:
            return _obstore_store(self, read_only=read_only)
        return _fsspec_store(self, read_only=read_only)

    def __str__(self) -> str:
        if self.store is None:
            return shown(self.url)
        return f"{shown(str(self.store))}/{self.url}".rstrip("/")

    def __repr__(self) -> str:
        options = f", options={self.options!r}" if self.options else ""
        return f"Location({str(self)!r}{options})"


def locate(
    place: PlaceLike, storage_options: Mapping[str, Any] | None = None, *, path: str = ""
) -> Location:
    """Return ``place`` as a :class:`Location`: a path, a URL, a Zarr store (with the ``path`` in it), or one already.

    Local paths become absolute, because workers may have another current directory.

    Raises
    ------
    OptionError
        If it is none of these.
    """
    options = StorageOptions(storage_options)
    if isinstance(place, Location):
        found = place
    elif isinstance(place, StorePath):
        found = Location(place.path, options, place.store)
    elif isinstance(place, Store):
        found = Location("", options, place)
    elif isinstance(place, str | os.PathLike):
        url = os.fspath(place)
        if not url:
            raise OptionError("an empty string is no place for an array: give a path or a URL")
        found = Location(url if "://" in url else os.path.abspath(url), options)  # noqa: PTH100 - as text
    else:
        raise OptionError(
            f"{type(place).__name__} is no place for an array: give a path, a URL or a Zarr store"
        )
    return found.join(path) if path else found


def join(url: str, name: str) -> str:
    """Return the URL (or path) of ``name`` inside ``url``; a query stays at the end."""
    base, mark, query = url.partition("?") if "://" in url else (url, "", "")
    joined = f"{base.rstrip('/')}/{name}" if base.strip("/") else f"{base}{name}"
    return f"{joined}{mark}{query}"


@cache
def _memory_store(_name: str) -> MemoryStore:
    """Return the store behind ``memory://name``, which lives as long as the process."""
    return MemoryStore()


def _obstore_store(location: Location, *, read_only: bool) -> Store:
    extra = EXTRAS[location.scheme]
    try:
        obstore = importlib.import_module("obstore.store")
    except ImportError as error:
        raise MissingExtraError(
            f"{location} needs the package obstore, which is not installed. "
            f"Install it with: pip install 'asyncexec[{extra}]'"
        ) from error
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
