"""Reading and writing blocks of arrays, each array opened once per process."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from asyncexec.storage.chunks.chunk_files import ChunkFiles

if TYPE_CHECKING:
    from asyncexec.plan.access import Region
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.opened_chunks import Chunks

OPENED_LIMIT = 256
"""The number of arrays that a process keeps opened."""


def opened(ref: StoredArray) -> Chunks:
    """Return the array that ``ref`` refers to, opened at most once in this process.

    Raises
    ------
    ArrayNotFoundError, CorruptArrayError, StorageError
        If it is missing or is not as ``ref`` describes it.
    """
    return opened_in(ref, os.getpid())


@lru_cache(maxsize=OPENED_LIMIT)
def opened_in(ref: StoredArray, _process: int) -> Chunks:
    """Return the array that ``ref`` refers to; for callers to whom a call less counts, with this process's id.

    The process is part of the key, as handles do not survive a fork.
    """
    if ref.part is not None:
        from asyncexec.storage.chunks.array_parts import PartChunks  # noqa: PLC0415 - most arrays are written whole

        return PartChunks(ref.part, opened(ref.part.array), opened(ref.part.before))
    if ref.encoding is not None and ref.location.local_path is not None:
        return ChunkFiles(ref, ref.encoding)
    if ref.shards is not None:
        from asyncexec.storage.chunks.shard_files import shard_files  # noqa: PLC0415 - most arrays have no shards

        if (shards := shard_files(ref)) is not None:
            return shards
    from asyncexec.storage.chunks.remote_chunks import remote_chunks  # noqa: PLC0415 - brings Zarr, and most arrays are files

    return remote_chunks(ref)


def forget_opened() -> None:
    """Close every array that this process keeps opened."""
    opened_in.cache_clear()


def read(ref: StoredArray, region: Region) -> np.ndarray:
    """Return the elements in ``region`` (a slice or positions for each axis) as a read-only array.

    Chunks that were never written read as the fill value, unless the array is ``dense``.

    Raises
    ------
    CorruptArrayError
        If a chunk cannot be decoded, or is missing from a dense array; names array, chunk and path.
    StorageError
        If the store fails.
    """
    return opened(ref).read(region)


def write(ref: StoredArray, region: Region, block: np.ndarray) -> None:
    """Write ``block`` to ``region``, which covers whole units (chunks or shards) or reaches the array's edge.

    Each unit appears whole or not at all.

    Raises
    ------
    OutOfSpaceError
        If the disk or quota is full; nothing of the unit is kept.
    StorageError
        If the store fails, or was opened read-only.
    """
    from asyncexec.storage.places.suitability import check_writable  # noqa: PLC0415 - tasks write to what was checked

    check_writable(ref.location)
    opened(ref).write(region, block)


async def aread(ref: StoredArray, region: Region) -> np.ndarray:
    """Do what :func:`read` does, without blocking the event loop."""
    return await opened(ref).aread(region)


async def awrite(ref: StoredArray, region: Region, block: np.ndarray) -> None:
    """Do what :func:`write` does, without blocking the event loop."""
    from asyncexec.storage.places.suitability import check_writable  # noqa: PLC0415 - the same

    check_writable(ref.location)
    await opened(ref).awrite(region, block)
