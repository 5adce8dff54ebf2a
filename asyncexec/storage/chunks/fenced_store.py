"""A Zarr store of local files in which one run writes, for arrays that Zarr encodes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from zarr.storage import LocalStore

from asyncexec.storage.chunks.chunk_files import WholeFiles

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer

    from asyncexec.storage.chunks.arrays import StoredArray


class FencedStore(LocalStore):
    """The files of a target: written only as long as it is the run's that ``ref`` is of, each whole or not at all."""

    def __init__(self, ref: StoredArray) -> None:
        root = ref.location.local_path
        assert root is not None  # noqa: S101 - it is made of local arrays
        super().__init__(root)
        self._files = WholeFiles(ref)

    async def set(self, key: str, value: Buffer) -> None:
        await asyncio.to_thread(self.set_sync, key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        self._files.write(f"{self.root}/{key}", value.as_buffer_like())
