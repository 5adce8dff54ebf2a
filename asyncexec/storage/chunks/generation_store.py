"""A Zarr store around an object store, in which the chunks of one run's array are written by :mod:`.object_writes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncexec.storage.chunks.object_requests import AwaitedRequests
from asyncexec.storage.chunks.object_writes import ObjectWrites
from asyncexec.storage.chunks.store_writes import OwnWrites

if TYPE_CHECKING:
    from zarr.abc.store import Store
    from zarr.core.buffer import Buffer

    from asyncexec.storage.chunks.arrays import StoredArray


def generation_store(store: Store, ref: StoredArray, client: Any, path: str) -> OwnWrites:
    """Return ``store``: in it, what Zarr encodes of ``ref`` (shards, say) is written with its generation."""
    return OwnWrites(store, _ClientWrites(ref, client, path))


class _ClientWrites:
    """The writing of chunks to a store of obstore's."""

    def __init__(self, ref: StoredArray, client: Any, path: str) -> None:
        self._requests = AwaitedRequests(client)
        self._writes = ObjectWrites(ref, client, path)

    async def put(self, key: str, value: Buffer) -> None:
        await self._writes.put(self._requests, key, value.as_buffer_like())
