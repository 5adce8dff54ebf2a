"""Locations of arrays: local paths, URLs, and Zarr stores of the caller."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from asyncexec.errors import OptionError
from asyncexec.storage.places.options import StorageOptions, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zarr.abc.store import Store
    from zarr.storage import StorePath

RUN_SCOPED = "run://"
"""The scheme of places in the run's own directory, which is known only when the run begins: ``run://name``."""

type PlaceLike = str | os.PathLike[str] | Store | StorePath | Location


@dataclass(frozen=True, slots=True)
class Location:
    """A place for an array: a URL or local path, or a path in a store of the caller.

    Attributes
    ----------
    url : str
        A local path, a URL, or (with ``store``) the path in the store.
    options : StorageOptions
        The options that the store is opened with; never shown.
    store : zarr.abc.store.Store or None
        The store itself, where the caller made one.
    """

    url: str
    options: StorageOptions = field(default_factory=StorageOptions)
    # Not part of the hash: Zarr's stores compare by value and cannot be hashed.
    store: Store | None = field(default=None, hash=False)

    @property
    def scheme(self) -> str:
        """The URL's scheme; ``file`` for a local path, ``""`` in a store of the caller."""
        if self.store is not None:
            return ""
        scheme, found, _ = self.url.partition("://")
        return scheme.lower() if found else "file"

    @property
    def local_path(self) -> Path | None:
        """The path on this machine, or None where it is elsewhere."""
        if self.store is not None:
            root = _root(self.store)
            return None if root is None else root / self.url
        if self.scheme != "file":
            return None
        return Path(
            unquote(urlsplit(self.url).path) if self.url.startswith("file://") else self.url
        )

    @property
    def run_scoped(self) -> bool:
        """True for a place in the run's own directory, which is bound when the run begins."""
        return self.store is None and self.url.startswith(RUN_SCOPED)

    @property
    def process_bound(self) -> bool:
        """True for a place in this process's memory, where no other process can reach it."""
        return self.scheme == "memory" or _in_memory(self.store)

    def join(self, name: str) -> Location:
        """Return the place called ``name`` inside this one."""
        return replace(self, url=join(self.url, name))

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
    elif isinstance(place, str | os.PathLike):
        url = os.fspath(place)
        if not url:
            raise OptionError("an empty string is no place for an array: give a path or a URL")
        found = Location(url if "://" in url else os.path.abspath(url), options)  # noqa: PTH100 - as text
    else:
        found = _in_store(place, options)
    return found.join(path) if path else found


def join(url: str, name: str) -> str:
    """Return the URL (or path) of ``name`` inside ``url``; a query string stays at the end."""
    base, mark, query = url.partition("?") if "://" in url else (url, "", "")
    joined = f"{base.rstrip('/')}/{name}" if base.strip("/") else f"{base}{name}"
    return f"{joined}{mark}{query}"


def _in_store(place: object, options: StorageOptions) -> Location:
    from zarr.abc.store import Store  # noqa: PLC0415 - dear, and where places are paths nobody needs it
    from zarr.storage import StorePath  # noqa: PLC0415 - the same

    if isinstance(place, StorePath):
        return Location(place.path, options, place.store)
    if isinstance(place, Store):
        return Location("", options, place)
    raise OptionError(
        f"{type(place).__name__} is no place for an array: give a path, a URL or a Zarr store"
    )


def _root(store: Store) -> Path | None:
    """Return the directory of a local store; None for other stores."""
    from zarr.storage import LocalStore  # noqa: PLC0415 - whoever hands a store in has loaded it

    return store.root if isinstance(store, LocalStore) else None


def _in_memory(store: Store | None) -> bool:
    if store is None:
        return False
    from zarr.storage import MemoryStore  # noqa: PLC0415 - whoever hands a store in has loaded it

    return isinstance(store, MemoryStore)
