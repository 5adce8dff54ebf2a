"""The inner chunks of shards, read and written without Zarr: which ones a region takes, and what is in them."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import product
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from asyncexec.storage.chunks.chunk_codec import ChunkCodec
from asyncexec.storage.chunks.chunk_slices import assign, chunk_slices
from asyncexec.storage.chunks.shard_layout import MISSING, ShardLayout, shard_layout

if TYPE_CHECKING:
    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import StoredArray


class LeftToZarrError(Exception):
    """A shard is not as expected: Zarr's own way says what it is."""


class InnerPiece(NamedTuple):
    """The part of one inner chunk that a region takes: ``inner`` of the chunk goes to ``outer`` of the result."""

    chunk: Index
    inner: Region
    outer: Region


def layout_of(ref: StoredArray) -> ShardLayout | None:
    """Return the layout of the shards of ``ref``; None where it has none, or Zarr alone can read and write them."""
    if ref.shards is None or ref.is_irregular:
        return None
    document = json.loads(ref.metadata or _planned_document(ref))
    return shard_layout(document, ref.numpy_dtype, ref.shards, ref.chunks)


def _planned_document(ref: StoredArray) -> bytes:
    from asyncexec.storage.places.array_documents import array_documents  # noqa: PLC0415 - brings Zarr

    return next(iter(array_documents(ref).values()))


class ShardCodec:
    """The shards of one array, of which ``layout`` is the layout."""

    def __init__(self, ref: StoredArray, layout: ShardLayout) -> None:
        self._ref = ref
        self._layout = layout
        self._codec = ChunkCodec(ref, layout.encoding)

    def wanted(self, region: Region) -> dict[Index, list[InnerPiece]]:
        """Return what a region takes of inner chunks, by shard."""
        found: dict[Index, list[InnerPiece]] = {}
        chunks, grid = self._ref.chunks, self._layout.grid
        along = [chunk_slices(a, size) for a, size in zip(region, chunks, strict=True)]
        for combination in product(*along):
            numbers = [piece.chunk for piece in combination]
            shard = tuple([number // g for number, g in zip(numbers, grid, strict=True)])
            chunk = tuple([number % g for number, g in zip(numbers, grid, strict=True)])
            inner = tuple([piece.in_chunk for piece in combination])
            outer = tuple([piece.in_result for piece in combination])
            found.setdefault(shard, []).append(InnerPiece(chunk, inner, outer))
        return found

    @staticmethod
    def places(index: np.ndarray, pieces: Sequence[InnerPiece]) -> list[tuple[int, int] | None]:
        """Return offset and length of the inner chunk of each of ``pieces``; None of one that is not there."""
        entries = [index[piece.chunk] for piece in pieces]
        return [None if at == MISSING else (int(at), int(length)) for at, length in entries]

    def fill(self, out: np.ndarray, pieces: Sequence[InnerPiece]) -> None:
        """Put the fill value where ``pieces`` go in ``out``, whose inner chunks are not there.

        Raises
        ------
        LeftToZarrError
            If every chunk of the array was written before it is read.
        """
        # Every chunk was written before: this one is lost, and Zarr says so.
        if self._ref.dense:
            raise LeftToZarrError
        nothing = np.broadcast_to(self._ref.fill_element, self._ref.chunks)
        for piece in pieces:
            assign(out, piece.outer, nothing, piece.inner)

    def decode(
        self,
        out: np.ndarray,
        pieces: Sequence[InnerPiece],
        places: Sequence[tuple[int, int] | None],
        read: Sequence[tuple[int, Any]],
        path: str,
    ) -> None:
        """Decode the inner chunks of ``pieces``, which are at ``places`` of a shard, into ``out``.

        ``read`` has what was read of it, in order: where it begins, and the bytes.

        Raises
        ------
        CorruptChunkError
            If one cannot be decoded.
        LeftToZarrError
            If one is missing from a dense array.
        """
        for piece, place in zip(pieces, places, strict=True):
            if place is None:
                self.fill(out, [piece])
                continue
            data = _within(read, *place)
            assign(out, piece.outer, self._codec.decoded(data, piece.chunk, path), piece.inner)

    def encoded(self, part: np.ndarray) -> bytes:
        """Return a shard as it is stored; ``part`` is smaller at the array's edge."""
        return self._layout.joined(list(self._encoded(part)))

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


def _within(read: Sequence[tuple[int, Any]], at: int, length: int) -> Any:
    """Return what is at a place of a shard, of what was ``read``."""
    start, data = read[bisect_right(read, at, key=itemgetter(0)) - 1]
    return data[at - start : at - start + length]
