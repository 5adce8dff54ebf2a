"""Shards in stores elsewhere, read without Zarr, and in buckets also written without it.

Of a shard, inner chunks that lie near to each other are asked for together, and decoded in the calling thread, or in
one for the caller's event loop; Zarr would do so for all tasks on its one event loop. Whatever is not as expected (a
shard that is damaged, or missing from a dense array) is left to Zarr, whose way says what it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from zarr.core.sync import _get_loop

from asyncexec.errors import CorruptChunkError
from asyncexec.storage.chunks.chunk_slices import shape_of
from asyncexec.storage.chunks.request_loop import run_on_loop
from asyncexec.storage.chunks.shard_codec import LeftToZarrError, ShardCodec
from asyncexec.storage.chunks.shard_requests import ShardRequests
from asyncexec.storage.chunks.still_there import StillThere
from asyncexec.storage.chunks.store_requests import StoreRequests
from asyncexec.storage.chunks.zarr_chunks import ZarrChunks, on_zarrs_loop
from asyncexec.storage.places.errors import cause, storage_error

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.object_units import ObjectUnits
    from asyncexec.storage.chunks.part_requests import PartRequests
    from asyncexec.storage.chunks.shard_codec import InnerPiece
    from asyncexec.storage.chunks.shard_layout import ShardLayout
    from asyncexec.storage.chunks.shard_requests import FetchedShard

type Fetch = Callable[[PartRequests], Coroutine[Any, Any, FetchedShard | None]]
"""The fetching of one shard."""

AT_ONCE = 16
"""The shards of one region that are asked for at the same time."""


class ShardReads(Protocol):
    """The event loop and the requests by which shards are fetched."""

    def each(self, fetches: Sequence[Fetch]) -> Iterator[FetchedShard | None]:
        """Yield what ``fetches`` return, in their order; several are under way at a time."""
        ...

    async def one(self, fetch: Fetch) -> FetchedShard | None:
        """Return what ``fetch`` returns, without blocking the event loop."""
        ...


class UnitWrites(Protocol):
    """The writing of whole shards."""

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write ``block`` to ``region``, which covers whole shards (or reaches the array's edge)."""
        ...

    async def awrite(self, region: Region, block: np.ndarray) -> None:
        """Do what :meth:`write` does, without blocking the event loop."""
        ...


class BucketReads:
    """The fetching of shards from a store of obstore's."""

    def __init__(self, units: ObjectUnits) -> None:
        self._units = units

    def each(self, fetches: Sequence[Fetch]) -> Iterator[FetchedShard | None]:
        """Yield what ``fetches`` return; see :class:`ShardReads`."""
        if self._units.rule is None:
            from asyncexec.storage.chunks.object_requests import run_blocking  # noqa: PLC0415 - brings obstore, which is optional

            blocking = self._units.blocking
            return (run_blocking(fetch(blocking)) for fetch in fetches)
        return run_on_loop([fetch(self._units.awaited) for fetch in fetches], AT_ONCE)

    async def one(self, fetch: Fetch) -> FetchedShard | None:
        """Return what ``fetch`` returns, without blocking the event loop."""
        return await fetch(self._units.awaited)


class StoreReads:
    """The fetching of shards from a Zarr store of any kind: some live on Zarr's own event loop only."""

    def __init__(self, store: Store) -> None:
        self._requests = StoreRequests(store)

    def each(self, fetches: Sequence[Fetch]) -> Iterator[FetchedShard | None]:
        """Yield what ``fetches`` return; see :class:`ShardReads`."""
        return run_on_loop([fetch(self._requests) for fetch in fetches], AT_ONCE, _get_loop())

    async def one(self, fetch: Fetch) -> FetchedShard | None:
        """Return what ``fetch`` returns, without blocking the event loop."""
        return await on_zarrs_loop(fetch(self._requests))


class ShardObjects:
    """A Zarr array whose chunks are in shards, in a store elsewhere.

    Parameters
    ----------
    ref : StoredArray
    layout : ShardLayout
    path : str
        The array's, in its store.
    reads : ShardReads
    writes : UnitWrites, optional
        By Zarr, by default.
    """

    def __init__(
        self,
        ref: StoredArray,
        layout: ShardLayout,
        path: str,
        *,
        reads: ShardReads,
        writes: UnitWrites | None = None,
    ) -> None:
        self._ref = ref
        self._prefix = f"{path}/" if path else ""
        self._codec = ShardCodec(ref, layout)
        self._requests = ShardRequests(ref, layout)
        self._reads = reads
        self._writes = writes
        self._there = StillThere(ref)

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only."""
        wanted = self._codec.wanted(region)
        out = np.empty(shape_of(region), self._ref.numpy_dtype)
        try:
            fetched = self._reads.each([self._fetch(*each) for each in wanted.items()])
            for (shard, pieces), found in zip(wanted.items(), fetched, strict=True):
                self._put(out, shard, pieces, found)
        # Asked for again by Zarr, whose errors name what is wrong; that is rare, and may take its time.
        except (LeftToZarrError, CorruptChunkError):
            return self._by_zarr.read(region)
        return _read_only(out)

    async def aread(self, region: Region) -> np.ndarray:
        """Do what :meth:`read` does, without blocking the event loop."""
        wanted = self._codec.wanted(region)
        out = np.empty(shape_of(region), self._ref.numpy_dtype)
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(shard: Index, pieces: Sequence[InnerPiece]) -> None:
            async with turn:
                found = await self._reads.one(self._fetch(shard, pieces))
                await asyncio.to_thread(self._put, out, shard, pieces, found)

        try:
            await asyncio.gather(*[one(*each) for each in wanted.items()])
        except (LeftToZarrError, CorruptChunkError):
            return await self._by_zarr.aread(region)
        return _read_only(out)

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write ``block`` to ``region``, which covers whole shards (or reaches the array's edge)."""
        (self._writes or self._by_zarr).write(region, block)

    async def awrite(self, region: Region, block: np.ndarray) -> None:
        """Do what :meth:`write` does, without blocking the event loop."""
        await (self._writes or self._by_zarr).awrite(region, block)

    def key(self, shard: Index) -> str:
        """Return the object of ``shard``."""
        return f"{self._prefix}{self._ref.keys.key(shard)}"

    @cached_property
    def _by_zarr(self) -> ZarrChunks:
        return ZarrChunks(self._ref)

    def _fetch(self, shard: Index, pieces: Sequence[InnerPiece]) -> Fetch:
        async def fetch(requests: PartRequests) -> FetchedShard | None:
            key = self.key(shard)
            try:
                return await self._requests.fetched(requests, key, shard, pieces)
            except LeftToZarrError:
                raise
            except Exception as error:  # noqa: BLE001 - as the store puts it
                location = self._ref.location
                raise storage_error(
                    error, location, "cannot be read", chunk=shard, path=key
                ) from cause(error, location)

        return fetch

    def _put(
        self,
        out: np.ndarray,
        shard: Index,
        pieces: Sequence[InnerPiece],
        found: FetchedShard | None,
    ) -> None:
        """Put what was fetched of a shard into ``out``."""
        if found is None:
            # An array that is gone has no fill values either.
            self._there.check()
            self._codec.fill(out, pieces)
        else:
            self._codec.decode(out, pieces, found.places, found.read, self.key(shard))


def _read_only(block: np.ndarray) -> np.ndarray:
    block.flags.writeable = False
    return block
