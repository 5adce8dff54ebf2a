"""Finding arrays that are there, and making those that are not."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.core.sync import sync
from zarr.errors import BaseZarrError, UnknownCodecError, UnstableSpecificationWarning

from asyncexec.errors import (
    ArrayNotFoundError,
    AsyncexecError,
    CorruptArrayError,
    OptionError,
    StorageError,
    TargetExistsError,
)
from asyncexec.storage.arrays import ELEMENT_KINDS, Encoding, StoredArray, dtype_name, fill_scalar
from asyncexec.storage.faults import storage_error
from asyncexec.storage.locations import Location, PlaceLike, locate

if TYPE_CHECKING:
    from zarr.storage import StorePath

METADATA = ("zarr.json", ".zarray", ".zgroup")
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
        Where in ``place``, for an array in a group.

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
    found = location.open(read_only=True)
    try:
        array = zarr.open_array(found, mode="r")
    except Exception as error:  # noqa: BLE001 - whatever Zarr or a store makes of what it finds there
        raise _why_not(location, found, error) from None
    return _reference(location, array)


def exists(location: Location) -> bool:
    """Whether there is a Zarr array or group at ``location``."""
    return any(_raw(location, location.open(read_only=True), name) is not None for name in METADATA)


def create_array(ref: StoredArray, *, overwrite: bool = False) -> None:
    """Make the array that ``ref`` describes: its metadata, no chunks.

    Whatever was at the place before is removed here, and not earlier.

    Raises
    ------
    TargetExistsError
        If there is an array or a group, and not ``overwrite``.
    OptionError
        If Zarr knows no such compressor or element type.
    StorageError
        If the place cannot be written.
    """
    if exists(ref.location):
        if not overwrite:
            raise TargetExistsError(
                f"{ref.location} holds a Zarr array or group already. "
                f"Pass overwrite=True to replace it, or store elsewhere"
            )
        remove(ref.location)
    codecs = [json.loads(ref.compressor)] if ref.compressor else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnstableSpecificationWarning)
            zarr.create_array(
                ref.location.open(),
                shape=ref.shape,
                dtype=ref.numpy_dtype,
                chunks=ref.chunks,
                shards=ref.shards,
                compressors=codecs,
                filters=None,
                fill_value=ref.fill_element[()],
                zarr_format=3,
                overwrite=False,
            )
    except (UnknownCodecError, ValueError, TypeError, KeyError) as error:
        raise OptionError(f"{ref.location} cannot be made as asked: {error}") from None
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, ref.location, "cannot be made") from None


def remove(location: Location) -> None:
    """Remove whatever is at ``location``; nothing there is fine.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """
    local = location.local_path
    try:
        if local is not None:
            if os.path.lexists(local):
                shutil.rmtree(local)
            return
        place = location.open()
        sync(place.store.delete_dir(place.path))
    except AsyncexecError:
        raise
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be removed") from None


def _reference(location: Location, array: zarr.Array[Any]) -> StoredArray:
    document: dict[str, Any] = dict(array.metadata.to_dict())
    dtype = np.dtype(array.dtype)
    if dtype.kind not in ELEMENT_KINDS:
        raise StorageError(
            f"{location} holds elements of type {dtype}, which cannot be computed with: convert it first"
        )
    encoding = _encoding(document, dtype)
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


def _encoding(document: Mapping[str, Any], dtype: np.dtype[Any]) -> Encoding | None:
    """Return how chunks are encoded, if that is no more than elements in C order and at most one compressor."""
    if dtype.kind not in "biufc":
        return None
    return _encoding_2(document) if document["zarr_format"] == 2 else _encoding_3(document, dtype)


def _encoding_2(document: Mapping[str, Any]) -> Encoding | None:
    compressor = document.get("compressor")
    if (
        document.get("filters")
        or document["order"] != "C"
        or (compressor and compressor["id"] != "zstd")
    ):
        return None
    level = (compressor or {}).get("level", 0)
    text = (
        json.dumps({"configuration": {"checksum": False, "level": level}, "name": "zstd"})
        if compressor
        else ""
    )
    return Encoding("", document.get("dimension_separator", "."), str(document["dtype"]), text)


def _encoding_3(document: Mapping[str, Any], dtype: np.dtype[Any]) -> Encoding | None:
    grid, key, codecs = (
        document["chunk_grid"],
        document["chunk_key_encoding"],
        list(document["codecs"]),
    )
    if (
        grid["name"] != "regular"
        or document.get("storage_transformers")
        or not codecs
        or codecs[0]["name"] != "bytes"
    ):
        return None
    if len(codecs) > 2 or any(
        codec["name"] not in ("zstd", "gzip", "blosc") for codec in codecs[1:]
    ):
        return None
    separator = key.get("configuration", {}).get(
        "separator", "/" if key["name"] == "default" else "."
    )
    prefix = f"c{separator}" if key["name"] == "default" else ""
    endian = codecs[0].get("configuration", {}).get("endian", "little")
    stored = dtype.newbyteorder(">" if str(getattr(endian, "value", endian)) == "big" else "<").str
    compressor = (
        json.dumps(codecs[1], sort_keys=True, default=lambda o: getattr(o, "value", str(o)))
        if codecs[1:]
        else ""
    )
    return Encoding(prefix, separator, stored, compressor)


def _why_not(location: Location, place: StorePath, error: Exception) -> AsyncexecError:
    """Return what to raise for ``error``, after a look at what is really there."""
    if isinstance(error, AsyncexecError):
        return error
    try:
        documents = {name: _raw(location, place, name) for name in METADATA}
    except StorageError as why:
        return why
    there = {name: data for name, data in documents.items() if data is not None}
    if not there:
        return ArrayNotFoundError(
            f"there is no Zarr array at {location}. Check the path" + _neighbours(location)
        )
    if _is_group(there):
        arrays = _arrays_in(place)
        listed = (
            f"its arrays are {', '.join(arrays)}: open one of them"
            if arrays
            else "it holds no arrays"
        )
        return ArrayNotFoundError(f"{location} is a Zarr group, not an array; {listed}")
    known = isinstance(error, BaseZarrError | ValueError | KeyError | TypeError)
    told = str(error) if known else f"{type(error).__name__}: {error}"
    return CorruptArrayError(
        f"{location} has {' and '.join(there)}, but it is not the metadata of a Zarr array that can be read: "
        f"{location.options.hide_in(told)}. Restore the file from a copy, or write the array again"
    )


def _raw(location: Location, place: StorePath, name: str) -> bytes | None:
    """Return the bytes of a small file at ``location``, None where there is none."""
    local = location.local_path
    try:
        if local is not None:
            return (local / name).read_bytes()
        data = sync((place / name).get())
        return None if data is None else data.to_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be read") from None


def _is_group(documents: Mapping[str, bytes]) -> bool:
    if ".zgroup" in documents:
        return True
    try:
        document = json.loads(documents.get("zarr.json", b"null"))
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("node_type") == "group"


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
