"""Places that lazy arrays read, which nothing may be written to while they are computed.

A task may run again after it has written, and tasks write while others still read: what is computed of an array that is
overwritten meanwhile is neither of the old elements nor of the new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import zarr

from asyncexec.array.array import Array
from asyncexec.array.expansion import topological
from asyncexec.array.nodes import ArraySource, Rechunk
from asyncexec.errors import OptionError
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.places.identity import Places, identity
from asyncexec.storage.places.locations import Location, locate


def check_not_read(arrays: Sequence[Array], targets: Sequence[Any]) -> None:
    """Check that none of the Zarr arrays among ``targets``, one for each array, is read to compute ``arrays``.

    An array that is read as it is may be written to its own place, as coordinates are that come with a new variable.

    Raises
    ------
    OptionError
        If one is.
    """
    located = [locate(each) if isinstance(each, zarr.Array) else None for each in targets]
    computed = [
        array
        for array, target, place in zip(arrays, targets, located, strict=True)
        # Without chunks, the target has just been emptied: there is nothing to copy any more.
        if place is None or not (_is_copy(array, place) and target.nchunks_initialized)
    ]
    _check(computed, [place for place in located if place is not None])


def _is_copy(array: Array, place: Location) -> bool:
    """Return whether ``array`` is the one at ``place``, as it is there."""
    node = array.node
    while isinstance(node, Rechunk):
        node = node.inputs[0]
    stored = node.array if isinstance(node, ArraySource) else None
    return isinstance(stored, StoredArray) and identity(stored.location) == identity(place)


def check_group_not_read(arrays: Sequence[Array], store: Any, **options: Any) -> None:
    """Check that nothing in a group that is to be emptied is read to compute ``arrays``.

    Parameters
    ----------
    arrays : sequence of Array
    store : path, URL or Zarr store
    **options
        Those of ``Dataset.to_zarr``; of them ``group`` and ``storage_options`` say where the group is.

    Raises
    ------
    OptionError
        If something is.
    """
    try:
        place = locate(store, options.get("storage_options"), path=options.get("group") or "")
    except OptionError:
        return  # A place that only xarray knows.
    _check(arrays, [place])


def _check(arrays: Sequence[Array], written: Sequence[Location]) -> None:
    places = Places(written)
    for location in _read_by(arrays) if written else ():
        found = places.find(location)
        if found is not None:
            raise OptionError(
                f"{found.spelling} would be overwritten while {location.spelling} is still read for it: write to "
                f"another place, leave it out, by ds.drop_vars(...), or load it before, by ds.load(). What xarray has "
                f"emptied for mode='w' cannot be read any more; 'await ds.asyncexec.to_zarr(...)' says so before"
            )


def _read_by(arrays: Sequence[Array]) -> Iterable[Location]:
    """Return the places of the Zarr arrays that expressions read, each once."""
    found: dict[Location, None] = {}
    for node in topological([array.node for array in arrays]):
        if isinstance(node, ArraySource) and isinstance(node.array, StoredArray):
            found[node.array.location] = None
    return found
