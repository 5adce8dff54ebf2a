"""The checks that a place suits its use: that it may be written to, can hold a target, and is in reach of workers."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import cloudpickle

from asyncexec.errors import OptionError, StorageError

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location


def check_target(location: Location) -> None:
    """Check that an array can be created at ``location``, filled, and removed again.

    Raises
    ------
    StorageError
        If the store was opened read-only, or is of a kind that cannot do one of these.
    """
    check_writable(location)
    store = location.store
    if store is None:
        return
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
    try:
        travelled = pickle.loads(cloudpickle.dumps(location.store))  # noqa: S301 - made here
    except Exception as error:  # noqa: BLE001 - whatever a store raises
        raise OptionError(
            f"{location} cannot be sent to workers of this executor: a {type(location.store).__name__} cannot be "
            f"pickled ({type(error).__name__}: {error}): {elsewhere}"
        ) from None
    return replace(location, store=travelled)


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
