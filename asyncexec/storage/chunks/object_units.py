"""Writing the chunks, or shards, of an array to an object store: one request each, many at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, Any

from asyncexec.storage.chunks.chunk_slices import chunk_slices
from asyncexec.storage.chunks.object_requests import (
    AwaitedRequests,
    BlockingRequests,
    run_blocking,
)
from asyncexec.storage.chunks.object_writes import ObjectWrites
from asyncexec.storage.chunks.request_loop import run_on_loop
from asyncexec.storage.places.errors import cause, storage_error

if TYPE_CHECKING:
    import numpy as np

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.object_requests import Requests

AT_ONCE = 16
"""The chunks or shards of one region that are asked for, or written, at the same time."""
INLINE_BYTES = 64 * 1024
"""Up to this size a chunk is encoded and decoded on the event loop itself; a thread would cost more."""


class ObjectUnits:
    """The objects of the chunks, or shards, of an array, and how they are written.

    Parameters
    ----------
    ref : StoredArray
    client : obstore.store.ObjectStore
    path : str
        The array's, in ``client``.
    encoded : callable
        Returns a chunk or shard as it is stored.
    nbytes : int
        The size of one, uncompressed.
    """

    def __init__(
        self,
        ref: StoredArray,
        client: Any,
        path: str,
        *,
        encoded: Callable[[np.ndarray], Any],
        nbytes: int,
    ) -> None:
        self.location = ref.location
        self.awaited = AwaitedRequests(client, nbytes)
        # None where the store is on this machine: there, nothing is won by asking for several chunks at a time.
        self.rule = self.awaited.rule
        self.blocking = BlockingRequests(client, self.rule)
        self._keys = ref.keys
        self._unit = ref.unit
        self._prefix = f"{path}/" if path else ""
        self._writes = ObjectWrites(ref, client, path)
        self._encoded = encoded
        self._is_inline = nbytes <= INLINE_BYTES

    def key(self, unit: Index) -> str:
        """Return the object of a chunk or shard."""
        return f"{self._prefix}{self._keys.key(unit)}"

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write ``block`` to ``region``, which covers whole chunks or shards (or reaches the array's edge)."""
        parts = self._parts(region, block)
        # To the loop and back costs more than one request gains by it.
        if len(parts) == 1 or self.rule is None:
            for unit, part in parts:
                run_blocking(self._stored(self.blocking, unit, self._encoded(part)))
            return
        # Each is encoded here while others are under way, no more of them at a time than that.
        stores = (self._stored(self.awaited, unit, self._encoded(part)) for unit, part in parts)
        for _ in run_on_loop(stores, AT_ONCE):
            pass

    async def awrite(self, region: Region, block: np.ndarray) -> None:
        """Do what :meth:`write` does, without blocking the event loop."""
        parts = self._parts(region, block)
        if len(parts) == 1:
            await self._awritten(*parts[0])
            return
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(unit: Index, part: np.ndarray) -> None:
            async with turn:
                await self._awritten(unit, part)

        await asyncio.gather(*(one(unit, part) for unit, part in parts))

    async def _awritten(self, unit: Index, part: np.ndarray) -> None:
        encoded = self._encoded
        data = encoded(part) if self._is_inline else await asyncio.to_thread(encoded, part)
        await self._stored(self.awaited, unit, data)

    def _parts(self, region: Region, block: np.ndarray) -> list[tuple[Index, np.ndarray]]:
        along = [chunk_slices(a, size) for a, size in zip(region, self._unit, strict=True)]
        return [
            (
                tuple([piece.chunk for piece in combination]),
                block[(*[piece.in_result for piece in combination], ...)],
            )
            for combination in product(*along)
        ]

    async def _stored(self, requests: Requests, unit: Index, data: Any) -> None:
        key = self.key(unit)
        try:
            await self._writes.put(requests, key, data)
        except Exception as error:  # noqa: BLE001 - as the store puts it
            raise storage_error(
                error, self.location, "cannot be written", chunk=unit, path=key
            ) from cause(error, self.location)
