"""The number of times that the tasks of a stage read each chunk of an array, by their regions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from asyncexec.plan.lengths import Lengths, count_blocks
from asyncexec.storage.chunks.chunk_slices import chunk_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncexec.plan.access import AxisAccess
    from asyncexec.plan.access_map import AccessMap
    from asyncexec.plan.box import Index, Shape
    from asyncexec.storage.chunks.arrays import StoredArray

_MOST_POSITIONS = 100_000
"""The most positions along all axes of a stage that are looked at."""
_MOST_CHUNKS = 10_000_000
"""The most chunks of an array that are counted."""


class ChunkUses:
    """The number of times that the tasks of a stage read each chunk of an array.

    Parameters
    ----------
    inputs : sequence of tuples
        For each input that is the array: for each axis, the positions of its stage axis that read each chunk, and the
        tasks for each of these (positions of stage axes that no axis of the array follows).
    """

    def __init__(self, inputs: Sequence[tuple[Sequence[Sequence[int]], int]]) -> None:
        self._inputs = inputs

    def of(self, chunk: Index) -> int:
        """Return the number for a chunk."""
        total = 0
        for along, others in self._inputs:
            found = others
            for counts, number in zip(along, chunk, strict=True):
                found *= counts[number]
            total += found
        return total

    @property
    def most(self) -> int:
        """The number for no chunk is larger."""
        each = [
            others * math.prod([max(n, default=0) for n in along]) for along, others in self._inputs
        ]
        return sum(each)


def may_read_again(access: AccessMap, grid: Shape, chunks: Shape) -> bool:
    """Return whether some chunk may be needed by several tasks, at a glance."""
    followed = {a.axis for a in access.axes}
    if any(n > 1 and axis not in followed for axis, n in enumerate(grid)):
        return True
    along = zip(access.axes, chunks, strict=True)
    return any(a.axis is not None and grid[a.axis] > 1 and not _whole(a, c) for a, c in along)


def _whole(access: AxisAccess, chunk: int) -> bool:
    """Return whether each task needs whole chunks along an axis (but at the ends of what is needed), and no other's."""
    if access.via is not None or access.step != 1:
        return False
    if isinstance(chunk, Lengths) or isinstance(access.block, Lengths):
        return access.block == chunk and access.offset == 0
    return access.block % chunk == 0 and access.offset % chunk == 0


def chunk_uses(accesses: Sequence[AccessMap], grid: Shape, ref: StoredArray) -> ChunkUses | None:
    """Return how often the tasks read each chunk; None where none is read again, or it would take long to say."""
    if sum(grid) > _MOST_POSITIONS or math.prod(ref.blocks) > _MOST_CHUNKS:
        return None
    inputs: list[tuple[list[list[int]], int]] = []
    for access in accesses:
        followed = [a.axis for a in access.axes if a.axis is not None]
        if len(set(followed)) < len(followed):
            return None
        positions = [range(n) for n in grid]
        for axis, start, stop in access.guards:
            within = positions[axis]
            positions[axis] = range(max(start, within.start), min(stop, within.stop))
        along = [
            _uses_along(a, range(1) if a.axis is None else positions[a.axis], size, n)
            for a, size, n in zip(access.axes, ref.chunks, ref.shape, strict=True)
        ]
        others = [len(each) for axis, each in enumerate(positions) if axis not in followed]
        inputs.append((along, math.prod(others)))
    uses = ChunkUses(inputs)
    return uses if uses.most > 1 else None


def _uses_along(access: AxisAccess, positions: range, size: int, extent: int) -> list[int]:
    """Return how many of the positions need each chunk along one axis."""
    counts = [0] * count_blocks(extent, size)
    index = [0] * (1 if access.axis is None else access.axis + 1)
    for position in positions:
        index[-1] = position
        for part in chunk_slices(access.region(tuple(index)), size):
            counts[part.chunk] += 1
    return counts
