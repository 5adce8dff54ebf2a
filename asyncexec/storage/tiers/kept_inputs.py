"""Chunks of inputs in this process's memory, where several tasks of a stage read them: each is read and decoded once.

Blocks that overlap, products of matrices and slices that cut chunks need the same chunk for several tasks. How many of
them need it follows from their regions, so it is let go when the last has read it. It takes memory that intermediates
leave, and is the first to go where they need it: then it is read again.
"""

from __future__ import annotations

import asyncio
import math
import os
import threading
from array import array
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncexec.plan.box import ravel
from asyncexec.plan.lengths import block_start
from asyncexec.storage.chunks.access import opened_in
from asyncexec.storage.chunks.awaited_opening import all_of
from asyncexec.storage.chunks.buffers import BUFFERS
from asyncexec.storage.chunks.request_loop import run_on_loop
from asyncexec.storage.tiers.blocks import assembled, block_region, blocks_in, read_blocks
from asyncexec.storage.tiers.chunk_uses import ChunkUses, chunk_uses

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from asyncexec.plan.access import Region
    from asyncexec.plan.access_map import AccessMap
    from asyncexec.plan.box import Index, Shape
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.opened_chunks import Chunks
    from asyncexec.storage.tiers.process import MemoryTier


class KeptInput:
    """The chunks of an array that a stage reads, as long as other tasks of the stage are to read them; thread-safe.

    Parameters
    ----------
    tier : MemoryTier
        What takes the memory into account.
    ref : StoredArray
    accesses : sequence of AccessMap
        What each task reads, by each of the stage's inputs that are this array.
    grid : tuple of int
        The index space of the tasks.
    """

    def __init__(
        self, tier: MemoryTier, ref: StoredArray, accesses: Sequence[AccessMap], grid: Shape
    ) -> None:
        self.ref = ref
        self._tier = tier
        self._accesses = accesses
        self._grid = grid
        self._lock = threading.Lock()
        # How often each was read: four bytes a chunk, as there may be millions.
        self._reads = array("i")
        self._kept: dict[Index, _Kept] = {}
        self._uses: ChunkUses | None = None
        self._is_known = self._is_closed = False

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only; within one chunk without copying it.

        Raises
        ------
        CorruptArrayError
            If a chunk cannot be decoded.
        StorageError
            If it cannot be read.
        """
        chunks = opened_in(self.ref, os.getpid())
        if (uses := self._known()) is None:
            return chunks.read(region)
        if self.ref.location.is_elsewhere:
            # So that chunks are asked for at the same time.
            return next(run_on_loop([self.aread(region, chunks)], 1))
        get = partial(self._chunk, uses, chunks)
        return read_blocks(region, self.ref.chunks, self.ref.numpy_dtype, get)

    async def aread(self, region: Region, chunks: Chunks) -> np.ndarray:
        """Do what :meth:`read` does, without blocking the event loop; ``chunks`` is the opened array."""
        if (uses := self._known()) is None:
            return await chunks.aread(region)
        pairs = [(n, self._taken(uses, n)) for n in blocks_in(region, self.ref.chunks)]
        if all(taken.kept is None for _, taken in pairs):
            return await chunks.aread(region)
        try:
            blocks = await all_of([self._achunk(chunks, number, each) for number, each in pairs])
        finally:
            # Also what was cancelled before it began.
            for number, (kept, is_first) in pairs:
                if kept is not None and is_first and not kept.block.done():
                    self._settle(number, kept, None)
        found = dict(zip([number for number, _ in pairs], blocks, strict=True))
        return await assembled(region, self.ref.chunks, self.ref.numpy_dtype, found)

    def drop(self) -> None:
        """Let all chunks go, and keep none from now on: those that are needed again are read again."""
        with self._lock:
            self._is_closed = True
            freed = sum([kept.nbytes for kept in self._kept.values()])
            self._kept.clear()
        self._tier.give_back(freed)

    def __reduce__(self) -> Any:
        raise TypeError(
            f"chunks of {self.ref} are kept in memory, and cannot be sent to another process"
        )

    def _known(self) -> ChunkUses | None:
        if not self._is_known:
            # Found out by the first task that reads anything, perhaps by several at once.
            uses = chunk_uses(self._accesses, self._grid, self.ref)
            with self._lock:
                if not self._is_known:
                    self._reads = array("i", bytes(4 * math.prod(self.ref.blocks) if uses else 0))
                    self._uses, self._is_known = uses, True
        return self._uses

    def _chunk(self, uses: ChunkUses, chunks: Chunks, chunk: Index) -> np.ndarray:
        kept, is_first = self._taken(uses, chunk)
        if kept is None:
            return chunks.read(self._region(chunk))
        if not is_first:
            # Another task that needs it at the same time waits, instead of decoding it, too.
            if (found := kept.block.result()) is not None:
                return found
            return chunks.read(self._region(chunk))
        read: np.ndarray | None = None
        try:
            with BUFFERS.lasting():
                read = decoded = chunks.read(self._region(chunk))
        finally:
            self._settle(chunk, kept, read)
        return decoded

    async def _achunk(self, chunks: Chunks, chunk: Index, taken: _Taken) -> np.ndarray:
        kept, is_first = taken
        if kept is not None and not is_first:
            waited = kept.block
            # A task that is cancelled while it waits does not cancel what others wait for.
            shared = (
                waited.result()
                if waited.done()
                else await asyncio.shield(asyncio.wrap_future(waited))
            )
            if shared is not None:
                return shared
        found = await chunks.aread(self._region(chunk))
        if kept is not None and is_first:
            self._settle(chunk, kept, found)
        return found

    def _taken(self, uses: ChunkUses, chunk: Index) -> _Taken:
        """Return where a chunk is kept, and whether the caller is to read it.

        None where no other task needs it, or there is no room.
        """
        with self._lock:
            number = ravel(chunk, self.ref.blocks)
            self._reads[number] += 1
            left = uses.of(chunk) - self._reads[number]
            kept = self._kept.get(chunk)
            if left > 0:
                if kept is not None or self._is_closed:
                    return _Taken(kept)
                size = self._chunk_bytes(chunk)
                if not self._tier.take_spare(size):
                    return _Taken(None)
                kept = self._kept[chunk] = _Kept(size)
                return _Taken(kept, is_first=True)
            if kept is not None:
                del self._kept[chunk]
        if kept is not None:
            self._tier.give_back(kept.nbytes)
        return _Taken(kept)

    def _settle(self, chunk: Index, kept: _Kept, found: np.ndarray | None) -> None:
        """Hand a chunk to those that wait for it; without one, they read it themselves."""
        if found is None:
            with self._lock:
                failed = self._kept.get(chunk) is kept
                if failed:
                    del self._kept[chunk]
            if failed:
                self._tier.give_back(kept.nbytes)
        kept.block.set_result(found)

    def _region(self, chunk: Index) -> tuple[slice, ...]:
        return block_region(chunk, self.ref.chunks, self.ref.shape)

    def _chunk_bytes(self, chunk: Index) -> int:
        # At the array's edge it is as large as elsewhere, as that is how it is stored.
        along = zip(self.ref.chunks, chunk, strict=True)
        elements = [block_start(c, i + 1) - block_start(c, i) for c, i in along]
        return math.prod(elements) * self.ref.numpy_dtype.itemsize


class _Kept:
    """A chunk, once the first task has read it; None if that has failed."""

    __slots__ = ("block", "nbytes")

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.block: Future[np.ndarray | None] = Future()


class _Taken(NamedTuple):
    """The place where a chunk is kept, and whether it is the caller that reads it."""

    kept: _Kept | None
    is_first: bool = False
