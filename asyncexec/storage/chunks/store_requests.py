"""Requests for shards and parts of them to a Zarr store of any kind, on Zarr's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zarr.abc.store import RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest, Store


class PartOfObject(NamedTuple):
    """An object, or a part of one; of its version nothing is known."""

    data: Any
    version: str = ""


class StoreRequests:
    """The requests to ``store``, of which nothing is known but that it is one of Zarr's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, key: str) -> PartOfObject:
        """Return the object; raise FileNotFoundError where there is none."""
        return await self._got(key)

    async def part(self, key: str, part: slice, version: str = "") -> PartOfObject:
        """Return a part of the object; see :class:`.part_requests.PartRequests`."""
        return await self._got(
            key,
            SuffixByteRequest(-part.start)
            if part.stop is None
            else RangeByteRequest(part.start, part.stop),
        )

    async def parts(self, key: str, parts: Sequence[slice], version: str = "") -> list[Any]:
        """Return the bytes of several parts of the object, asked for at the same time."""
        found = await asyncio.gather(*[self.part(key, part, version) for part in parts])
        return [part.data for part in found]

    async def _got(self, key: str, wanted: ByteRequest | None = None) -> PartOfObject:
        found = await self._store.get(key, default_buffer_prototype(), wanted)
        if found is None:
            raise FileNotFoundError(key)
        return PartOfObject(memoryview(found.as_buffer_like()).cast("B"))
