"""What a task reads of an array, as a closed form of its index.

A selection is called with the task's index and returns one slice (or array of positions) per axis of the array, in
elements. It is small, can be pickled, and costs the same for an array of 10 blocks and of 10^8.
:class:`Axes` builds one from a rule per axis; the functions below make the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from asyncexec.plan.box import Index, Shape

type Along = slice | NDArray[np.int64]
"""What is taken of one axis: a slice, or positions."""

type Region = tuple[Along, ...]


@runtime_checkable
class Selection(Protocol):
    """What a task reads of one array."""

    def __call__(self, index: Index) -> Region:
        """Return what the task at ``index`` reads, one entry per axis of the array."""
        ...


class AxisRule(Protocol):
    """What a task reads of one axis."""

    def at(self, index: Index) -> Along:
        """Return what the task at ``index`` reads of the axis, in elements."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """The block whose number stands at ``axis`` of the task's index: ``block`` elements of ``extent``."""

    axis: int
    block: int
    extent: int

    def at(self, index: Index) -> slice:
        start = index[self.axis] * self.block
        return slice(start, min(start + self.block, self.extent))


@dataclass(frozen=True, slots=True)
class BlockGroup:
    """``width`` blocks of ``block`` elements each, the ``index[axis]``-th such group of an axis of ``extent``."""

    axis: int
    width: int
    block: int
    extent: int

    def at(self, index: Index) -> slice:
        start = index[self.axis] * self.width * self.block
        return slice(start, min(start + self.width * self.block, self.extent))


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementWindow:
    """The elements that a block of the output needs, cut to the array.

    Output element ``e`` takes elements ``e * step + offset - before`` to ``e * step + offset + after``. With
    ``before`` and ``after`` 0 just those elements are read, in the output's order (also for a negative ``step``); else
    everything between the first and the last.
    """

    axis: int
    in_extent: int
    out_extent: int
    out_block: int
    step: int = 1
    offset: int = 0
    before: int = 0
    after: int = 0

    def at(self, index: Index) -> slice:
        first = index[self.axis] * self.out_block
        last = min(first + self.out_block, self.out_extent) - 1
        a, b = first * self.step + self.offset, last * self.step + self.offset
        if self.before or self.after:
            low, high = min(a, b) - self.before, max(a, b) + self.after + 1
            return _between(low, high, self.in_extent)
        if self.step == 1:
            return _between(a, b + 1, self.in_extent)
        return self._strided(a, last - first + 1)

    def _strided(self, a: int, count: int) -> slice:
        """Elements a, a + step, ... (``count`` of them), those outside of the array left out."""
        inside = range(a, a + count * self.step, self.step)
        if self.step > 0:
            skipped = max(0, -(a // self.step)) if a < 0 else 0
            stop = min(inside.stop, self.in_extent)
            return _sliced(range(a + skipped * self.step, stop, self.step))
        skipped = max(0, -((self.in_extent - 1 - a) // -self.step)) if a >= self.in_extent else 0
        return _sliced(range(a + skipped * self.step, max(inside.stop, -1), self.step))


@dataclass(frozen=True, slots=True)
class Extent:
    """Elements ``start`` to ``stop`` whatever the task: a whole axis, a broadcast one, an integer index."""

    start: int
    stop: int

    def at(self, index: Index) -> slice:
        return slice(self.start, self.stop)


@dataclass(frozen=True, eq=False)
class Taken:
    """The elements at ``positions[block]`` of the axis, where the task's block is ``index[axis]`` of ``block`` each."""

    axis: int
    positions: NDArray[np.int64]
    block: int

    def at(self, index: Index) -> NDArray[np.int64]:
        start = index[self.axis] * self.block
        return self.positions[start : start + self.block]


@dataclass(frozen=True, slots=True)
class Axes:
    """A selection by one rule per axis of the array."""

    rules: tuple[AxisRule, ...]

    def __call__(self, index: Index) -> Region:
        return tuple(rule.at(index) for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same region whatever the task."""

    region: Region

    def __call__(self, index: Index) -> Region:
        return self.region


def same_block(shape: Shape, block: Shape) -> Axes:
    """Task ``index`` reads the block ``index``."""
    return blocks(shape, block, range(len(shape)))


def blocks(shape: Shape, block: Shape, axes: Sequence[int | None]) -> Axes:
    """Axis ``d`` of the array follows axis ``axes[d]`` of the task's index, block by block.

    An axis whose entry is None, or that has one block, is read whole: that is broadcasting and contraction.
    """
    rules: list[AxisRule] = []
    for extent, width, axis in zip(shape, block, axes, strict=True):
        whole_axis = axis is None or extent <= width
        rules.append(
            Extent(0, extent) if whole_axis or axis is None else Block(axis, width, extent)
        )
    return Axes(tuple(rules))


def grouped(shape: Shape, block: Shape, widths: Sequence[int], axes: Sequence[int | None]) -> Axes:
    """Axis ``d`` is read in groups of ``widths[d]`` blocks, the group numbered by axis ``axes[d]`` of the index.

    An axis whose entry is None is read whole.
    """
    rules: list[AxisRule] = []
    for extent, size, width, axis in zip(shape, block, widths, axes, strict=True):
        rules.append(Extent(0, extent) if axis is None else BlockGroup(axis, width, size, extent))
    return Axes(tuple(rules))


def whole(shape: Shape) -> Fixed:
    """Every task reads the whole array."""
    return Fixed(tuple(slice(0, n) for n in shape))


def tiles(region: Region, block: Shape) -> Iterator[Region]:
    """Cut ``region`` along the array's block boundaries, row-major: what a task streams, one block at a time.

    Slices only (a region of positions is one tile along that axis).
    """
    return product(*(list(_cut(along, size)) for along, size in zip(region, block, strict=True)))


def _cut(along: Along, size: int) -> Iterator[Along]:
    if not isinstance(along, slice) or along.step not in (None, 1):
        yield along
        return
    start = along.start
    while start < along.stop:
        stop = min((start // size + 1) * size, along.stop)
        yield slice(start, stop)
        start = stop


def extents(region: Region) -> Shape:
    """Return the shape of what ``region`` takes."""
    return tuple(_count(along) for along in region)


def _count(along: Along) -> int:
    if isinstance(along, slice):
        # A negative step that runs off the front has stop None.
        step = 1 if along.step is None else along.step
        stop = -1 if along.stop is None else along.stop
        return len(range(along.start, stop, step))
    return len(along)


def _between(low: int, high: int, extent: int) -> slice:
    low, high = max(low, 0), min(high, extent)
    return slice(low, max(low, high))


def _sliced(positions: range) -> slice:
    if not positions:
        return slice(0, 0)
    stop = positions[-1] + (1 if positions.step > 0 else -1)
    return slice(positions[0], None if stop < 0 else stop, positions.step)
