"""Opening arrays that exist."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.errors import BaseZarrError

from asyncexec.errors import (
    ArrayNotFoundError,
    AsyncexecError,
    CorruptArrayError,
    StorageError,
)
from asyncexec.storage.chunks.arrays import ELEMENT_KINDS, StoredArray, dtype_name, fill_scalar
from asyncexec.storage.chunks.encodings import encoding_of
from asyncexec.storage.places.locations import Location, PlaceLike, locate
from asyncexec.storage.places.metadata import documents, is_group
from asyncexec.storage.places.stores import open_place

if TYPE_CHECKING:
    from zarr.storage import StorePath

_LISTED = 20


def open_array(
    place: PlaceLike, storage_options: Mapping[str, Any] | None = None, *, path: str = ""
) -> StoredArray:
    """Return a reference to the Zarr array (format 3 or 2) at ``place``.

    Parameters
    ----------
    place : path, URL, zarr Store or Location
    storage_options : mapping, optional
        Keys, tokens, endpoints: whatever the store takes.
    path : str
        The path in ``place``, for an array in a group.

    Raises
    ------
    ArrayNotFoundError
        If there is nothing, or a group; its arrays are listed.
    CorruptArrayError
        If there is something that cannot be read as a Zarr array.
    MissingExtraError
        If the package that serves such URLs is not installed.
    """
    location = locate(place, storage_options, path=path)
    found = open_place(location, read_only=True)
    try:
        array = zarr.open_array(found, mode="r")
    except Exception as error:  # noqa: BLE001 - whatever Zarr or a store makes of what it finds there
        raise _open_error(location, found, error) from None
    return _reference(location, array)


def _reference(location: Location, array: zarr.Array[Any]) -> StoredArray:
    document: dict[str, Any] = dict(array.metadata.to_dict())
    dtype = np.dtype(array.dtype)
    if dtype.kind not in ELEMENT_KINDS:
        raise StorageError(
            f"{location} holds elements of type {dtype}, which cannot be computed with: convert it first"
        )
    if document.get("chunk_grid", {"name": "regular"})["name"] != "regular":
        raise StorageError(
            f"{location} has chunks of irregular size, which cannot be computed with: rechunk it first"
        )
    encoding = encoding_of(document, dtype)
    return StoredArray(
        location=location,
        shape=tuple(array.shape),
        dtype=dtype_name(dtype),
        chunks=tuple(array.chunks),
        shards=tuple(array.shards) if array.shards else None,
        fill_value=fill_scalar(array.fill_value, dtype.newbyteorder("=")),
        compressor=encoding.compressor
        if encoding
        else json.dumps(document.get("codecs", ""), default=str),
        encoding=encoding,
    )


def _open_error(location: Location, place: StorePath, error: Exception) -> AsyncexecError:
    """Return the error to raise for ``error``, by what is found at ``location``."""
    if isinstance(error, AsyncexecError):
        return error
    try:
        there = documents(location)
    except StorageError as why:
        return why
    if not there:
        return ArrayNotFoundError(
            f"there is no Zarr array at {location}. Check the path" + _neighbours(location)
        )
    if is_group(there):
        arrays = _arrays_in(place)
        listed = (
            f"its arrays are {', '.join(arrays)}: open one of them"
            if arrays
            else "it holds no arrays"
        )
        return ArrayNotFoundError(f"{location} is a Zarr group, not an array; {listed}")
    known = isinstance(error, BaseZarrError | ValueError | KeyError | TypeError)
    message = str(error) if known else f"{type(error).__name__}: {error}"
    return CorruptArrayError(
        f"{location} has {' and '.join(there)}, but it is not the metadata of a Zarr array that can be read: "
        f"{location.options.hide_in(message)}. Restore the file from a copy, or write the array again"
    )


def _arrays_in(place: StorePath) -> list[str]:
    try:
        names = sorted(name for name, _ in zarr.open_group(place, mode="r").arrays())
    except Exception:  # noqa: BLE001 - a list is a courtesy within an error, not a reason for another
        return []
    return names[:_LISTED] + (["…"] if len(names) > _LISTED else [])


def _neighbours(location: Location) -> str:
    local = location.local_path
    if local is None or not local.is_dir():
        return ""
    names = sorted(entry.name for entry in local.iterdir())[:_LISTED]
    return f" (the folder holds {', '.join(names) or 'nothing'})"
