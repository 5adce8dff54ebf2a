"""The checks that a place suits its use: that it may be written to, can hold a target, and is in reach of workers."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import cloudpickle

from asyncexec.errors import OptionError, StorageError
from asyncexec.storage.places.held_stores import innermost, is_of_icechunk, layers
from asyncexec.storage.places.holds import TARGET_LEASE
from asyncexec.storage.places.stamps import STAGED
from asyncexec.storage.places.urls import FAMILIES, is_signed, object_url, schemes

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location


_CACHES = {"simplecache", "filecache", "blockcache", "cached", "readahead", "CacheStore"}
_READ = {
    "http": "a web server",
    "https": "a web server",
    "reference": "a list of references",
    "zip": "a zip file behind a URL",
    "tar": "a tar file",
    "libarchive": "an archive",
    "github": "GitHub",
    "git": "a repository of git",
    "data": "a data URL",
}
"""Schemes of what is only read, and what each stands for."""
_DOCUMENTS = {"zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata", TARGET_LEASE, STAGED}


def check_target(location: Location) -> None:
    """Check that an array can be created at ``location``, filled, and removed again.

    Raises
    ------
    StorageError
        If the store was opened read-only, or is of a kind that cannot do one of these.
    """
    check_spelling(location)
    check_writable(location)
    check_protocols(location)
    _check_name(location)
    store = location.store
    if store is None:
        return
    if is_of_icechunk(innermost(store)):
        raise StorageError(
            f"{location} is in an Icechunk session, which holds arrays that stay, and nothing that only a run needs: "
            f"give a directory or bucket"
        )
    able = {
        "write": store.supports_writes,
        "delete": store.supports_deletes,
        "list": store.supports_listing,
    }
    unable = [what for what, can in able.items() if not can]
    if unable:
        raise StorageError(
            f"{location} cannot hold what a plan stores: a {type(store).__name__} cannot {' nor '.join(unable)}, which "
            f"is needed to fill an array and to remove that of a run that fails. Store it in a directory, a bucket or "
            f"another Zarr store, and copy it from there"
        )


def _check_name(location: Location) -> None:
    """Check that the array would not be where Zarr looks for what groups and arrays say of themselves."""
    # A folder of such a name is in the way as well.
    parts = location.url.partition("::")[0].split("/")
    name = next((part for part in parts if part in _DOCUMENTS), None)
    if name is not None:
        raise StorageError(
            f"{location} cannot hold an array: {name} is a name of files that say what is around them, and whoever "
            f"reads those would trip over it. Give it another name"
        )


def check_protocols(location: Location) -> None:
    """Check that ``location`` is not of a kind that is only read.

    Raises
    ------
    StorageError
        If it is.
    """
    used = schemes(location.url) if location.store is None else layers(location.store)
    for scheme in used:
        if scheme in _CACHES:
            raise StorageError(
                f"{location} is read through a cache ({scheme}), which would show what was there before, so nothing is "
                f"written and what is there is kept. Store at the place itself, without the cache"
            )
        if scheme in _READ:
            raise StorageError(
                f"{location} cannot be written to: {_READ[scheme]} ({scheme}) is for reading only. Store in a "
                f"directory, a bucket or another Zarr store, and put it there afterwards"
            )


def check_travels(location: Location) -> Location:
    """Return ``location`` as workers in other processes have it, after checking that they can reach what is there.

    Raises
    ------
    OptionError
        If it is in this process's memory, or is in a store that cannot be sent to them.
    """
    elsewhere = "use executor='threads', or a directory or bucket"
    if location.process_bound:
        raise OptionError(
            f"{location} is in this process's memory, where workers of this executor cannot reach it: {elsewhere}"
        )
    if location.store is None:
        return location
    if type(innermost(location.store)).__name__ == "ZipStore" and not location.read_only:
        raise OptionError(
            f"{location} is in a zip file that is open for writing, which workers of this executor cannot read: close "
            f"it, and open it with mode='r'; or use executor='threads'"
        )
    try:
        travelled = pickle.loads(cloudpickle.dumps(location.store))  # noqa: S301 - made here
    except Exception as error:  # noqa: BLE001 - whatever a store raises
        raise OptionError(
            f"{location} cannot be sent to workers of this executor: a {type(location.store).__name__} cannot be "
            f"pickled ({type(error).__name__}: {error}): {elsewhere}"
        ) from None
    return replace(location, store=travelled)


def check_spelling(location: Location) -> None:
    """Check that the URL of ``location`` names a place, and nothing that is no part of its name.

    Raises
    ------
    StorageError
        If it has no bucket, a login, a signature, or (of a web server) a fragment.
    """
    if location.store is not None or "://" not in location.url:
        return
    if location.scheme in ("http", "https") and "#" in location.url:
        raise StorageError(
            f"{location} cannot be opened: its URL has a '#', after which web servers are told nothing. Write '%23' "
            f"where it is part of a name, or leave it out"
        )
    if location.scheme not in FAMILIES:
        return
    if is_signed(location.url):
        raise StorageError(
            f"{location} cannot be opened: its URL has a signature, a key or a version in a query, which object stores "
            f"do not take. Pass keys by storage_options (sas_key=…, token=…, skip_signature=True). Check the URL and "
            f"storage_options"
        )
    parts = object_url(location.url)
    if parts is not None and "\\" in parts.key:
        raise StorageError(
            f"{location} cannot be opened: its name has a backslash, which Zarr takes for a slash. Give it another name"
        )
    if parts is None or parts.login or ":" in parts.host or not parts.host:
        wrong = "no bucket" if parts is None or not parts.host else "a login or a port"
        raise StorageError(
            f"{location} cannot be opened: its URL has {wrong}. Spell it scheme://bucket/name, and pass keys and the "
            f"server by storage_options (endpoint=…). Check the URL and storage_options"
        )


def check_writable(location: Location) -> None:
    """Check that the caller did not open the store of ``location`` read-only.

    Raises
    ------
    StorageError
        If so.
    """
    if location.read_only:
        raise StorageError(
            f"{location} was opened read-only, so nothing is created, replaced or removed there. Open it for writing "
            f"(read_only=False, or mode='a'), or store elsewhere",
        )
