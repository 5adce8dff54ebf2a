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
    UnfinishedArrayError,
)
from asyncexec.storage.chunks.array_traits import ArrayTraits, attributes_json
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.chunks.chunk_keys import chunk_keys_of
from asyncexec.storage.chunks.element_types import (
    ELEMENT_KINDS,
    dtype_name,
    fill_scalar,
    native_dtype,
)
from asyncexec.storage.chunks.encodings import encoding_of
from asyncexec.storage.chunks.listed_grids import is_exact, listed_lengths
from asyncexec.storage.places.array_documents import DIMENSIONS, read_metadata
from asyncexec.storage.places.locations import Location, PlaceLike, locate
from asyncexec.storage.places.metadata import array_document, documents, is_array, read_file
from asyncexec.storage.places.stamps import FIELD, stamp_of
from asyncexec.storage.places.stores import open_place
from asyncexec.storage.places.unstable_types import unstable_types_allowed

if TYPE_CHECKING:
    from zarr.storage import StorePath

_LISTED = 20


def open_array(
    place: PlaceLike,
    storage_options: Mapping[str, Any] | None = None,
    *,
    path: str = "",
    unfinished: bool = False,
) -> StoredArray:
    """Return a reference to the Zarr array (format 3 or 2) at ``place``, as it is now.

    Parameters
    ----------
    place : path, URL, zarr Store or Location
    storage_options : mapping, optional
        Keys, tokens, endpoints: whatever the store takes.
    path : str
        The path in ``place``, for an array in a group.
    unfinished : bool
        Whether an array is opened that a run is still writing, or has left incomplete.

    Raises
    ------
    ArrayNotFoundError
        If there is nothing, or a group; its arrays are listed.
    UnfinishedArrayError
        If a run has not completed it, and ``unfinished`` is off.
    CorruptArrayError
        If there is something that cannot be read as a Zarr array.
    MissingExtraError
        If the package that serves such URLs is not installed.
    """
    return open_described(place, storage_options, path=path, unfinished=unfinished)[0]


def open_described(
    place: PlaceLike,
    storage_options: Mapping[str, Any] | None = None,
    *,
    path: str = "",
    unfinished: bool = False,
) -> tuple[StoredArray, ArrayTraits]:
    """Return what :func:`open_array` returns, with the attributes, names of axes and fill value that the array has.

    Raises
    ------
    ArrayNotFoundError, UnfinishedArrayError, CorruptArrayError, MissingExtraError
        As :func:`open_array` does.
    """
    location = locate(place, storage_options, path=path)
    found = documents(location)
    if not is_array(found):
        raise _no_array(location, found)
    if not unfinished:
        _check_finished(location, found)
    document = array_document(found)
    try:
        # As text that is no JSON, it is the text that the error is about.
        metadata: Any = read_metadata(document or next(iter(found.values())).decode())
        array: zarr.Array[Any] = zarr.Array(
            zarr.AsyncArray(metadata=metadata, store_path=open_place(location, read_only=True))
        )
    except Exception as error:  # noqa: BLE001 - whatever Zarr or a store makes of what it finds there
        raise _unreadable(location, found, error) from None
    return _reference(location, array, document), _traits(location, found)


def _traits(location: Location, found: Mapping[str, bytes]) -> ArrayTraits:
    """Return what the metadata files ``found`` say besides how chunks are stored."""
    document = json.loads(found.get("zarr.json") or found[".zarray"])
    if "zarr.json" in found:
        attributes, names = document.get("attributes") or {}, document.get("dimension_names") or ()
    else:
        attributes = json.loads(read_file(location, ".zattrs") or b"{}")
        names = attributes.pop(DIMENSIONS, ())
    return ArrayTraits(
        attributes=attributes_json({k: v for k, v in attributes.items() if k != FIELD}),
        dimension_names=tuple(names) if len(names) == len(document["shape"]) else (),
        fill_given=document.get("fill_value") is not None,
    )


def _check_finished(location: Location, found: Mapping[str, bytes]) -> None:
    stamp = stamp_of(found)
    if stamp is not None and stamp.unfinished:
        again = "with resume=True" if stamp.plan else "with overwrite=True"
        raise UnfinishedArrayError(
            f"{location} is not complete: run {stamp.run} is still writing it, or was ended before it had. Wait for "
            f"that run or run its plan again {again}, or pass unfinished=True to read what there is, where missing "
            f"chunks read as fill values"
        )


def _reference(location: Location, array: zarr.Array[Any], metadata: str) -> StoredArray:
    with unstable_types_allowed():
        document: dict[str, Any] = dict(array.metadata.to_dict())
    dtype = np.dtype(array.dtype)
    if dtype.kind not in ELEMENT_KINDS:
        raise StorageError(
            f"{location} holds elements of type {dtype}, which cannot be computed with: convert it first"
        )
    grid = document.get("chunk_grid", {"name": "regular"})["name"]
    if grid not in ("regular", "rectilinear"):
        raise StorageError(
            f"{location} has a grid of chunks called {grid!r}, which cannot be read: rechunk it first"
        )
    shape = tuple(array.shape)
    listed = grid == "rectilinear"
    units = listed_lengths(json.loads(metadata), shape) if listed else tuple(array.chunks)
    encoding = encoding_of(document, dtype)
    if listed and not is_exact(json.loads(metadata), shape):
        # Of the last chunk, more is stored than the array has.
        encoding = None
    return StoredArray(
        location=location,
        shape=shape,
        dtype=dtype_name(dtype),
        chunks=units,
        shards=None if listed or not array.shards else tuple(array.shards),
        fill_value=fill_scalar(array.fill_value, native_dtype(dtype)),
        compressor=encoding.compressor
        if encoding
        else json.dumps(document.get("codecs", ""), default=str),
        encoding=encoding,
        zarr_format=document["zarr_format"],
        keys=chunk_keys_of(json.loads(metadata)),
        metadata=metadata,
    )


def _no_array(location: Location, found: Mapping[str, bytes]) -> ArrayNotFoundError:
    """Return the error for a place where there is no array."""
    if not found:
        return ArrayNotFoundError(
            f"there is no Zarr array at {location}. Check the path" + _neighbours(location)
        )
    arrays = _arrays_in(open_place(location, read_only=True))
    listed = (
        f"its arrays are {', '.join(arrays)}: open one of them" if arrays else "it holds no arrays"
    )
    return ArrayNotFoundError(f"{location} is a Zarr group, not an array; {listed}")


def _unreadable(location: Location, found: Mapping[str, bytes], error: Exception) -> AsyncexecError:
    """Return the error for metadata of an array that cannot be read."""
    if isinstance(error, AsyncexecError):
        return error
    known = isinstance(error, BaseZarrError | ValueError | KeyError | TypeError)
    message = str(error) if known else f"{type(error).__name__}: {error}"
    return CorruptArrayError(
        f"{location} has {' and '.join(found)}, but it is not the metadata of a Zarr array that can be read: "
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
