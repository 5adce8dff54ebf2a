"""The metadata of arrays as Zarr has them: the files of one that is to be created, and those of one that exists."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numcodecs
import zarr
from zarr.core.buffer import Buffer
from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata
from zarr.errors import UnknownCodecError
from zarr.storage import MemoryStore

from asyncexec.errors import OptionError
from asyncexec.plan.lengths import as_data
from asyncexec.storage.chunks.codec_libraries import plain_codec
from asyncexec.storage.places.unstable_types import unstable_types_allowed
from asyncexec.storage.places.urls import split_query

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.chunk_keys import ChunkKeys

_configuring = Lock()

DIMENSIONS = "_ARRAY_DIMENSIONS"
"""The attribute that xarray has the names of axes in, in format 2."""


def array_documents(ref: StoredArray, dimension_names: Sequence[str] = ()) -> dict[str, bytes]:
    """Return the metadata files that describe ``ref``, by name.

    Raises
    ------
    OptionError
        If Zarr knows no such compressor or element type.
    """
    files: dict[str, Buffer] = {}
    try:
        with unstable_types_allowed(), _listed_chunks(allowed=ref.is_irregular):
            zarr.create_array(
                MemoryStore(files),
                shape=ref.shape,
                dtype=ref.numpy_dtype,
                chunks=as_data(ref.chunks) or (),
                shards=as_data(ref.shards),
                compressors=_compressors(ref) or None,
                filters=_filters(ref) or None,
                # In format 2, xarray takes elements that equal it for missing ones.
                fill_value=None
                if ref.zarr_format == 2 and not ref.traits.fill_given
                else ref.fill_element[()],
                zarr_format=3 if ref.zarr_format == 3 else 2,
                chunk_key_encoding={"name": ref.keys.kind, "separator": _separator(ref.keys)},
                **_named(ref, _names(ref, dimension_names)),
            )
    except (UnknownCodecError, ValueError, TypeError, KeyError) as error:
        raise OptionError(f"{ref.location} cannot be made as asked: {error}") from None
    # The one that makes it an array is the first.
    names = sorted(files, key=lambda name: name == ".zattrs")
    return {name: files[name].to_bytes() for name in names}


def array_metadata(ref: StoredArray) -> ArrayV2Metadata | ArrayV3Metadata:
    """Return Zarr's metadata of ``ref``, as it was opened or is to be created; nothing is read.

    Raises
    ------
    OptionError
        If it is to be created, and Zarr knows no such compressor or element type.
    """
    files = {"": ref.metadata.encode()} if ref.metadata else array_documents(ref)
    return read_metadata(next(iter(files.values())).decode())


def read_metadata(document: str) -> ArrayV2Metadata | ArrayV3Metadata:
    """Return Zarr's metadata of an array from its metadata document.

    Raises
    ------
    ValueError, TypeError, KeyError, zarr.errors.BaseZarrError
        If it is not the document of an array that Zarr can read.
    """
    found: dict[str, Any] = json.loads(document)
    with unstable_types_allowed(), irregular_allowed(found):
        return (
            ArrayV2Metadata.from_dict(found)
            if found.get("zarr_format") == 2
            else ArrayV3Metadata.from_dict(found)
        )


@contextmanager
def irregular_allowed(document: Mapping[str, Any]) -> Generator[None]:
    """Let Zarr read metadata with chunks of irregular lengths, which it takes for experimental."""
    grid = document.get("chunk_grid")
    allowed = isinstance(grid, Mapping) and grid.get("name") == "rectilinear"
    with _listed_chunks(allowed=allowed):
        yield


@contextmanager
def _listed_chunks(*, allowed: bool) -> Generator[None]:
    if not allowed:
        yield
        return
    # Zarr's configuration is that of the whole process.
    with _configuring, zarr.config.set({"array.rectilinear_chunks": True}):
        yield


def _separator(keys: ChunkKeys) -> Literal["/", "."]:
    return "/" if keys.separator == "/" else "."


def _filters(ref: StoredArray) -> list[Any]:
    found = json.loads(ref.traits.filters or "[]")
    return [numcodecs.get_codec(each) for each in found] if ref.zarr_format == 2 else found


def _compressors(ref: StoredArray) -> list[Any]:
    if ref.traits.compressors:
        return list(json.loads(ref.traits.compressors))
    if ref.zarr_format == 2:
        return [plain_codec(ref.compressor)] if ref.compressor else []
    codecs = [json.loads(ref.compressor)] if ref.compressor else []
    # Behind the compressor, so that damage is noticed before anything is made of it.
    return [*codecs, {"name": "crc32c"}] if ref.checksum else codecs


def _names(ref: StoredArray, in_group: Sequence[str]) -> Sequence[str | None]:
    """Return the names of axes: its own, and in a group one for each axis that has none."""
    own = ref.traits.dimension_names
    if not own or not in_group:
        return own or in_group
    lacking = {a for a, name in enumerate(own) if name is None} | {*ref.traits.resized_axes}
    return [in_group[axis] if axis in lacking else name for axis, name in enumerate(own)]


def _named(ref: StoredArray, names: Sequence[str | None]) -> dict[str, Any]:
    """Return the attributes, and the names of axes as each format has them."""
    attributes: dict[str, Any] = json.loads(ref.traits.attributes or "{}")
    if names and ref.zarr_format == 2:
        named = [f"dim_{axis}" if name is None else name for axis, name in enumerate(names)]
        return {"attributes": {DIMENSIONS: named, **attributes}}
    found: dict[str, Any] = {"attributes": attributes} if attributes else {}
    return {**found, "dimension_names": list(names)} if names else found


def dimension_names(ref: StoredArray, found: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return names for the axes of ``ref``, which xarray needs of every array in a group.

    They are those of the array that was ``found`` there, if it had the same shape. Else each has a name of its own: one
    that two arrays share has one length in xarray.
    """
    before = json.loads(found.get("zarr.json", b"{}")) if _is_json(found.get("zarr.json")) else {}
    names = before.get("dimension_names")
    if names and tuple(before.get("shape", ())) == ref.shape and all(names):
        return tuple(map(str, names))
    last = split_query(ref.location.url)[0].rstrip("/").rpartition("/")[2]
    return tuple(f"{last}_dim_{axis}" for axis in range(ref.ndim))


def _is_json(data: bytes | None) -> bool:
    try:
        return data is not None and isinstance(json.loads(data), dict)
    except ValueError:
        return False
