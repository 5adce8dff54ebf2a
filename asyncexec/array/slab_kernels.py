"""The kernel of steps that go through large blocks slab by slab; workers load this module for such steps alone."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.kernels import Block, FusedKernel
from asyncexec.array.slab_lengths import LEAST_ROW, kept_axes, slabs
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Index, Shape

LEAST_BYTES = 1_000_000
"""From this size of a block on, its slabs are worth their calls."""

SLAB_BYTES = 768 * 1024
"""The most of one block that is taken at a time: it fits into a core's own cache, and takes few calls for a block."""


@dataclass(frozen=True, slots=True)
class InSlabs:
    """A step that runs the steps of ``kernel`` slab by slab; its value is theirs, or the tuple of several.

    Attributes
    ----------
    kernel : FusedKernel
    access : AccessMap
        What is needed of each of the large blocks.
    reduced : frozenset of int
        The axes along which blocks are not cut.
    itemsize : int
        Bytes of the largest element.
    """

    kernel: FusedKernel
    access: AccessMap
    reduced: frozenset[int]
    itemsize: int

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        blocks = [np.asarray(value) for value in values]
        shape = self.access.counts(index)
        cut = _cut(shape, self.reduced, self.itemsize)
        whole = [block for block in blocks if block.shape == shape]
        # NumPy's results lie in memory as what they are made of, and so do slabs only where that is in order.
        if cut is None or not whole or not all(block.flags.c_contiguous for block in whole):
            return self.kernel(index, *blocks)
        return self._in_slabs(index, blocks, shape, *cut)

    def _in_slabs(
        self, index: Index, blocks: Sequence[Block], shape: Shape, axis: int, width: int
    ) -> Any:
        several = len(self.kernel.results) > 1
        rooms: list[Any] = []
        for slab in slabs(shape[axis], width):
            made = self.kernel(index, *[_part(b, axis - len(shape), slab) for b in blocks])
            parts = made if several else (made,)
            rooms = rooms or [_room(part, axis, shape[axis]) for part in parts]
            for room, part in zip(rooms, parts, strict=True):
                _put(room, axis, slab, part)
        return tuple(rooms) if several else rooms[0]


def _cut(shape: Shape, reduced: Collection[int], itemsize: int) -> tuple[int, int] | None:
    """Return the axis along which blocks are cut, and the length of a slab; None where they stay whole."""
    if math.prod(shape) * itemsize < LEAST_BYTES or (reduced and shape[-1] < LEAST_ROW):
        return None
    return next(kept_axes(shape, reduced, itemsize, SLAB_BYTES), None)


def _part(block: Block, axis: int, slab: slice) -> Block:
    """Return a slab of what is broadcast; ``axis`` counts from the end."""
    if block.ndim < -axis or block.shape[axis] == 1:
        return block
    at: Any = (..., slab, *(slice(None),) * (-axis - 1))
    part: Block = block[at]
    return part


def _room(part: Any, axis: int, length: int) -> Any:
    """Return memory for the whole of which ``part`` is the first slab."""
    if isinstance(part, tuple):
        return tuple(_room(each, axis, length) for each in part)
    return np.empty((*part.shape[:axis], length, *part.shape[axis + 1 :]), part.dtype)


def _put(room: Any, axis: int, slab: slice, part: Any) -> None:
    if isinstance(room, tuple):
        for each, of in zip(room, part, strict=True):
            _put(each, axis, slab, of)
    else:
        room[(slice(None),) * axis + (slab,)] = part
