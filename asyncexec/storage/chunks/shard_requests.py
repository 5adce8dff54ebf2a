"""Requests for parts of shards: the index first, then as few ranges as hold the inner chunks that are wanted.

A shard that is wanted whole, or is small, is asked for as a whole by one request. What is read of one shard is of one
version of it, where its store says which that is: one that is replaced meanwhile is read again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncexec.storage.chunks.part_requests import ObjectChangedError, PartRefusedError
from asyncexec.storage.chunks.shard_codec import InnerPiece, LeftToZarrError, ShardCodec
from asyncexec.storage.chunks.shard_layout import ranges

if TYPE_CHECKING:
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.part_requests import PartRequests
    from asyncexec.storage.chunks.shard_layout import ShardLayout

SMALL_BYTES = 256 * 1024
"""A shard of no more (uncompressed) is read as a whole: that takes no longer than a further request."""
WHOLE_BYTES = 32 * 2**20
"""A shard of more is read by several ranges, also where all of it is wanted."""
RANGE_BYTES = 8 * 2**20
"""Inner chunks are read together up to this size: what is larger comes sooner by several requests at a time."""
GAP_BYTES = 64 * 1024
"""Inner chunks with no more between them are read together, and what is between them with them."""
MOST_GAP_BYTES = 2**20
"""The same of inner chunks that are as large: no more is then read in vain than is wanted."""
_TRIES = 4
"""How often a shard that changes all the time is read."""


class FetchedShard(NamedTuple):
    """The parts of a shard that were read, and where its inner chunks are.

    Attributes
    ----------
    places : list of (int, int) or None
        Offset and length of each inner chunk that is wanted; None of one that is not there.
    read : list of (int, bytes)
        What was read, in order: where it begins, and the bytes.
    """

    places: list[tuple[int, int] | None]
    read: list[tuple[int, Any]]


class ShardRequests:
    """The reading of shards of ``ref``, which have this ``layout``."""

    def __init__(self, ref: StoredArray, layout: ShardLayout) -> None:
        self._ref = ref
        self._layout = layout
        self._shard_bytes = math.prod(ref.unit) * ref.numpy_dtype.itemsize
        self._index = slice(-layout.index_bytes, None)
        if not layout.at_end:
            self._index = slice(0, layout.index_bytes)

    async def fetched(
        self, requests: PartRequests, key: str, shard: Index, pieces: Sequence[InnerPiece]
    ) -> FetchedShard | None:
        """Return what is stored of the inner chunks of ``pieces`` in a shard; None where there is none.

        Raises
        ------
        LeftToZarrError
            If the shard is not as expected.
        Exception
            As the store has it.
        """
        fetch = self._whole if self._takes_whole(shard, len(pieces)) else self._by_parts
        for _ in range(_TRIES):
            try:
                return await fetch(requests, key, pieces)
            except FileNotFoundError:
                return None
            except PartRefusedError as error:
                raise LeftToZarrError from error
            # Of another version than its index: both are asked for again.
            except ObjectChangedError:
                continue
        raise LeftToZarrError

    def _takes_whole(self, shard: Index, wanted: int) -> bool:
        if self._shard_bytes <= SMALL_BYTES:
            return True
        return self._shard_bytes <= WHOLE_BYTES and wanted >= self._inner_chunks(shard)

    def _inner_chunks(self, shard: Index) -> int:
        """Return how many inner chunks of a shard are in the array."""
        ref, grid = self._ref, self._layout.grid
        along = zip(shard, grid, ref.chunks, ref.shape, strict=True)
        return math.prod(min(g, -(-(n - s * g * c) // c)) for s, g, c, n in along)

    async def _whole(
        self, requests: PartRequests, key: str, pieces: Sequence[InnerPiece]
    ) -> FetchedShard:
        data = (await requests.get(key)).data
        places = self._places(data[self._index], pieces, len(data))
        return FetchedShard(places, [(0, data)])

    async def _by_parts(
        self, requests: PartRequests, key: str, pieces: Sequence[InnerPiece]
    ) -> FetchedShard:
        # First, as only the index says where the chunks are: two round trips, where a small shard takes one.
        index = await requests.part(key, self._index)
        places = self._places(index.data, pieces)
        wanted = [place for place in places if place is not None]
        if not wanted:
            return FetchedShard(places, [])
        # Between large chunks more may be read in vain than between small ones: what a request costs stays the same.
        mean = sum(length for _, length in wanted) // len(wanted)
        there = ranges(wanted, gap=max(GAP_BYTES, min(mean, MOST_GAP_BYTES)), most=RANGE_BYTES)
        found = await requests.parts(key, [slice(*each) for each in there], index.version)
        starts = [start for start, _ in there]
        return FetchedShard(places, list(zip(starts, found, strict=True)))

    def _places(
        self, data: Any, pieces: Sequence[InnerPiece], size: int | None = None
    ) -> list[tuple[int, int] | None]:
        index = self._layout.index(data)
        if index is None:
            raise LeftToZarrError
        places = ShardCodec.places(index, pieces)
        if any(place and size is not None and sum(place) > size for place in places):
            raise LeftToZarrError
        return places
