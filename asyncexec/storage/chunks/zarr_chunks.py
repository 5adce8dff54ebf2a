"""Arrays read and written with Zarr: object stores, stores of the caller, shards, filters, unusual codecs."""

from __future__ import annotations

import asyncio
import gzip
import struct
import zlib
from collections.abc import Coroutine, Iterator
from dataclasses import fields
from itertools import product
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import zarr
from zarr.core.array_spec import ArrayConfig, ArrayConfigParams
from zarr.core.sync import _get_loop, sync
from zarr.errors import BaseZarrError
from zarr.storage import StorePath

from asyncexec.errors import AsyncexecError, CorruptChunkError, StorageError
from asyncexec.plan.lengths import block_start
from asyncexec.storage.chunks.chunk_slices import chunk_slices
from asyncexec.storage.chunks.fenced_store import FencedStore
from asyncexec.storage.chunks.still_there import StillThere
from asyncexec.storage.chunks.store_writes import OwnWrites, StoreWrites
from asyncexec.storage.places.array_documents import array_metadata
from asyncexec.storage.places.errors import (
    cause,
    damaged_chunk,
    missing_chunk,
    safe_message,
    storage_error,
    together,
)
from asyncexec.storage.places.objects import client_of
from asyncexec.storage.places.stores import open_place
from asyncexec.storage.places.suitability import check_writable

if TYPE_CHECKING:
    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import StoredArray


_DAMAGE = (
    BaseZarrError,
    ValueError,
    RuntimeError,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    LookupError,
    TypeError,
    AssertionError,
    OverflowError,
    struct.error,
)
"""What codecs raise, and what decoding makes of bytes that are not what they should be."""


_MISSING = "ChunkNotFoundError"
"""What Zarr raises for a missing chunk, where it is asked to; by name, as Zarr 3.1 has no such error."""


class ZarrChunks:
    """A Zarr array in any store."""

    def __init__(self, ref: StoredArray) -> None:
        self._ref = ref
        self._dtype = ref.numpy_dtype
        self._there = StillThere(ref)
        self._array, self._strict = self._opened()

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only."""
        return sync(self._read(region))

    async def aread(self, region: Region) -> np.ndarray:
        """Do what :meth:`read` does, without blocking the event loop."""
        return await on_zarrs_loop(self._read(region))

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write ``block`` to ``region``, which covers whole chunks or shards (or reaches the array's edge)."""
        sync(self._write(region, block))

    async def awrite(self, region: Region, block: np.ndarray) -> None:
        """Do what :meth:`write` does, without blocking the event loop."""
        await on_zarrs_loop(self._write(region, block))

    async def _read(self, region: Region) -> np.ndarray:
        forward, flips = _forwards(region)
        try:
            found = await self._selected(forward)
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise await self._unread(error, region) from cause(error, self._ref.location)
        # The ellipsis keeps an array without axes an array.
        turned: Any = (*flips, ...)
        block: np.ndarray = np.asarray(found)[turned]
        block = block if block.dtype == self._dtype else block.astype(self._dtype)
        block.flags.writeable = False
        return block

    async def _write(self, region: Region, block: np.ndarray) -> None:
        check_writable(self._ref.location)
        try:
            await self._array.setitem(region, block)
        except Exception as error:  # noqa: BLE001 - as the store puts it
            # Zarr does not say which unit it was: the first stands for them all.
            first = next(self._units(region), (0,) * self._ref.ndim)
            raise storage_error(
                error, self._ref.location, "cannot be written", chunk=first
            ) from cause(error, self._ref.location)

    async def _selected(self, forward: Any) -> Any:
        # Not for each chunk: to look whether the array is there is a request of its own.
        if not self._there.is_due:
            return await _selected(self._array, forward)
        try:
            return await _selected(self._strict, forward)
        except Exception as error:
            if type(error).__name__ != _MISSING or self._ref.dense:
                raise
        # What is missing reads as fill values, unless the array itself is gone.
        await asyncio.to_thread(self._there.check)
        return await _selected(self._array, forward)

    def _opened(self) -> tuple[Any, Any]:
        """Return Zarr's array of the metadata that ``ref`` has, and one that takes missing chunks for errors.

        Its place is not asked.
        """
        ref = self._ref
        try:
            place = self._place()
            metadata = array_metadata(ref)
            strict = _configured(metadata, place, dense=True)
            return strict if ref.dense else _configured(metadata, place, dense=False), strict
        except AsyncexecError:
            raise
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise storage_error(error, ref.location, "cannot be opened") from None

    def _place(self) -> StorePath:
        """Return the place of the array, where only its own run writes."""
        ref = self._ref
        # A late attempt of an ended run must not write into the next run's array.
        if ref.generation and ref.location.local_path is not None:
            return StorePath(FencedStore(ref), "")
        place = open_place(ref.location, read_only=ref.location.read_only)
        if not ref.generation:
            return place
        client = client_of(place.store)
        if client is None:
            # In a run's own directory nobody else writes.
            own = place.store if ref.checksum else _own_writes(ref, place)
            return StorePath(own, place.path)
        from asyncexec.storage.chunks.generation_store import generation_store  # noqa: PLC0415 - brings obstore, which is optional

        return StorePath(generation_store(place.store, ref, client, place.path), place.path)

    async def _unread(self, error: Exception, region: Region) -> AsyncexecError:
        """Return the error for a region that cannot be read: Zarr does not say which of its units is to blame."""
        units = list(self._units(region))
        first = units[0] if units else (0,) * self._ref.ndim
        if isinstance(error, AsyncexecError):
            return error
        if not _is_damage(error):
            return storage_error(error, self._ref.location, "cannot be read", chunk=first)
        try:
            # Of another array, chunks would look damaged.
            await asyncio.to_thread(self._there.check)
        except StorageError as why:
            return why
        damaged: list[CorruptChunkError] = []
        # One by one, to find which of them are to be made again.
        for unit in units:
            try:
                await self._selected(self._region(unit))
            except Exception as fault:  # noqa: BLE001 - as the store puts it
                if _is_damage(fault):
                    damaged.append(self._corrupt(fault, unit))
        return together(damaged) if damaged else self._corrupt(error, first)

    def _corrupt(self, error: Exception, unit: Index) -> CorruptChunkError:
        location = self._ref.location
        key = self._array.metadata.encode_chunk_key(unit)
        if type(error).__name__ == _MISSING:
            return missing_chunk(location, unit, key)
        if self._ref.is_irregular:
            region = ", ".join(f"{a.start}:{a.stop}" for a in self._region(unit))
            key = f"chunks of irregular lengths at [{region}]"
        message = f"{type(error).__name__}: {safe_message(error, location)}"
        return damaged_chunk(location, unit, key, f"it cannot be decoded ({message})")

    def _units(self, region: Region) -> Iterator[Index]:
        """Iterate over the units of writing that a region touches."""
        pairs = zip(region, self._ref.unit, strict=True)
        pieces = [[piece.chunk for piece in chunk_slices(along, unit)] for along, unit in pairs]
        return product(*pieces)

    def _region(self, unit: Index) -> tuple[slice, ...]:
        along = zip(unit, self._ref.unit, self._ref.shape, strict=True)
        return tuple([slice(block_start(u, i), min(block_start(u, i + 1), n)) for i, u, n in along])


def _own_writes(ref: StoredArray, place: StorePath) -> OwnWrites:
    return OwnWrites(place.store, StoreWrites(ref, place.store, place.path))


def _is_damage(error: Exception) -> bool:
    """Return whether an error says that what is stored cannot be decoded, rather than that it cannot be fetched."""
    # The store has failed, and the bytes may be as they should be: gzip's error is the exception.
    if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
        return False
    return type(error).__name__ == _MISSING or isinstance(error, _DAMAGE)


def _configured(metadata: Any, place: StorePath, *, dense: bool) -> Any:
    # Chunks of nothing but fill values are written too, which Zarr leaves out by default: a missing chunk then means
    # "not written", and a listing shows which tasks are complete.
    wanted: dict[str, Any] = {"write_empty_chunks": True, "read_missing_chunks": not dense}
    known = {field.name for field in fields(ArrayConfig)}  # Zarr 3.1 has fewer.
    config: Any = ArrayConfig.from_dict(
        cast("ArrayConfigParams", {name: on for name, on in wanted.items() if name in known})
    )
    return zarr.AsyncArray(metadata=metadata, store_path=place, config=config)


async def _selected(array: Any, forward: Any) -> Any:
    if all(isinstance(along, slice) for along in forward):
        return await array.getitem(forward)
    # Slower than slices, which Zarr cuts without making positions of them.
    return await array.oindex.getitem(forward)


async def on_zarrs_loop[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that Zarr's own event loop runs: some stores live on that one only."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, _get_loop()))


def _forwards(region: Region) -> tuple[Any, tuple[slice, ...]]:
    """Return ``region`` with positive steps only, as Zarr requires, and the slices that flip the result back."""
    forward: list[Any] = []
    flips: list[slice] = []
    for along in region:
        if isinstance(along, slice) and along.step is not None and along.step < 0:
            positions = range(along.start, -1 if along.stop is None else along.stop, along.step)[
                ::-1
            ]
            forward.append(
                slice(positions.start, positions.stop, positions.step) if positions else slice(0, 0)
            )
            flips.append(slice(None, None, -1))
        else:
            forward.append(along)
            flips.append(slice(None))
    return tuple(forward), tuple(flips)
