"""The borders of blocks that overlap, as workers make them: outside of the array by a rule, and trimmed after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.block_calls import UserCall
from asyncexec.plan.box import Index
from asyncexec.plan.lengths import block_start

_NUMPY_MODES: dict[str, Any] = {"reflect": "symmetric", "nearest": "edge", "periodic": "wrap"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisBorder:
    """The border of the blocks of one axis of one array.

    Attributes
    ----------
    before, after : int
        How many elements a block gets before its first and after its last.
    boundary : str or number
        ``"none"``, ``"reflect"``, ``"nearest"``, ``"periodic"``, or the value of elements outside of the array.
    length, chunk : int
        Of the axis.
    axis : int or None
        The axis of the result whose block number it follows; None where it comes whole.
    read_before, read_after : int
        How many elements around a block are read, as far as there are any.
    complete : bool
        Whether blocks come with their borders.
    """

    before: int
    after: int
    boundary: Any
    length: int
    chunk: int
    axis: int | None
    read_before: int = 0
    read_after: int = 0
    complete: bool = False

    def ends(self, block_id: Index) -> tuple[int, int]:
        """Return first and last (exclusive) element of the block, without its border."""
        if self.axis is None or self.length <= self.chunk:
            return 0, self.length
        number = block_id[self.axis]
        return block_start(self.chunk, number), min(
            block_start(self.chunk, number + 1), self.length
        )

    def widths(self, block_id: Index) -> tuple[int, int]:
        """Return the number of elements before and after the block that the function gets."""
        if self.boundary != "none" or self.complete:
            return self.before, self.after
        begin, end = self.ends(block_id)
        return min(self.before, begin), min(self.after, self.length - end)

    def completed(self, block: Any, p: int, block_id: Index) -> Any:
        """Return ``block`` with what it lacks of its border along its axis ``p``."""
        if self.complete or not (self.before or self.after):
            return block
        begin, end = self.ends(block_id)
        first = max(0, begin - self.read_before)
        last = min(self.length, end + self.read_after)
        before, after = self.widths(block_id)
        low, high = begin - before, end + after
        missing = max(0, first - low), max(0, high - last)
        if any(missing):
            pads = [missing if axis == p else (0, 0) for axis in range(block.ndim)]
            block = _padded(block, pads, self.boundary)
            first -= missing[0]
        cut = slice(low - first, high - first)
        return block[(slice(None),) * p + (cut,)]


def _padded(block: Any, pads: Sequence[tuple[int, int]], boundary: Any) -> Any:
    if isinstance(boundary, str):
        return np.pad(block, pads, mode=_NUMPY_MODES[boundary])
    return np.pad(block, pads, constant_values=boundary)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapCaller:
    """Calls a function with blocks and their borders, and trims what it returns.

    Attributes
    ----------
    call : UserCall
    borders : tuple of tuple of AxisBorder
        Of each axis of each array.
    trimmed : tuple of (AxisBorder or None)
        Of each axis of the result, the border that goes.
    """

    call: UserCall
    borders: tuple[tuple[AxisBorder, ...], ...]
    trimmed: tuple[AxisBorder | None, ...]

    @property
    def __name__(self) -> str:
        return getattr(self.call.function, "__name__", "the function")

    def __call__(self, *blocks: Any, block_id: Index, **keywords: Any) -> Any:
        completed = []
        for block, borders in zip(blocks, self.borders, strict=True):
            found = np.asarray(block)
            for p, border in enumerate(borders):
                found = border.completed(found, p, block_id)
            found = found.view()
            found.setflags(write=False)
            completed.append(found)
        if self.call.wants_block_id:
            keywords["block_id"] = block_id
        result = self.call(*completed, **keywords)
        if all(trimmed is None for trimmed in self.trimmed):
            return result
        result = np.asanyarray(result)
        cuts: list[slice] = []
        for n, trimmed in zip(result.shape, self.trimmed, strict=False):
            before, after = (0, 0) if trimmed is None else trimmed.widths(block_id)
            cuts.append(slice(before, n - after))
        return result[tuple(cuts)]
