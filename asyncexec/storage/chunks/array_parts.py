"""Parts of arrays that are there: regions that are written anew, and elements that are appended.

Tasks write a part as an array of its own, which begins where a chunk (or shard) of the whole array does. What lies
in its first and last chunks and is not written stays: such a chunk is read, filled in and written by the
one task that has it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.plan.lengths import border_after, border_before

if TYPE_CHECKING:
    from asyncexec.plan.access import Region
    from asyncexec.storage.chunks.arrays import PartOfTarget
    from asyncexec.storage.chunks.opened_chunks import Chunks


class PartChunks:
    """The part ``part`` of an array, opened for writing; ``whole`` is the array as it is then, ``before`` as it was."""

    def __init__(self, part: PartOfTarget, whole: Chunks, before: Chunks) -> None:
        self._part = part
        self._whole = whole
        self._before = before

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region`` of the part, read-only."""
        return self._whole.read(self._placed(region))

    async def aread(self, region: Region) -> np.ndarray:
        """Do what :meth:`read` does, without blocking the event loop."""
        return await self._whole.aread(self._placed(region))

    def write(self, region: Region, block: np.ndarray) -> None:
        """Write what ``block`` has for the array to ``region`` of the part, whole chunks (or shards) at a time."""
        placed, inner = self._cut(region)
        if not all(along.start < along.stop for along in placed):
            return
        cut: Any = (*inner, ...)
        block = block[cut]
        cover = self._cover(placed)
        if cover != placed:
            block, placed = self._merged(block, placed, cover), cover
        self._whole.write(placed, block)

    async def awrite(self, region: Region, block: np.ndarray) -> None:
        """Do what :meth:`write` does, without blocking the event loop."""
        await asyncio.to_thread(self.write, region, block)

    def _placed(self, region: Region) -> tuple[slice, ...]:
        """Return ``region`` of the part in the array."""
        pairs = zip(region, self._part.begin, strict=True)
        return tuple([slice(_start(a) + begin, _stop(a) + begin) for a, begin in pairs])

    def _cut(self, region: Region) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Return the elements of the array that are written, and where they are in the block for ``region``."""
        part = self._part
        outer: list[slice] = []
        inner: list[slice] = []
        for along, start, stop in zip(self._placed(region), part.start, part.stop, strict=True):
            first = max(along.start, start)
            last = max(first, min(along.stop, stop))
            outer.append(slice(first, last))
            inner.append(slice(first - along.start, last - along.start))
        return tuple(outer), tuple(inner)

    def _cover(self, placed: tuple[slice, ...]) -> tuple[slice, ...]:
        """Return the elements of the chunks (or shards) that ``placed`` touches."""
        whole = self._part.array
        return tuple(
            [
                slice(border_before(u, a.start), border_after(n, u, a.stop))
                for a, u, n in zip(placed, whole.unit, whole.shape, strict=True)
            ]
        )

    def _merged(
        self, block: np.ndarray, placed: tuple[slice, ...], cover: tuple[slice, ...]
    ) -> np.ndarray:
        """Return what is in the array at ``cover``, with ``block`` at ``placed``."""
        part = self._part
        merged = np.empty([a.stop - a.start for a in cover], block.dtype)
        merged[...] = part.array.fill_element
        lengths = zip(cover, part.before.shape, strict=True)
        there = tuple([slice(a.start, max(a.start, min(a.stop, n))) for a, n in lengths])
        if all(a.start < a.stop for a in there):
            merged[_within(there, cover)] = self._before.read(there)
        merged[_within(placed, cover)] = block
        return merged


def _within(region: tuple[slice, ...], cover: tuple[slice, ...]) -> tuple[slice, ...]:
    pairs = zip(region, cover, strict=True)
    return tuple([slice(a.start - c.start, a.stop - c.start) for a, c in pairs])


def _start(along: Any) -> int:
    return int(along.start)


def _stop(along: Any) -> int:
    return int(along.stop)
