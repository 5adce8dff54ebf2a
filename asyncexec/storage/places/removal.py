"""The removal of arrays and of other things that runs have made; a kill in the middle leaves nothing in the way.

On a disk, an array is renamed first and removed then, so that nobody meets a part of it. In other stores its metadata
go last: what is left is an array, with the stamp of the run that made it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from asyncexec.errors import AsyncexecError
from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.chunks.written_by import written_by_runs
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.held_stores import is_of_icechunk
from asyncexec.storage.places.metadata import NAMES, documents
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.orphans import CHUNK
from asyncexec.storage.places.stamps import stamp_of
from asyncexec.storage.places.suitability import check_writable

if TYPE_CHECKING:
    from pathlib import Path

    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.places.locations import Location

REMOVED = "removed"
_METADATA = (*NAMES, ".zattrs")


def check_takes_objects(location: Location, run: str) -> None:
    """Check, before an array at ``location`` is removed for that of ``run``, that there can be a new one.

    On a disk that is not needed: there, the old one is kept until the new one is made.

    Raises
    ------
    StorageError
        If no object can be made and removed there.
    """
    if location.local_path is not None or is_of_icechunk(location.store):
        # A session of Icechunk takes arrays and groups only, and what is removed there can be had back.
        return
    # As deep as chunks are: some file systems make no folders.
    name = f"{PARTIAL}-{run}/c/0"
    try:
        objects = objects_at(location)
        objects.put(name, run.encode())
        objects.remove(name)
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be replaced, and is kept") from None


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
        if local is None:
            objects_at(location).delete(last=NAMES)
        elif os.path.lexists(local):
            shutil.rmtree(local)
    except AsyncexecError:
        raise
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be removed") from None


def remove_array(location: Location, run: str) -> None:
    """Remove the array at ``location``, at once for its readers; it is renamed after ``run`` first.

    Raises
    ------
    StorageError
        If it cannot be removed, or its store was opened read-only.
    """
    check_writable(location)
    local = location.local_path
    if local is None:
        remove(location)
        return
    try:
        discard(local, run)
    except OSError as error:
        raise storage_error(error, location, "cannot be removed") from None


def remove_own(ref: StoredArray, run: str) -> bool:
    """Remove the array ``ref`` if its stamp says that ``run`` made it; return whether it was so.

    What is there besides its metadata and chunks is of others, and stays.

    Raises
    ------
    StorageError
        If it cannot be read or removed.
    """
    location = ref.location
    stamp = stamp_of(documents(location))
    if stamp is None or stamp.run != run:
        return False
    check_writable(location)
    path = location.local_path
    try:
        if path is None:
            _remove_objects(ref)
        else:
            _remove_files(path, run, ref)
    except AsyncexecError:
        raise
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be removed") from None
    return True


def remove_array_objects(location: Location) -> None:
    """Remove the metadata and chunks of the array at ``location`` in an object store, whatever their keys.

    Raises
    ------
    StorageError
        If they cannot be removed.
    """
    check_writable(location)
    try:
        objects = objects_at(location)
        names = [name for name in objects.names() if name not in NAMES]
        objects.remove_all([n for n in names if n in _METADATA or CHUNK.fullmatch(n)])
        objects.remove_all(NAMES)
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be removed") from None


def _remove_objects(ref: StoredArray) -> None:
    objects = objects_at(ref.location)
    names = [name for name in objects.names() if is_of(ref, name) and name not in NAMES]
    chunks = [name for name in names if ref.keys.index(name, ref.blocks) is not None]
    # Others may have put something there under the name of a chunk that the run never came to write.
    foreign = set(chunks).difference(written_by_runs(ref.location, chunks))
    objects.remove_all([name for name in names if name not in foreign])
    # The one that makes it an array is the last, so that what a kill leaves says whose it is.
    for name in NAMES:
        objects.remove(name)


def _remove_files(path: Path, run: str, ref: StoredArray) -> None:
    """Remove the files of an array, under another name, by which a later run finds what a killed one has left."""
    # Files of somebody else lie among the array's.
    if any(not is_of(ref, name) for name in _names_below(path)):
        # Where there is more than the array, the folder keeps its name.
        _prune(path, ref)
        return
    aside = path.with_name(f"{path.name}.{REMOVED}-{run}")
    path.rename(aside)
    _prune(aside, ref)
    if aside.exists():  # Somebody was quick.
        aside.rename(path)


def _prune(root: Path, ref: StoredArray) -> None:
    """Remove the files of the array ``ref`` from ``root``, and the folders that are empty then."""
    for name in NAMES:
        (root / name).unlink(missing_ok=True)
    for folder, _, names in os.walk(root, topdown=False):
        above = os.path.relpath(folder, root)
        for name in names:
            if is_of(ref, name if above == "." else f"{above}/{name}"):
                os.unlink(f"{folder}/{name}")  # noqa: PTH108 - one object less for every chunk
        with suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - the same


def _names_below(root: Path) -> Iterator[str]:
    for folder, _, names in os.walk(root):
        above = os.path.relpath(folder, root)
        yield from (name if above == "." else f"{above}/{name}" for name in names)


def is_of(ref: StoredArray, name: str) -> bool:
    """Return whether ``name`` is of the array ``ref``: metadata, a chunk of its grid, or unfinished."""
    return (
        name in _METADATA
        or name.startswith(PARTIAL)
        or ref.keys.index(name, ref.blocks) is not None
        or name.endswith(".partial")
    )


def discard(path: Path, run: str, *, of: Path | None = None) -> None:
    """Remove the directory ``path`` under another name, by which a later run at ``of`` (itself) finds what is left."""
    of = of or path
    aside = of.with_name(f"{of.name}.{REMOVED}-{run}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if aside.is_symlink():
        # What it leads to is not this run's to remove.
        aside.unlink()
    else:
        shutil.rmtree(aside)


def remove_partial(path: Path, *, but: str = "") -> None:
    """Remove unfinished files, and folders of them, from the array at ``path``; the one named ``but`` stays."""
    for left in path.glob(f"{PARTIAL}*"):
        if left.name == but:
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
