"""A Zarr store around an object store, in which the chunks of one run's array are written by :mod:`.object_writes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from zarr.abc.store import Store
from zarr.storage import WrapperStore

from asyncexec.storage.chunks.object_requests import AwaitedRequests
from asyncexec.storage.chunks.object_writes import ObjectWrites

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer

    from asyncexec.storage.chunks.arrays import StoredArray


class GenerationStore(WrapperStore[Store]):
    """The store of ``ref``: its shards, and other chunks that Zarr encodes, are written as those of its generation."""

    def __init__(self, store: Store, ref: StoredArray, client: Any, path: str) -> None:
        super().__init__(store)
        self._made_of = (ref, client, path)
        self._requests = AwaitedRequests(client)
        self._writes = ObjectWrites(ref, client, path)

    def _with_store(self, store: Store) -> Self:
        return type(self)(store, *self._made_of)

    async def set(self, key: str, value: Buffer) -> None:
        await self._writes.put(self._requests, key, value.as_buffer_like())
