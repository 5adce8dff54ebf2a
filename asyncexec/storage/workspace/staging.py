"""Arrays in object stores that replace others: their chunks have other keys, and one request exchanges the metadata.

A store cannot rename, but the same array may have its chunks under other keys (``c/0/0``, or ``c.0.0``), which its
metadata say. So the chunks of the new array are written among those of the old one, which is whole all the time. What
the new metadata are to be, with the run's stamp, is in an object of its own until then: by it a run that is resumed
knows its chunks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from asyncexec.errors import AsyncexecError
from asyncexec.storage.chunks.chunk_keys import ChunkKeys, chunk_keys_of
from asyncexec.storage.chunks.listed_grids import listed_counts
from asyncexec.storage.chunks.written_by import written_by_runs
from asyncexec.storage.places.creation import described
from asyncexec.storage.places.errors import replaced, storage_error
from asyncexec.storage.places.metadata import NAMES, read_file
from asyncexec.storage.places.objects import Objects, objects_at
from asyncexec.storage.places.orphans import CHUNK, names_at, orphans_at
from asyncexec.storage.places.stamps import STAGED, stamp_of, stamped

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.plan.box import Shape
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.workspace.target import Target


def other_keys(ref: StoredArray, found: Mapping[str, bytes]) -> ChunkKeys | None:
    """Return keys for the chunks of ``ref`` that the array of the metadata ``found`` has not; None without any."""
    document = document_of(found)
    if document is None:
        return None
    old = chunk_keys_of(document)
    if ref.zarr_format == 2:
        if old.kind == "default":
            return ChunkKeys("v2", ".")
        both = ref.ndim >= 2 and len(document["shape"]) >= 2
        return ChunkKeys("v2", "." if old.separator == "/" else "/") if both else None
    if old.kind == "v2":
        return ChunkKeys("default", "/")
    if not ref.ndim:
        return ChunkKeys("v2", ".")
    return ChunkKeys("default", "." if old.separator == "/" else "/")


def removal_notice(target: Target) -> str:
    """Return that the array that ``target`` replaces is not kept until the new one is complete, and why."""
    damaged = document_of(target.found) is None
    why = (
        "its metadata are damaged, and do not say where its chunks are"
        if damaged
        else "in format 2, chunks can have other keys only where both arrays have two axes or more"
    )
    return (
        f"{target.place}: the old array is removed before the new one is complete, as {why}. "
        f"Store elsewhere to keep it until then"
    )


def read_staged(location: Location) -> dict[str, bytes]:
    """Return the metadata of the array that is to replace the one at ``location``, by the name that they will have."""
    data = read_file(location, STAGED)
    if data is None:
        return {}
    return {".zarray" if b'"zarr_format": 2' in data else "zarr.json": data}


def keys_of(ref: StoredArray, found: Mapping[str, bytes]) -> ChunkKeys:
    """Return the keys that the chunks of an array with the metadata ``found`` have, or else those of ``ref``."""
    document = document_of(found)
    return ref.keys if document is None else chunk_keys_of(document)


def is_chunk_of(found: Mapping[str, bytes], name: str) -> bool:
    """Return whether ``name`` is that of a chunk of the array with the metadata ``found``."""
    document = document_of(found)
    return document is not None and chunk_keys_of(document).index(name, _grid(document)) is not None


def clear_left(ref: StoredArray) -> None:
    """Remove what killed runs have left at the array ``ref``, which is the run's own, or at its place.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """

    def clear(objects: Objects) -> None:
        if objects.get(STAGED) is None:
            return
        # The chunks of the array that was replaced.
        names = [n for n in objects.names() if CHUNK.fullmatch(n)]
        objects.remove_all([n for n in names if ref.keys.index(n, ref.blocks) is None])
        objects.remove(STAGED)

    with_errors(ref.location, clear)


def clear_orphans(location: Location) -> None:
    """Remove what late attempts of runs that have ended have left at ``location``, where nothing else is.

    Raises
    ------
    StorageError
        If it cannot be removed.
    """

    def clear(objects: Objects) -> None:
        names = names_at(location)
        # Who may not delete can write where nothing has been left.
        left = [*(orphans_at(location, names) or ()), *(n for n in names if n == STAGED)]
        if left:
            objects.remove_all(left)

    with_errors(location, clear)


def stage(target: Target) -> None:
    """Write what the metadata of ``target`` are to be; what a killed run has left where its chunks will be goes.

    Raises
    ------
    StorageError
        If the place cannot be written.
    """
    with_errors(target.place, lambda objects: _stage(target, objects))


def publish_staged(target: Target) -> None:
    """Exchange the metadata of the array at the place for those of ``target``, if they are as they were found.

    Raises
    ------
    TargetReplacedError
        If they are not.
    StorageError
        If the place cannot be written.
    """
    with_errors(target.place, lambda objects: _publish(target, objects))


def take_back_staged(target: Target) -> None:
    """Exchange them again, if they are those of ``target``.

    Raises
    ------
    StorageError
        If the place cannot be written.
    """
    with_errors(target.place, lambda objects: _take_back(target, objects))


def clear_staged(target: Target) -> None:
    """Remove the chunks of the array that ``target`` has replaced; nothing else of what is there.

    Raises
    ------
    StorageError
        If they cannot be removed.
    """
    with_errors(target.place, lambda objects: _clear(target, objects))


def remove_staged(target: Target) -> None:
    """Remove the chunks of ``target``, and what its metadata were to be.

    Raises
    ------
    StorageError
        If they cannot be removed.
    """

    def remove(objects: Objects) -> None:
        own = stamp_of(read_staged(target.place))
        if own is None or own.run == target.stamp.run:
            chunks = _chunks_of(objects, target.ref.keys, target.ref.blocks)
            objects.remove_all(written_by_runs(target.place, chunks))
            objects.remove(STAGED)

    with_errors(target.place, remove)


def with_errors(location: Location, function: Callable[[Objects], None]) -> None:
    """Call ``function`` with the objects at ``location``; what it raises is an error that names the place.

    Raises
    ------
    StorageError
        If it fails.
    """
    try:
        function(objects_at(location))
    except AsyncexecError:
        raise
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, location, "cannot be written") from None


def _stage(target: Target, objects: Objects) -> None:
    # Chunks of a killed run under the same keys would pass for this run's.
    if not target.kept:
        _remove_chunks(objects, target.ref.keys, target.ref.blocks)
    files = stamped(_files(target), target.stamp)
    objects.put(STAGED, next(iter(files.values())))


def _publish(target: Target, objects: Objects) -> None:
    files = stamped(_files(target), target.complete)
    for name, data in files.items():
        before = target.found.get(name)
        if name not in NAMES:
            objects.put(name, data)
        elif before is None:
            if not objects.create(name, data):
                raise replaced(target.place)
        elif not _exchanged(objects, name, before, data):
            raise replaced(target.place)


def _take_back(target: Target, objects: Objects) -> None:
    for name, data in stamped(_files(target), target.complete).items():
        before = target.found.get(name)
        if name not in NAMES:
            continue
        if before is not None:
            _exchanged(objects, name, data, before)
        elif objects.get(name) == data:
            objects.remove(name)


def _clear(target: Target, objects: Objects) -> None:
    document = document_of(target.found)
    if document is not None:
        _remove_chunks(objects, chunk_keys_of(document), _grid(document))
    files = _files(target)
    objects.remove_all([*(name for name in target.found if name not in files), STAGED])


def _exchanged(objects: Objects, name: str, before: bytes, after: bytes) -> bool:
    """Write the object if it is as it was ``before``; return whether it was so."""
    found = objects.fetch(name)
    if found is None or found.data != before:
        # Done before: the answer was lost, and the request repeated.
        return found is not None and found.data == after
    return bool(objects.replace(name, after, found.version))


def _remove_chunks(objects: Objects, keys: ChunkKeys, grid: Shape) -> None:
    objects.remove_all(_chunks_of(objects, keys, grid))


def _chunks_of(objects: Objects, keys: ChunkKeys, grid: Shape) -> list[str]:
    folder = keys.prefix or ""
    # A chunk of an array without axes has no prefix.
    listed = objects.names(folder) if grid else objects.names()
    return [name for name in listed if keys.index(name, grid) is not None]


def _files(target: Target) -> dict[str, bytes]:
    ref = target.ref.at(target.place)
    return described(ref, grouped=target.around.is_grouped, found=target.found)


def document_of(found: Mapping[str, bytes]) -> Any:
    """Return the metadata of an array, if they say where its chunks are; else None."""
    for name in ("zarr.json", ".zarray"):
        try:
            document = json.loads(found.get(name, b"null"))
            if isinstance(document, dict):
                chunk_keys_of(document)
                _grid(document)
                return document
        except (ValueError, LookupError, TypeError, AttributeError):
            continue
    return None


def _grid(document: Any) -> Shape:
    if document["zarr_format"] == 3 and document["chunk_grid"]["name"] == "rectilinear":
        return listed_counts(document)
    chunks = (
        document["chunks"]
        if document["zarr_format"] == 2
        else document["chunk_grid"]["configuration"]["chunk_shape"]
    )
    return tuple(-(-n // size) for n, size in zip(document["shape"], chunks, strict=True))
