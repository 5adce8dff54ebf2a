"""The creation of arrays, of which one caller succeeds; nothing but a Zarr array is ever replaced."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from asyncexec.errors import TargetExistsError
from asyncexec.storage.chunks.chunk_files import PARTIAL, partial_folder
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.exclusive import create_file, replace_file
from asyncexec.storage.places.metadata import documents, is_array, is_group
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.orphans import orphans_at
from asyncexec.storage.places.removal import check_takes_objects, remove_array
from asyncexec.storage.places.restoration import is_unreadable
from asyncexec.storage.places.stamps import new_run, stamp_of, stamped
from asyncexec.storage.places.suitability import check_writable

if TYPE_CHECKING:
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.places.stamps import Stamp


def check_free(
    location: Location,
    *,
    overwrite: bool,
    found: Mapping[str, bytes] | None = None,
    names: Sequence[str] | None = None,
) -> bool:
    """Return whether there is an array at ``location``, which may be replaced.

    ``found`` is its metadata, and ``names`` are those of all objects there, where these have been read.

    Raises
    ------
    TargetExistsError
        If there is an array and not ``overwrite``, or anything else: that is never removed.
    """
    found = documents(location) if found is None else found
    if is_array(found):
        if not overwrite:
            raise TargetExistsError(
                f"{location} holds a Zarr array already{_whose(location, found)}. "
                f"Pass overwrite=True to replace it, or store elsewhere"
            )
        return True
    if is_group(found):
        raise TargetExistsError(
            f"{location} is a Zarr group, which is not replaced by an array. Store inside of it, or elsewhere"
        )
    if not _is_empty(location, names):
        raise TargetExistsError(
            f"{location} holds something that is no Zarr array, so it is not replaced. Remove it, or store elsewhere"
        )
    return False


def create_array(ref: StoredArray, *, overwrite: bool = False) -> None:
    """Create the array that ``ref`` describes: its metadata, no chunks. Of several callers at once, one succeeds.

    An array that was at the place before is removed here, and not earlier.

    Raises
    ------
    TargetExistsError
        If there is an array and not ``overwrite``, or anything else, or somebody else was first.
    OptionError
        If Zarr knows no such compressor or element type.
    StorageError
        If the place cannot be written.
    """
    check_writable(ref.location)
    files = described(ref)
    if check_free(ref.location, overwrite=overwrite):
        run = new_run()
        check_takes_objects(ref.location, run)
        remove_array(ref.location, run)
    make_array(ref, files)


def make_array(ref: StoredArray, files: Mapping[str, bytes], *, stamp: Stamp | None = None) -> str:
    """Write the metadata ``files`` of an array that is not there yet, with ``stamp``.

    Return the version that the first of them has then, in an object store; on a disk nothing.

    Raises
    ------
    TargetExistsError
        If somebody else was first.
    StorageError
        If the place cannot be written.
    """
    location = ref.location
    first, *others = stamped(files, stamp).items()
    version = ""
    try:
        if location.local_path is None:
            # The first file decides whose the array is; the others are written by who has it.
            version = objects_at(location).create(*first)
            won = bool(version)
        else:
            won = create_file(
                location, *first, partial=partial_folder(ref) if ref.generation else ""
            )
        if won:
            for name, data in others:
                replace_file(location, name, data)
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be made") from None
    if not won:
        raise TargetExistsError(
            f"{location} holds a Zarr array already: another run made it at the same time. Wait for that run, "
            f"or store elsewhere"
        )
    return version


def renew_array(ref: StoredArray) -> None:
    """Write the metadata of an array in a run's own folder, whatever is left of it there.

    Raises
    ------
    OptionError
        If Zarr knows no such compressor or element type.
    StorageError
        If the place cannot be written.
    """
    files = described(ref)
    try:
        path = ref.location.local_path
        if path is not None:
            path.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            replace_file(ref.location, name, data)
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, ref.location, "cannot be made") from None


def described(
    ref: StoredArray, *, grouped: bool = False, found: Mapping[str, bytes] | None = None
) -> dict[str, bytes]:
    """Return the metadata files that describe ``ref``, by name; those that are in a group have names of axes.

    ``found`` are those of an array that is replaced.

    Raises
    ------
    OptionError
        If Zarr knows no such compressor or element type.
    """
    from asyncexec.storage.places.array_documents import array_documents, dimension_names  # noqa: PLC0415 - brings Zarr, which is dear

    return array_documents(ref, dimension_names(ref, found or {}) if grouped else ())


def _whose(location: Location, found: Mapping[str, bytes]) -> str:
    if is_unreadable(location, found):
        return ", whose metadata are damaged: they do not say whose it is"
    stamp = stamp_of(found)
    if stamp is None:
        return ""
    if stamp.plan:
        return ", of a run with resume=True of another plan, or of this one without it"
    return ", which a run is writing, or one that was killed has left unfinished"


def _is_empty(location: Location, names: Sequence[str] | None) -> bool:
    """Return whether there is nothing at ``location``, apart from what a run that was killed had not begun to use."""
    local = location.local_path
    try:
        if local is not None:
            return not os.path.lexists(local) or (
                local.is_dir() and all(entry.name.startswith(PARTIAL) for entry in local.iterdir())
            )
        return orphans_at(location, names) is not None
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be read") from None
