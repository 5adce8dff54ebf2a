"""Chunks of inputs in files of a memory file system, for tasks of a stage that run in several processes.

The first task that needs a chunk decodes it and writes it as an intermediate is written; others map it. Each leaves a
byte in another file, so that the last one, which sees as many bytes as there are tasks, removes the chunk. Attempts
that are repeated are counted again: a chunk is removed too early then, and decoded once more. Where intermediates find
no room, all chunks are removed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from asyncexec.errors import CorruptChunkError
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.chunks.awaited_opening import all_of
from asyncexec.storage.tiers.blocks import assembled, block_region, blocks_in, read_blocks
from asyncexec.storage.tiers.chunk_uses import ChunkUses, chunk_uses
from asyncexec.storage.tiers.shared_array import CLOSED, SharedArray

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    import numpy as np

    from asyncexec.plan.access import Region
    from asyncexec.plan.access_map import AccessMap
    from asyncexec.plan.box import Index, Shape
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.opened_chunks import Chunks

_READ_BY = "r."
"""The beginning of the names of files that have a byte for each task that has read a chunk."""


class SharedInput(SharedArray):
    """The chunks of an array that a stage reads, as long as other tasks of the stage are to read them; picklable.

    Parameters
    ----------
    ref : StoredArray
    accesses : sequence of AccessMap
        What each task reads, by each of the stage's inputs that are this array.
    grid : tuple of int
        The index space of the tasks.
    folder, account, slot, most_bytes
        As those of a :class:`~asyncexec.storage.tiers.shared_array.SharedArray`.
    """

    def __init__(
        self,
        ref: StoredArray,
        accesses: Sequence[AccessMap],
        grid: Shape,
        *,
        folder: str,
        account: str,
        slot: int,
        most_bytes: int | None = None,
    ) -> None:
        super().__init__(
            ref, ref.chunks, folder=folder, account=account, slot=slot, most_bytes=most_bytes
        )
        self._accesses = accesses
        self._grid = grid
        self._under_way: dict[Index, asyncio.Future[np.ndarray | None]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Workers find out for themselves what is derived.
        derived = ("_uses", "_under_way")
        return {name: v for name, v in super().__getstate__().items() if name not in derived}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._under_way = {}

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only; within one chunk without copying it.

        Raises
        ------
        CorruptArrayError
            If a chunk cannot be decoded.
        StorageError
            If it cannot be read.
        """
        chunks = opened(self.ref)
        if (uses := self._uses) is None:
            return chunks.read(region)
        if self.ref.location.is_elsewhere:
            from asyncexec.storage.chunks.request_loop import run_on_loop  # noqa: PLC0415 - most arrays are files

            # So that chunks are asked for at the same time.
            return next(run_on_loop([self.aread(region, chunks)], 1))
        return read_blocks(
            region, self.block, self.numpy_dtype, lambda index: self._chunk(uses, chunks, index)
        )

    async def aread(self, region: Region, chunks: Chunks) -> np.ndarray:
        """Do what :meth:`read` does, without blocking the event loop; ``chunks`` is the opened array."""
        if (uses := self._uses) is None:
            return await chunks.aread(region)
        numbers = blocks_in(region, self.block)
        if all(uses.of(number) < 2 for number in numbers):
            return await chunks.aread(region)
        blocks = await all_of([self._achunk(uses, chunks, number) for number in numbers])
        found = dict(zip(numbers, blocks, strict=True))
        return await assembled(region, self.block, self.numpy_dtype, found)

    @cached_property
    def _uses(self) -> ChunkUses | None:
        return chunk_uses(self._accesses, self._grid, self.ref)

    def _chunk(self, uses: ChunkUses, chunks: Chunks, index: Index) -> np.ndarray:
        region = block_region(index, self.block, self.shape)
        if (count := uses.of(index)) < 2:
            return chunks.read(region)
        left = count - self._counted(index)
        found = self._shared(index, region)
        if left <= 0:
            self._forget(index)
        if found is None:
            found = chunks.read(region)
            if left > 0:
                self._publish(index, found, count)
        return found

    async def _achunk(self, uses: ChunkUses, chunks: Chunks, index: Index) -> np.ndarray:
        region = block_region(index, self.block, self.shape)
        if (count := uses.of(index)) < 2:
            return await chunks.aread(region)
        left = count - self._counted(index)
        found = self._shared(index, region)
        if left <= 0:
            self._forget(index)
        if found is not None:
            return found
        import asyncio  # noqa: PLC0415 - dear, and workers that read files await nothing

        # Tasks of this process that ask for it at the same time wait for one of them.
        loop = asyncio.get_running_loop()
        first = self._under_way.get(index)
        if first is not None and first.get_loop() is loop:
            # A task that is cancelled while it waits does not cancel what others wait for.
            shared = await asyncio.shield(first)
            return await chunks.aread(region) if shared is None else shared
        mine = self._under_way[index] = loop.create_future()
        read: np.ndarray | None = None
        try:
            found = read = await chunks.aread(region)
            if left > 0:
                self._publish(index, found, count)
        finally:
            if self._under_way.get(index) is mine:
                del self._under_way[index]
            mine.set_result(read)
        return found

    def _shared(self, index: Index, region: tuple[slice, ...]) -> np.ndarray | None:
        """Return a chunk that another task has read; None where it is not there, or not whole."""
        try:
            return self._held(index, region)
        except CorruptChunkError:
            # Not the input is damaged, but the file that somebody has changed.
            self.free([self.path(index)])
            return None

    def _publish(self, index: Index, block: np.ndarray, count: int) -> None:
        """Keep a chunk for other tasks, of which ``count`` read it altogether."""
        if os.path.exists(f"{self.folder}/{CLOSED}"):  # noqa: PTH110 - strings, as in `shared_array`
            return
        if self._keep(self.path(index), block):
            # All others may have read it for themselves by now, or wait for it in this process.
            try:
                done = os.stat(self._counter(index)).st_size >= count  # noqa: PTH116 - the same
            except OSError:
                done = True
            if done:
                self._forget(index)

    def _forget(self, index: Index) -> None:
        """Remove a chunk, and what counts its readers, which takes a page of memory."""
        with suppress(OSError):
            os.unlink(self._counter(index))  # noqa: PTH108 - the same
        self.free([self.path(index)])

    def _counter(self, index: Index) -> str:
        """Return the file that has a byte for each task that has read a chunk."""
        return f"{self.folder}/{_READ_BY}{'.'.join(map(str, index))}"

    def _counted(self, index: Index) -> int:
        """Count a task that reads a chunk; return how many have, or none where the run has ended."""
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            descriptor = os.open(self._counter(index), flags, 0o600)
        except OSError:
            return 0
        try:
            os.write(descriptor, b".")
            return os.fstat(descriptor).st_size
        except OSError:  # Full.
            return 0
        finally:
            os.close(descriptor)
