"""The cache of results: a blob for each, named by the content of the code and of what it was called with.

Any number of runs may use one cache at once: what two of them write under one name is the same.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from asyncexec.errors import OptionError, WorkDirError
from asyncexec.plan.locality import Locality
from asyncexec.storage.places.errors import safe_message
from asyncexec.storage.places.locations import locate
from asyncexec.storage.values.blobs import Blobs
from asyncexec.storage.workspace.work_dir import check_owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncexec.storage.places.locations import Location, PlaceLike

CACHE = "asyncexec-cache"
"""The folder of cached results in a work directory."""


def open_cache(
    place: PlaceLike, storage_options: Mapping[str, Any] | None, locality: Locality
) -> Location:
    """Return the cache at ``place``, whose directory is made if it is not there.

    Raises
    ------
    WorkDirError
        If it cannot be made, belongs to somebody else, or is out of reach for the workers.
    """
    location = locate(place, storage_options)
    if location.process_bound and locality is not Locality.SAME_PROCESS:
        raise WorkDirError(
            f"cache_dir {location} is in this process's memory, where workers cannot reach it: use a directory or a "
            f"bucket"
        )
    path = location.local_path
    if path is not None:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise WorkDirError(
                f"cache_dir {location} cannot be made: {safe_message(error, location)}. Give another, or the rights"
            ) from None
        check_owner(path)  # what is found in it is unpickled.
    return location


def trim(blobs: Blobs, *, most_bytes: int | None, most_seconds: float | None) -> int:
    """Remove the results that were not used for so long, and then those not used for longest; return their number.

    Raises
    ------
    OptionError
        If the cache is in an object store, whose objects do not say when they were used.
    """
    if most_bytes is None and most_seconds is None:
        return 0
    check_can_be_trimmed(blobs.location)
    found = [entry for entry in blobs.entries() if _is_key(entry.key)]
    # The latest first, so that what goes is a tail of the list.
    entries = sorted(found, key=lambda entry: entry.used_at, reverse=True)
    oldest = -1.0 if most_seconds is None else time.time() - most_seconds
    kept = total = 0
    for entry in entries:
        total += entry.nbytes
        if entry.used_at < oldest or (most_bytes is not None and total > most_bytes):
            break
        kept += 1
    blobs.delete(entry.key for entry in entries[kept:])
    return len(entries) - kept


def check_can_be_trimmed(location: Location) -> None:
    """Raise OptionError for a cache whose results do not say when they were used."""
    if location.local_path is None:
        raise OptionError(
            f"the cache {location} is in an object store, which cache_bytes and cache_seconds cannot bound: give the "
            f"bucket a rule by which old objects expire, and leave them out"
        )


def clear_cache(place: PlaceLike, storage_options: Mapping[str, Any] | None = None) -> int:
    """Remove all cached results of a ``cache_dir``, or of a ``work_dir`` that has a cache; return their number.

    >>> import asyncexec.storage as storage
    >>> plan = ax.Plan.map(abs, [-1, 2], cache="inputs")
    >>> ax.sync.execute(plan, work_dir="work").value
    [1, 2]
    >>> ax.sync.execute(plan, work_dir="work").stages[0].cached
    2
    >>> storage.clear_cache("work")
    2

    Runs that use the cache at the same time compute again what they do not find.
    """
    location = locate(place, storage_options)
    path = location.local_path
    inner = location.join(CACHE)
    in_work_dir = (path / CACHE).is_dir() if path else any(Blobs(inner).entries())
    blobs = Blobs(inner if in_work_dir else location)
    keys = [entry.key for entry in blobs.entries() if _is_key(entry.key)]
    blobs.delete(keys)
    return len(keys)


def _is_key(key: str) -> bool:
    """Return whether this is the name of a result: nothing else is ever removed."""
    head, _, tail = key.partition("/")
    return len(head) == 2 and len(tail) == 30 and all(c in "0123456789abcdef" for c in head + tail)
