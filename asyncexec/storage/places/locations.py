"""Locations of arrays: local paths, URLs, and Zarr stores of the caller."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from asyncexec.errors import OptionError
from asyncexec.storage.places.options import StorageOptions, shown
from asyncexec.storage.places.urls import join, normal_url, object_url, schemes, with_slashes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import zarr
    from zarr.abc.store import Store
    from zarr.storage import StorePath

RUN_SCOPED = "run://"
"""The scheme of places in the run's own directory, which is known only when the run begins: ``run://name``."""

type PlaceLike = (
    str | os.PathLike[str] | Store | StorePath | zarr.Array[Any] | zarr.Group | Location
)


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
        The store itself, where the caller made one; a plain ``LocalStore`` is a path instead.
    inner : str
        The last part of ``url`` that is a path in what the caller named: groups are made along it.
    read_only : bool
        Whether the caller opened the store read-only, so that nothing may be changed there.
    spelt : str
        The URL as the caller has spelt it, where ``url`` is another spelling.
    """

    url: str
    options: StorageOptions = field(default_factory=StorageOptions)
    # Compared by place below: Zarr's stores in memory compare by all that they hold, and cannot be hashed.
    store: Store | None = field(default=None, hash=False)
    inner: str = field(default="", compare=False)
    read_only: bool = False
    spelt: str = field(default="", compare=False, repr=False)

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
        if self.scheme != "file":
            return None
        return Path(unquote(self.url.partition("://")[2]) if "://" in self.url else self.url)

    @property
    def run_scoped(self) -> bool:
        """True for a place in the run's own directory, which is bound when the run begins."""
        return self.store is None and self.url.startswith(RUN_SCOPED)

    @property
    def process_bound(self) -> bool:
        """True for a place in this process's memory, where no other process can reach it."""
        if self.store is not None:
            return _in_memory(self.store)
        return "memory" in schemes(self.url)

    @property
    def is_elsewhere(self) -> bool:
        """True for a place that is reached by requests, which are to be waited for."""
        return self.local_path is None and not self.process_bound

    def __hash__(self) -> int:
        return hash((self.url, self.options, self.read_only))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Location):
            return NotImplemented
        return (self.url, self.options, self.read_only) == (
            other.url,
            other.options,
            other.read_only,
        ) and (self.store is other.store or _is_same(self.store, other.store))

    def join(self, name: str) -> Location:
        """Return the place called ``name`` inside this one."""
        return replace(
            self, url=join(self.url, name), spelt=join(self.spelt, name) if self.spelt else ""
        )

    @property
    def spelling(self) -> str:
        """The place as the caller has spelt it, without secrets."""
        return shown(self.spelt) if self.spelt else str(self)

    def hide_in(self, text: str) -> str:
        """Return ``text``, which may repeat the options or the URL, without secrets."""
        return self.options.hide_in(text).replace(self.url or "\0", shown(self.url))

    def __str__(self) -> str:
        if self.store is None:
            return shown(self.url)
        return f"{shown(_text(self.store))}/{self.url}".rstrip("/")

    def __repr__(self) -> str:
        options = f", options={self.options!r}" if self.options else ""
        return f"Location({str(self)!r}{options})"


def locate(
    place: PlaceLike, storage_options: Mapping[str, Any] | None = None, *, path: str = ""
) -> Location:
    """Return ``place`` as a :class:`Location`: a path, a URL, a Zarr store, array or group, or one already.

    ``path`` is a path in it, along which groups are made where an array is created. Local paths become absolute,
    because workers may have another current directory. A store that was opened read-only stays so.

    Raises
    ------
    OptionError
        If it is none of these, or ``path`` is no path of Zarr's.
    """
    options = StorageOptions(storage_options)
    if isinstance(place, Location):
        found = place
    elif isinstance(place, str | os.PathLike):
        url = os.fspath(place)
        if not url:
            raise OptionError("an empty string is no place for an array: give a path or a URL")
        url = with_slashes(url)
        found = _of_url(url, options) if "://" in url else _of_path(url, options)
        if "\0" in found.url:
            raise OptionError(f"{url!r} is no place for an array: no name has a zero byte in it")
    else:
        found = _in_store(place, options)
    path = _normal(path)
    if not path:
        return found
    return replace(found.join(path), inner=join(found.inner, path) if found.inner else path)


def _of_path(path: str, options: StorageOptions) -> Location:
    # As xarray and fsspec have it: a folder whose name is ~ is ./~
    absolute = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - as text
    return Location(absolute, options, spelt="" if absolute == path else path)


def _of_url(url: str, options: StorageOptions) -> Location:
    normal, more = normal_url(url), {}
    parts = object_url(normal)
    if parts is not None and parts.family == "az" and "." in parts.host and parts.login:
        # The container, and the server of an account.
        account, _, rest = parts.host.partition(".")
        normal = replace(parts, login="", host=parts.login).url
        more = {"account_name": account}
        if not rest.endswith("core.windows.net"):
            more["endpoint"] = f"https://{account}.{rest.replace('dfs.', 'blob.', 1)}"
    if more:
        options = StorageOptions({**more, **options})
    return Location(normal, options, spelt="" if normal == url else url)


def _normal(path: object) -> str:
    """Return ``path`` as Zarr's readers spell it, so that they find what is stored there.

    Raises
    ------
    OptionError
        If it is no text, or leads out of the store.
    """
    if not isinstance(path, str):
        raise OptionError(f"path={path!r} is no path in a store: give text, such as path='a/b'")
    parts = [part for part in path.replace("\\", "/").split("/") if part]
    if "." in parts or ".." in parts:
        raise OptionError(
            f"path={path!r} is no path in a store: Zarr knows no '.' and '..' there. Name groups and array alone, such "
            f"as path='a/b'"
        )
    return "/".join(parts)


def _in_store(place: object, options: StorageOptions) -> Location:
    from zarr.abc.store import Store  # noqa: PLC0415 - dear, and where places are paths nobody needs it
    from zarr.storage import StorePath  # noqa: PLC0415 - the same

    # Arrays and groups of Zarr have one.
    place = getattr(place, "store_path", place)
    if isinstance(place, StorePath):
        return _held(place.store, place.path, options)
    if isinstance(place, Store):
        return _held(place, "", options)
    store = _as_store(place)
    if store is not None:
        return _held(store, "", options)
    raise OptionError(
        f"{type(place).__name__} is no place for an array: give a path, a URL, a Zarr store, array or group, or a "
        f"store of obstore, a mapping of fsspec or a dictionary"
    )


def _as_store(place: object) -> Store | None:
    from asyncexec.storage.places.held_stores import as_store  # noqa: PLC0415 - most places are paths and URLs

    return as_store(place)


def _text(store: Store) -> str:
    from asyncexec.storage.places.held_stores import store_text  # noqa: PLC0415 - most places are paths and URLs

    return store_text(store)


def _in_memory(store: Store) -> bool:
    from asyncexec.storage.places.held_stores import in_memory  # noqa: PLC0415 - most places are paths and URLs

    return in_memory(store)


def _is_same(one: Store | None, other: Store | None) -> bool:
    from asyncexec.storage.places.held_names import same_store  # noqa: PLC0415 - the same

    return one is not None and other is not None and same_store(one, other)


def _held(store: Store, path: str, options: StorageOptions) -> Location:
    from asyncexec.storage.places.held_stores import local_root  # noqa: PLC0415 - the same

    root = local_root(store)
    if root is not None:
        url = os.path.join(root, path) if path else root  # noqa: PTH118 - as text
        return Location(url, options, inner=path, read_only=store.read_only)
    return Location(path, options, store, inner=path, read_only=store.read_only)
