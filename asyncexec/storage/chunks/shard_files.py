"""Shards that are files on this machine, read and written directly.

Of a shard, inner chunks that lie side by side are read at once, and decoded in the calling thread; Zarr would do so on
its one event loop. Whatever is not as expected (a shard that is missing, damaged, or cannot be read) is left to Zarr,
whose way says what it is.
"""

from __future__ import annotations

import asyncio
import json
import os
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.errors import CorruptChunkError
from asyncexec.storage.chunks.buffers import BUFFERS, read_only
from asyncexec.storage.chunks.chunk_codec import ChunkCodec
from asyncexec.storage.chunks.chunk_files import WholeFiles
from asyncexec.storage.chunks.chunk_slices import chunk_slices, shape_of
from asyncexec.storage.chunks.shard_layout import MISSING, ShardLayout, ranges, shard_layout
from asyncexec.storage.places.errors import storage_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.chunk_slices import ChunkSlice
    from asyncexec.storage.chunks.zarr_chunks import ZarrChunks


def shard_files(ref: StoredArray) -> ShardFiles | None:
    """Return the array of ``ref``, whose shards are files of this machine; None where Zarr alone can open it."""
    if ref.shards is None or ref.is_irregular or ref.location.local_path is None:
        return None
    document = json.loads(ref.metadata or _planned_document(ref))
    layout = shard_layout(document, ref.numpy_dtype, ref.shards, ref.chunks)
    return None if layout is None else ShardFiles(ref, layout)


def _planned_document(ref: StoredArray) -> bytes:
    from asyncexec.storage.places.array_documents import array_documents  # noqa: PLC0415 - brings Zarr

    return next(iter(array_documents(ref).values()))


class _LeftToZarrError(Exception):
    """A shard is not as expected."""


class ShardFiles:
    """A Zarr array in the local file system whose chunks are in shards, read and written without Zarr."""

    def __init__(self, ref: StoredArray, layout: ShardLayout) -> None:
        self._ref = ref
        self._root = str(ref.location.local_path)
        self._layout = layout
        self._shards = ref.unit
        self._codec = ChunkCodec(ref, layout.encoding)
        self._files = WholeFiles(ref)

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only."""
        if not all(isinstance(along, slice) and along.step in (None, 1) for along in region):
            return self._by_zarr.read(region)
        try:
            return self._read(region)
        except (_LeftToZarrError, CorruptChunkError, OSError):
            return self._by_zarr.read(region)

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write ``block`` to ``region``, which covers whole shards (or reaches the array's edge)."""
        for combination in product(*_pieces(region, self._shards)):
            part = block[(*[piece.in_result for piece in combination], ...)]
            index = tuple([piece.chunk for piece in combination])
            path = self.path(index)
            try:
                self._files.write(path, self._layout.joined(list(self._encoded(part))))
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
        for combination in product(*_pieces(region, self._shards)):
            into = out[(*[piece.in_result for piece in combination], ...)]
            inner = [piece.in_chunk for piece in combination]
            self._read_shard(tuple([piece.chunk for piece in combination]), inner, into)
        out.flags.writeable = False
        return out

    def _read_shard(self, shard: Index, inner: Any, into: np.ndarray) -> None:
        """Read what is in ``inner`` of one shard."""
        path, layout = self.path(shard), self._layout
        wanted = list(product(*_pieces(inner, self._ref.chunks)))
        descriptor = os.open(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            start = max(0, size - layout.index_bytes) if layout.at_end else 0
            index = layout.index(_bytes_at(descriptor, start, layout.index_bytes))
            if index is None:
                raise _LeftToZarrError
            places = [index[tuple([piece.chunk for piece in each])] for each in wanted]
            there = [(int(at), int(n)) for at, n in places if at != MISSING]
            if any(at + n > size for at, n in there):
                raise _LeftToZarrError
            read = [
                (start, _bytes_at(descriptor, start, stop - start)) for start, stop in ranges(there)
            ]
        finally:
            os.close(descriptor)
        for each, (at, length) in zip(wanted, places, strict=True):
            to = into[(*[piece.in_result for piece in each], ...)]
            if at == MISSING:
                to[...] = self._ref.fill_element
                continue
            chunk = tuple([piece.chunk for piece in each])
            data = _within(read, int(at), int(length))
            to[...] = self._codec.decoded(data, chunk, path)[
                (*[piece.in_chunk for piece in each], ...)
            ]

    def _encoded(self, part: np.ndarray) -> Iterator[Any]:
        """Iterate over the inner chunks of a shard as they are stored; None for those beyond the array's edge."""
        chunks = self._ref.chunks
        for index in product(*map(range, self._layout.grid)):
            along = zip(index, chunks, strict=True)
            at: Any = (*[slice(i * c, (i + 1) * c) for i, c in along], ...)
            inner = part[at]
            if not inner.size:
                yield None
                continue
            data = self._codec.encoded(inner)
            trailer = self._codec.trailer(data)
            yield b"".join((data, trailer)) if trailer else data


def _pieces(region: Any, sizes: Any) -> list[list[ChunkSlice]]:
    return [chunk_slices(along, size) for along, size in zip(region, sizes, strict=True)]


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


def _within(read: list[tuple[int, memoryview]], at: int, length: int) -> memoryview:
    """Return what is at a place of the file, of the ranges that were ``read``."""
    start, data = next((s, d) for s, d in reversed(read) if s <= at)
    return data[at - start : at - start + length]
