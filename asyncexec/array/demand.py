"""Which elements of an array each task of a stage needs, in closed form.

A stage has an index space; every node that it computes or reads is *demanded* over a region that follows from the
task's index. Per axis of the node that is an :class:`AxisDemand`: the task at position ``i`` of a stage axis stands for
the elements ``e`` of ``[i * block, (i + 1) * block)``, cut to ``[lo, hi)``, and needs the node's elements
``e * step + offset``, in the order of ``e``. Slices, flips, transposes, broadcasts, concatenations, rechunkings and
groups of a reduction all keep that form, so that they can be pushed through each other without looking at any task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from asyncexec.plan.axes import AxisMap, Fixed, Same
from asyncexec.plan.box import Box, Index, Shape, Span, intersect
from asyncexec.plan.relations import Blockwise, Guarded, Relation


@dataclass(frozen=True, slots=True)
class AxisDemand:
    """What each task needs of one axis of a node.

    Attributes
    ----------
    axis : int or None
        The stage axis it follows; None where every task needs the same (as if at position 0).
    block : int
        Elements per position of the stage axis.
    lo, hi : int
        The elements there are: positions beyond them need nothing.
    step, offset : int
        Element ``e`` stands for the node's element ``e * step + offset``. A step of 0 is one single element.
    """

    axis: int | None
    block: int
    lo: int
    hi: int
    step: int = 1
    offset: int = 0

    @classmethod
    def constant(cls, start: int, stop: int) -> Self:
        """Every task needs the elements from ``start`` to ``stop``."""
        return cls(None, max(stop - start, 1), 0, stop - start, 1, start)

    def span(self, index: Index) -> tuple[int, int]:
        """Return first and last (exclusive) ``e`` that the task at ``index`` stands for."""
        first = 0 if self.axis is None else index[self.axis] * self.block
        start, stop = max(first, self.lo), min(first + self.block, self.hi)
        return start, max(start, stop)

    def count(self, index: Index) -> int:
        """Return how many elements the task at ``index`` needs."""
        start, stop = self.span(index)
        return stop - start if self.step else min(stop - start, 1)

    @property
    def most(self) -> int:
        """The most elements that any task needs."""
        return max(0, min(self.block, self.hi - self.lo, self.block if self.step else 1))

    def elements(self, index: Index) -> slice:
        """Return the elements the task at ``index`` needs, ascending whatever the step."""
        start, stop = self.span(index)
        if start >= stop:
            return slice(0, 0, 1)
        if not self.step:
            return slice(self.offset, self.offset + 1, 1)
        first, last = start * self.step + self.offset, (stop - 1) * self.step + self.offset
        if self.step > 0:
            return slice(first, last + 1, self.step)
        return slice(last, first + 1, -self.step)

    def coordinates(self, index: Index) -> tuple[int, int, int]:
        """Return first element, step (may be negative) and count for the task at ``index``."""
        start, _ = self.span(index)
        return start * self.step + self.offset, self.step, self.count(index)

    def ordered(self, index: Index) -> slice:
        """Return the elements the task at ``index`` needs, in the order of ``e``."""
        elements = self.elements(index)
        if self.step >= 0 or elements.start >= elements.stop:
            return elements
        stop = elements.start - 1
        return slice(elements.stop - 1, None if stop < 0 else stop, self.step)

    def affine(self, step: int, offset: int) -> AxisDemand:
        """Return the demand on an axis whose element ``e * step + offset`` is this axis's element ``e``."""
        if step == 0:
            return AxisDemand.constant(offset, offset + 1)
        return replace(self, step=self.step * step, offset=self.offset * step + offset)

    def part(self, begin: int, extent: int) -> AxisDemand:
        """Return the demand on a part of this axis that begins at ``begin`` and has ``extent`` elements."""
        offset = self.offset - begin
        if self.step == 0:
            inside = 0 <= offset < extent
            return replace(self, offset=offset, hi=self.hi if inside else self.lo)
        if self.step > 0:
            lo, hi = -(offset // self.step), -((offset - extent) // self.step)
        else:
            lo, hi = -((extent - 1 - offset) // -self.step), offset // -self.step + 1
        lo = max(self.lo, lo)
        return replace(self, offset=offset, lo=lo, hi=max(lo, min(self.hi, hi)))

    def blocks(self, chunk: int, extent: int) -> AxisDemand | None:
        """Return the demand in whole blocks of ``chunk``, where each task needs exactly one; else None."""
        if extent == 0:
            return AxisDemand(self.axis, 1, 0, 0)
        first, end = self.lo + self.offset, self.hi + self.offset
        whole = first % chunk == 0 and (end % chunk == 0 or end == extent)
        if self.step != 1 or not whole or first >= end:
            return None
        if self.axis is None or self._at_one_position:
            number = first // chunk
            one = end - first <= chunk
            return AxisDemand.constant(number, number + 1) if one else None
        if self.block != chunk or self.offset % chunk:
            return None
        shift = self.offset // chunk
        return AxisDemand(self.axis, 1, self.lo // chunk, -(-self.hi // chunk), 1, shift)

    def block_number(self, chunk: int, extent: int) -> AxisDemand:
        """Return :meth:`blocks` where it is known to be possible.

        Raises
        ------
        ValueError
            If it is not.
        """
        found = self.blocks(chunk, extent)
        if found is None:
            raise ValueError(f"{self!r} is not one whole block of {chunk} a task, of {extent}")
        return found

    @property
    def _at_one_position(self) -> bool:
        return self.lo // self.block == (self.hi - 1) // self.block

    def grouped(self, width: int, extent: int) -> AxisDemand:
        """Return the demand on an axis of ``extent`` elements whose groups of ``width`` are demanded one a task."""
        if self.axis is None:
            start = (self.lo + self.offset) * width
            return AxisDemand.constant(start, min(start + width, extent))
        hi = min(self.hi * width, extent - self.offset * width)
        return AxisDemand(self.axis, width, self.lo * width, hi, 1, self.offset * width)


type Guard = tuple[int, int, int]
"""Stage axis, first and last (exclusive) position of the tasks that need anything at all."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What each task needs of a node: a region, and at which tasks it is needed at all.

    Guards come from concatenation: a part is needed only where the stage's block reaches into it.
    """

    axes: tuple[AxisDemand, ...]
    guards: tuple[Guard, ...] = ()

    def holds(self, index: Index) -> bool:
        """Whether the task at ``index`` needs anything."""
        return all(start <= index[axis] < stop for axis, start, stop in self.guards)

    def counts(self, index: Index) -> Shape:
        """Return the shape of the region that the task at ``index`` needs."""
        return tuple(axis.count(index) for axis in self.axes)

    @property
    def most(self) -> Shape:
        """The largest region that any task needs."""
        return tuple(axis.most for axis in self.axes)

    def part(self, axis: int, begin: int, extent: int) -> Demand | None:
        """Return the demand on a part that begins at ``begin`` of ``axis``; None where no task needs it."""
        d = self.axes[axis].part(begin, extent)
        if d.lo >= d.hi:
            return None
        axes = (*self.axes[:axis], d, *self.axes[axis + 1 :])
        if d.axis is None:
            return Demand(axes, self.guards)
        guard = (d.axis, d.lo // d.block, -(-d.hi // d.block))
        guards = self.guards if guard in self.guards else tuple(sorted((*self.guards, guard)))
        return Demand(axes, guards)

    def once(self, grid: Shape) -> bool:
        """Whether no two tasks of a stage over ``grid`` need the same element."""
        followed = {a.axis for a in self.axes if a.axis is not None and a.step}
        return all(n <= 1 or axis in followed for axis, n in enumerate(grid))


@dataclass(frozen=True, slots=True)
class Select:
    """A demand as storage asks for it: called with a task's index, it returns a slice for each axis."""

    demand: Demand

    def __call__(self, index: Index) -> tuple[slice, ...]:
        if not self.demand.holds(index):
            return tuple(slice(0, 0, 1) for _ in self.demand.axes)
        return tuple(axis.ordered(index) for axis in self.demand.axes)


def of_blocks(shape: Shape, blocks: Shape) -> Demand:
    """Return the demand of the stage that makes an array of ``shape``, one of ``blocks`` a task.

    An axis of a single block is the same for every task, and said so: equal demands are then found equal.
    """
    pairs = enumerate(zip(shape, blocks, strict=True))
    axes = (
        AxisDemand.constant(0, n) if 0 < n <= block else AxisDemand(axis, block, 0, n)
        for axis, (n, block) in pairs
    )
    return Demand(tuple(axes))


@dataclass(frozen=True, slots=True)
class Reach:
    """The axis map of an :class:`AxisDemand` on an axis of ``extent`` elements in blocks of ``chunk``."""

    demand: AxisDemand
    extent: int
    chunk: int
    consumer: int

    def reads(self, out: int) -> Span:
        demand, chunk = self.demand, self.chunk
        elements = demand.elements((out,) if demand.axis is None else (0,) * demand.axis + (out,))
        if elements.start >= elements.stop:
            return range(0)
        if elements.step <= chunk:
            return range(elements.start // chunk, (elements.stop - 1) // chunk + 1)
        return tuple(e // chunk for e in range(elements.start, elements.stop, elements.step))

    def consumers(self, position: int) -> Span:
        a = position * self.chunk
        b = min(a + self.chunk, self.extent) - 1
        found = self._virtual(a, b)
        lo, hi = max(found.start, self.demand.lo), min(found.stop, self.demand.hi)
        if self.demand.axis is None:
            return range(self.consumer) if lo < min(hi, self.demand.block) else range(0)
        if lo >= hi:
            return range(0)
        return range(lo // self.demand.block, min((hi - 1) // self.demand.block + 1, self.consumer))

    def _virtual(self, a: int, b: int) -> range:
        """Return the ``e`` that stand for any of the elements ``a`` to ``b`` (inclusive)."""
        step, offset = self.demand.step, self.demand.offset
        if step == 0:
            return range(self.demand.hi) if a <= offset <= b else range(0)
        if step < 0:
            a, b, step, offset = -b, -a, -step, -offset
        return range(-((offset - a) // step), (b - offset) // step + 1)

    def check(self, producer: int, consumer: int) -> None:
        """Nothing is left to check: it was made for these axes."""


def relation(demand: Demand, shape: Shape, blocks: Shape, grid: Shape) -> Relation:
    """Return what tasks over ``grid`` read of a stage that makes ``shape`` in ``blocks``, to meet ``demand``."""
    producer = tuple(-(-n // block) for n, block in zip(shape, blocks, strict=True))
    maps: list[AxisMap] = []
    axes: list[int | None] = []
    for axis, (d, n, block) in enumerate(zip(demand.axes, shape, blocks, strict=True)):
        lone = d.axis is None and d.lo < d.hi and producer[axis] == 1
        if lone and len(grid) == len(shape) and grid[axis] == 1:
            # One block against one block: said so, because then the whole may be the identity.
            maps.append(Same(1, 1))
            axes.append(axis)
            continue
        consumer = 1 if d.axis is None else grid[d.axis]
        maps.append(_axis_map(d, n, block, producer[axis], consumer))
        axes.append(d.axis)
    inner = Blockwise(producer, grid, tuple(axes), tuple(maps))
    if not demand.guards or not shape:
        # A single element is read by every task: no slice of it is empty.
        return inner
    return Guarded(inner, _box_of(demand.guards, grid))


def _axis_map(d: AxisDemand, extent: int, chunk: int, producer: int, consumer: int) -> AxisMap:
    plain = d.step == 1 and d.offset == 0 and d.lo == 0 and d.hi == extent
    if d.axis is not None and plain and d.block == chunk and producer == consumer:
        return Same(producer, consumer)
    if d.axis is None and d.hi > d.lo:
        elements = d.elements(())
        if elements.start // chunk == (elements.stop - 1) // chunk:
            return Fixed(elements.start // chunk)
    return Reach(d, extent, chunk, consumer)


def _box_of(guards: Sequence[Guard], grid: Shape) -> Box:
    box: list[Span] = [range(n) for n in grid]
    for axis, start, stop in guards:
        box[axis] = intersect(box[axis], range(start, stop))
    return tuple(box)
