"""The creation and removal of arrays; nothing but a Zarr array is ever replaced."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from typing import TYPE_CHECKING

from asyncexec.errors import AsyncexecError, OptionError, TargetExistsError
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.metadata import documents, is_array, is_group
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.suitability import check_writable

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.places.locations import Location


def check_free(location: Location, *, overwrite: bool) -> bool:
    """Return whether there is an array at ``location``, which may be replaced.

    Raises
    ------
    TargetExistsError
        If there is an array and not ``overwrite``, or anything else: that is never removed.
    """
    found = documents(location)
    if is_array(found):
        if not overwrite:
            raise TargetExistsError(
                f"{location} holds a Zarr array already. Pass overwrite=True to replace it, or store elsewhere"
            )
        return True
    if is_group(found):
        raise TargetExistsError(
            f"{location} is a Zarr group, which is not replaced by an array. Store inside of it, or elsewhere"
        )
    if not _is_empty(location):
        raise TargetExistsError(
            f"{location} holds something that is no Zarr array, so it is not replaced. Remove it, or store elsewhere"
        )
    return False


def create_array(ref: StoredArray, *, overwrite: bool = False) -> None:
    """Create the array that ``ref`` describes: its metadata, no chunks.

    An array that was at the place before is removed here, and not earlier.

    Raises
    ------
    TargetExistsError
        If there is an array and not ``overwrite``, or anything else.
    OptionError
        If Zarr knows no such compressor or element type.
    StorageError
        If the place cannot be written.
    """
    check_writable(ref.location)
    if check_free(ref.location, overwrite=overwrite):
        remove(ref.location)
    _make(ref)


def _make(ref: StoredArray) -> None:
    import zarr  # noqa: PLC0415 - dear, and where chunks stay in memory no array is made
    from zarr.errors import UnknownCodecError, UnstableSpecificationWarning  # noqa: PLC0415 - the same

    from asyncexec.storage.places.stores import open_place  # noqa: PLC0415 - the same

    codecs = [json.loads(ref.compressor)] if ref.compressor else []
    # Behind the compressor, so that damage is noticed before anything is made of it.
    codecs += [{"name": "crc32c"}] if ref.checksum else []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnstableSpecificationWarning)
            zarr.create_array(
                open_place(ref.location),
                shape=ref.shape,
                dtype=ref.numpy_dtype,
                chunks=ref.chunks,
                shards=ref.shards,
                compressors=codecs or None,
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
    """Remove whatever is at ``location``, if there is anything.

    Raises
    ------
    StorageError
        If it cannot be removed, or its store was opened read-only.
    """
    check_writable(location)
    local = location.local_path
    try:
        if local is not None:
            if os.path.lexists(local):
                shutil.rmtree(local)
            return
        objects_at(location).delete()
    except AsyncexecError:
        raise
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be removed") from None


def _is_empty(location: Location) -> bool:
    local = location.local_path
    try:
        if local is not None:
            return not os.path.lexists(local) or (local.is_dir() and not any(local.iterdir()))
        return objects_at(location, read_only=True).is_empty()
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be read") from None
