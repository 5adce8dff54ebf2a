"""Chunks that are objects in a bucket, read and written directly: one request a chunk.

Zarr's own way passes each chunk through its event loop, and writes what is there already without a look. Here a chunk
is asked for and decoded, or encoded and written, in the calling thread, or awaited on the caller's event loop; the
objects are the same. The chunks of one region are asked for at the same time. Shards are read in
:mod:`.shard_objects`; arrays with filters or unusual codecs are read and written with Zarr.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.errors import CorruptChunkError
from asyncexec.storage.chunks.chunk_codec import ChunkCodec
from asyncexec.storage.chunks.chunk_slices import (
    assign,
    chunk_slices,
    shape_of,
    within_one_chunk,
)
from asyncexec.storage.chunks.object_requests import FetchedChunk, run_blocking
from asyncexec.storage.chunks.object_units import AT_ONCE, INLINE_BYTES, ObjectUnits
from asyncexec.storage.chunks.request_loop import run_on_loop
from asyncexec.storage.chunks.still_there import StillThere
from asyncexec.storage.places.errors import cause, storage_error, together

if TYPE_CHECKING:
    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import Encoding, StoredArray
    from asyncexec.storage.chunks.chunk_slices import ChunkSlice
    from asyncexec.storage.chunks.object_requests import Requests


class ObjectChunks:
    """A Zarr array in an object store, read and written without Zarr.

    Parameters
    ----------
    ref : StoredArray
    encoding : Encoding
    client : obstore.store.ObjectStore
    path : str
        The array's, in ``client``.
    """

    def __init__(self, ref: StoredArray, encoding: Encoding, client: Any, path: str) -> None:
        self._ref = ref
        self._dtype = ref.numpy_dtype
        self._codec = ChunkCodec(ref, encoding)
        self._units = ObjectUnits(
            ref, client, path, encoded=self._encoded, nbytes=self._codec.chunk_bytes
        )
        self._rule = self._units.rule
        self._there = StillThere(ref)

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only; within one chunk without copying it."""
        pieces = self._pieces(region)
        if (one := within_one_chunk(pieces)) is not None:
            chunk, inner = one
            found = self._one(chunk)
            return _read_only(self._decoded(chunk, found)[inner])
        if self._rule is None:
            blocking = self._units.blocking
            every = (run_blocking(self._fetched(blocking, chunk)) for chunk in _chunks(pieces))
            return self._assembled(region, pieces, every)
        # Each is decoded here while others are under way.
        fetches = [self._fetched(self._units.awaited, chunk) for chunk in _chunks(pieces)]
        return self._assembled(region, pieces, run_on_loop(fetches, AT_ONCE))

    async def aread(self, region: Region) -> np.ndarray:
        """Do what :meth:`read` does, without blocking the event loop."""
        pieces, awaited = self._pieces(region), self._units.awaited
        if (one := within_one_chunk(pieces)) is not None:
            chunk, inner = one
            found = await self._fetched(awaited, chunk)
            return _read_only((await self._apart(self._decoded, chunk, found))[inner])
        turn = asyncio.Semaphore(AT_ONCE)
        fetches = [within_turn(turn, self._fetched(awaited, c)) for c in _chunks(pieces)]
        every = await asyncio.gather(*fetches)
        return await asyncio.to_thread(self._assembled, region, pieces, iter(every))

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write ``block`` to ``region``, which covers whole chunks (or reaches the array's edge)."""
        self._units.write(region, block)

    async def awrite(self, region: Region, block: np.ndarray) -> None:
        """Do what :meth:`write` does, without blocking the event loop."""
        await self._units.awrite(region, block)

    def key(self, chunk: Index) -> str:
        """Return the object of ``chunk``."""
        return self._units.key(chunk)

    def _pieces(self, region: Region) -> list[list[ChunkSlice]]:
        return [chunk_slices(a, size) for a, size in zip(region, self._ref.chunks, strict=True)]

    def _one(self, chunk: Index) -> FetchedChunk | None:
        """Return one chunk as it is stored; asked again if it is known by now what is slow."""
        if self._rule is None or self._rule.delay() is None:
            return run_blocking(self._fetched(self._units.blocking, chunk))
        return next(run_on_loop([self._fetched(self._units.awaited, chunk)], 1))

    async def _fetched(self, requests: Requests, chunk: Index) -> FetchedChunk | None:
        """Return the chunk as it is stored; None where there is none."""
        key = self.key(chunk)
        try:
            return await requests.get(key)
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - as the store puts it
            location = self._ref.location
            raise storage_error(
                error, location, "cannot be read", chunk=chunk, path=key
            ) from cause(error, location)

    def _decoded(self, chunk: Index, found: FetchedChunk | None) -> np.ndarray:
        key = self.key(chunk)
        if found is None:
            self._there.check()
            return self._codec.missing(chunk, key)
        try:
            return self._codec.decoded(found.data, chunk, key)
        except CorruptChunkError:
            # Of another array, it would look the same.
            self._there.check()
            raise

    def _encoded(self, part: np.ndarray) -> Any:
        data = self._codec.encoded(part)
        trailer = self._codec.trailer(data)
        return b"".join((data, trailer)) if trailer else data

    def _assembled(
        self,
        region: Region,
        pieces: list[list[ChunkSlice]],
        fetched: Iterator[FetchedChunk | None],
    ) -> np.ndarray:
        out = np.empty(shape_of(region), self._dtype)
        damaged: list[CorruptChunkError] = []
        for combination, found in zip(product(*pieces), fetched, strict=True):
            chunk, inner, outer = zip(*combination, strict=True)
            try:
                assign(out, outer, self._decoded(chunk, found), inner)
            except CorruptChunkError as error:
                # All of them are found at once, so that they can be made again together.
                damaged.append(error)
        if damaged:
            raise together(damaged)
        return _read_only(out)

    async def _apart[**P, T](
        self, function: Callable[P, T], *args: P.args, **options: P.kwargs
    ) -> T:
        """Return what ``function`` returns, called in a thread where it would hold up the event loop."""
        # A look whether the array is there is a request, which would hold up the loop.
        if self._codec.chunk_bytes <= INLINE_BYTES and not self._there.is_due:
            return function(*args, **options)
        return await asyncio.to_thread(function, *args, **options)


def _chunks(pieces: list[list[ChunkSlice]]) -> Iterator[Index]:
    return product(*[[piece.chunk for piece in along] for along in pieces])


def _read_only(block: np.ndarray) -> np.ndarray:
    block.flags.writeable = False
    return block


async def within_turn[T](turn: asyncio.Semaphore, coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what ``coroutine`` returns, which is awaited when its turn has come."""
    async with turn:
        return await coroutine
