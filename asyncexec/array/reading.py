"""Arrays that are read from Zarr."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from asyncexec.array.array import Array
from asyncexec.array.sources import stored_source
from asyncexec.array.spec import Spec

type Place = str | os.PathLike[str] | Any


def from_zarr(
    place: Place,
    /,
    *,
    path: str = "",
    spec: Spec | None = None,
    storage_options: Mapping[str, Any] | None = None,
    unfinished: bool = False,
) -> Array:
    """Return the Zarr array (format 3 or 2) at ``place``, as it is now, with its attributes and names of axes.

    Of a grid of irregular chunks, the length of the longest along each axis becomes that of the array's chunks.

    >>> xp.to_zarr(xp.arange(6, chunks=2), "x.zarr")
    >>> x = xp.from_zarr("x.zarr")
    >>> x
    <asyncexec.Array shape=(6,) dtype=int64 chunks=(2,) (48 B)>
    >>> x[-2:].compute()
    array([4, 5])

    Parameters
    ----------
    place : path, URL, Zarr store, array or group, obstore's store, fsspec's mapping, or dictionary
    path : str
        Where in ``place``, for an array in a group.
    spec : Spec, optional
    storage_options : mapping, optional
        What the store is opened with; by default the spec's.
    unfinished : bool
        Whether an array is taken that a run has not completed: what is missing reads as fill values.

    Raises
    ------
    ArrayNotFoundError
        If there is none.
    UnfinishedArrayError
        If a run is still writing it, or was killed, and ``unfinished`` is off.
    CorruptArrayError
        If there is something that cannot be read as one.
    TypeError
        If its elements have an unsupported type.
    """
    from asyncexec.storage.places.opening import open_described  # noqa: PLC0415 - brings Zarr, which is dear

    options = storage_options
    if options is None and spec is not None:
        options = spec.storage_options
    array, traits = open_described(place, options, path=path, unfinished=unfinished)
    return Array(stored_source(array, traits), spec)
