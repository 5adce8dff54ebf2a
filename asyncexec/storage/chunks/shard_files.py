"""Shards that are files on this machine, read and written directly.

Of a shard, inner chunks that lie side by side are read at once, and decoded in the calling thread; Zarr would do so on
its one event loop. Whatever is not as expected (a shard that is missing, damaged, or cannot be read) is left to Zarr,
whose way says what it is.
"""

from __future__ import annotations

import asyncio
import os
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from asyncexec.errors import CorruptChunkError
from asyncexec.storage.chunks.buffers import BUFFERS, read_only
from asyncexec.storage.chunks.chunk_files import WholeFiles
from asyncexec.storage.chunks.chunk_slices import chunk_slices, shape_of
from asyncexec.storage.chunks.shard_codec import LeftToZarrError, ShardCodec, layout_of
from asyncexec.storage.chunks.shard_layout import ShardLayout, ranges
from asyncexec.storage.places.errors import storage_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.shard_codec import InnerPiece
    from asyncexec.storage.chunks.zarr_chunks import ZarrChunks


def shard_files(ref: StoredArray) -> ShardFiles | None:
    """Return the array of ``ref``, whose shards are files of this machine; None where Zarr alone can open it."""
    if ref.location.local_path is None:
        return None
    layout = layout_of(ref)
    return None if layout is None else ShardFiles(ref, layout)


class ShardFiles:
    """A Zarr array in the local file system whose chunks are in shards, read and written without Zarr."""

    def __init__(self, ref: StoredArray, layout: ShardLayout) -> None:
        self._ref = ref
        self._root = str(ref.location.local_path)
        self._layout = layout
        self._codec = ShardCodec(ref, layout)
        self._files = WholeFiles(ref)

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only."""
        try:
            return self._read(region)
        except (LeftToZarrError, CorruptChunkError, OSError):
            return self._by_zarr.read(region)

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write ``block`` to ``region``, which covers whole shards (or reaches the array's edge)."""
        along = [chunk_slices(a, size) for a, size in zip(region, self._ref.unit, strict=True)]
        for combination in product(*along):
            part = block[(*[piece.in_result for piece in combination], ...)]
            index = tuple([piece.chunk for piece in combination])
            path = self.path(index)
            try:
                self._files.write(path, self._codec.encoded(part))
            except OSError as error:
                raise storage_error(
                    error, self._ref.location, "cannot be written", chunk=index, path=path
                ) from error

    async def aread(self, region: Region) -> np.ndarray:
        """Do what :meth:`read` does, without blocking the event loop."""
        return await asyncio.to_thread(self.read, region)

    async def awrite(self, region: Region, block: np.ndarray) -> None:
        """Do what :meth:`write` does, without blocking the event loop."""
        await asyncio.to_thread(self.write, region, block)

    def path(self, shard: Index) -> str:
        """Return the file of ``shard``."""
        return f"{self._root}/{self._ref.keys.key(shard)}"

    @cached_property
    def _by_zarr(self) -> ZarrChunks:
        from asyncexec.storage.chunks.zarr_chunks import ZarrChunks  # noqa: PLC0415 - brings Zarr

        return ZarrChunks(self._ref)

    def _read(self, region: Region) -> np.ndarray:
        dtype, shape = self._ref.numpy_dtype, shape_of(region)
        memory = BUFFERS.take(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize)
        out = memory.view(dtype).reshape(shape)
        for shard, pieces in self._codec.wanted(region).items():
            self._read_shard(shard, pieces, out)
        out.flags.writeable = False
        return out

    def _read_shard(self, shard: Index, pieces: Sequence[InnerPiece], out: np.ndarray) -> None:
        """Read what ``pieces`` are of one shard."""
        path, layout = self.path(shard), self._layout
        # One descriptor for the index and the chunks: a shard that is replaced meanwhile is read as it was.
        descriptor = os.open(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            start = max(0, size - layout.index_bytes) if layout.at_end else 0
            index = layout.index(_bytes_at(descriptor, start, layout.index_bytes))
            if index is None:
                raise LeftToZarrError
            places = self._codec.places(index, pieces)
            there = [place for place in places if place is not None]
            # The index of a damaged shard may point anywhere.
            if any(at + length > size for at, length in there):
                raise LeftToZarrError
            read = [
                (start, _bytes_at(descriptor, start, stop - start)) for start, stop in ranges(there)
            ]
        finally:
            os.close(descriptor)
        self._codec.decode(out, pieces, places, read, path)


def _bytes_at(descriptor: int, start: int, count: int) -> memoryview:
    """Return ``count`` bytes of a file from ``start`` on, in memory that is used again; fewer where it ends."""
    block = BUFFERS.take(count)
    done = 0
    while done < count:
        read = os.preadv(descriptor, [block[done:]], start + done)
        if not read:
            break
        done += read
    return read_only(block[:done])
