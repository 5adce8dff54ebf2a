"""The elements of one axis that each task of a stage needs, in closed form: the index algebra of plans.

A task stands at a position of a stage axis. An :class:`AxisAccess` says which elements of an array's axis it needs, by
a few numbers whatever the number of tasks. Blocks, slices, flips, broadcasts, parts of a concatenation, rechunkings,
groups of a reduction, overlaps and lists of positions all have that form, and :meth:`AxisAccess.through` puts one
through another: storage, arrays, relations between stages and simulation all read the same numbers.

Workers load this module.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from asyncexec.plan.lengths import (
    Lengths,
    block_at,
    block_start,
    consecutive_blocks,
    count_blocks,
)
from asyncexec.plan.overlap import Overlap

if TYPE_CHECKING:
    from asyncexec.plan.box import Index
    from asyncexec.plan.positions import Listing

type Along = slice | Any
"""A part of one axis, in elements: a slice, or an array of positions."""

type Region = tuple[Along, ...]
"""A part of an array, one entry per axis."""

_NOTHING = slice(0, 0, 1)


@dataclass(frozen=True, slots=True)
class AxisAccess:
    """The elements of one axis of an array that each task needs.

    The task at position ``i`` of a stage axis stands for the numbers ``e`` of ``[i * block, (i + 1) * block)`` (of
    block ``i``, where blocks are :class:`~asyncexec.plan.lengths.Lengths`), cut to ``[lo, hi)``, and needs the elements
    ``e * step + offset``, in the order of ``e``.

    Attributes
    ----------
    axis : int or None
        The stage axis it follows; None where every task needs the same (as if at position 0).
    block : int
        Numbers per position of the stage axis.
    lo, hi : int
        The numbers there are: positions beyond them need nothing.
    step, offset : int
        Number ``e`` stands for element ``e * step + offset``. A step of 0 is one single element.
    via : Overlap, Positions, Runs or None
        Where that is not the element itself that is needed: everything around it, or the element whose number stands
        there in a list of positions.
    """

    axis: int | None
    block: int
    lo: int
    hi: int
    step: int = 1
    offset: int = 0
    via: Overlap | Listing | None = None

    @classmethod
    def constant(cls, start: int, stop: int) -> Self:
        """Return the access of tasks that all need the elements from ``start`` to ``stop``."""
        return cls(None, max(stop - start, 1), 0, stop - start, 1, start)

    @classmethod
    def window(cls, extent: int, begin: int = 0) -> Self:
        """Return the access of an axis to its part of ``extent`` elements that begins at ``begin``."""
        return cls(0, 1, begin, begin + extent, 1, -begin)

    @classmethod
    def view(cls, axis: int, extent: int, step: int = 1, offset: int = 0) -> Self:
        """Return the access of axis ``axis`` of a view, of ``extent`` elements: ``e`` shows ``e * step + offset``."""
        return cls(axis, 1, 0, extent, step, offset)

    @classmethod
    def taken(cls, axis: int, positions: Listing) -> Self:
        """Return the access of axis ``axis`` of what is taken at ``positions``, one after another."""
        return cls(axis, 1, 0, len(positions), 1, 0, positions)

    def bounds(self, index: Index) -> tuple[int, int]:
        """Return first and last (exclusive) number that the task at ``index`` stands for."""
        first, end = self._block(0 if self.axis is None else index[self.axis])
        start, stop = max(first, self.lo), min(end, self.hi)
        return start, max(start, stop)

    def _block(self, position: int) -> tuple[int, int]:
        """Return first and last (exclusive) number of the block at ``position``."""
        block = self.block
        if isinstance(block, Lengths):
            return block.start(position), block.start(position + 1)
        return position * block, (position + 1) * block

    def position_of(self, number: int) -> int:
        """Return the position of the stage axis that stands for ``number``."""
        return block_at(self.block, number)

    def region(self, index: Index) -> Along:
        """Return the part of the axis that the task at ``index`` needs, in its order: a slice, or positions."""
        # Called for every axis of every block that is read, so the common cases need no calls.
        position = 0 if self.axis is None else index[self.axis]
        if isinstance(self.block, Lengths):
            start, stop = self._block(position)
        else:
            start = position * self.block
            stop = start + self.block
        start = max(start, self.lo)
        stop = min(stop, self.hi)
        if start >= stop:
            return _NOTHING
        step, offset = self.step, self.offset
        if self.via is not None:
            return self._region_via(start, stop)
        if step == 1:
            return slice(start + offset, stop + offset, 1)
        if step == 0:
            return slice(offset, offset + 1, 1)
        end = (stop - 1) * step + offset + (1 if step > 0 else -1)
        return slice(start * step + offset, end if end >= 0 else None, step)

    def _region_via(self, start: int, stop: int) -> Along:
        first = start * self.step + self.offset
        if isinstance(self.via, Overlap):
            return slice(*self.via.ends(first, first + (stop - start - 1) * self.step), 1)
        return self.via.along(first, self.step, stop - start)  # type: ignore[union-attr]  # asked where it is not None

    def numbers(self, index: Index) -> Any:
        """Return the numbers of the elements that the task at ``index`` needs, in its order: a range, or an array."""
        found = self.region(index)
        if isinstance(found, slice):
            return range(found.start, -1 if found.stop is None else found.stop, found.step)
        return found

    def count(self, index: Index) -> int:
        """Return the number of elements that the task at ``index`` needs."""
        if isinstance(self.via, Overlap):
            return len(self.numbers(index))
        start, stop = self.bounds(index)
        return stop - start if self.step else min(stop - start, 1)

    def first(self, index: Index) -> int:
        """Return the number of the first element that the task at ``index`` needs; there may be none."""
        if self.via is not None:
            found = self.numbers(index)
            return int(found[0]) if len(found) else 0
        return self.bounds(index)[0] * self.step + self.offset

    @property
    def most(self) -> int:
        """The most elements that any task needs."""
        most = max(0, min(int(self.block), self.hi - self.lo))
        if isinstance(self.via, Overlap) and most:
            reach = (most - 1) * abs(self.step) + 1 + self.via.before + self.via.after
            return max(0, min(reach, self.via.hi - self.via.lo))
        return most if self.step else min(most, 1)

    @property
    def positions(self) -> Listing | None:
        """The list of positions, if the access has one."""
        return None if self.via is None or isinstance(self.via, Overlap) else self.via

    @property
    def scattered(self) -> bool:
        """True if some task needs elements that are no slice of the axis."""
        listed = self.positions
        if listed is None:
            return False
        return (
            self.step != 1
            or self.offset != 0
            or not listed.in_one_run(self.block, self.lo, self.hi)
        )

    @property
    def distinct(self) -> bool:
        """True if no two positions of the stage axis are known to need the same element."""
        if self.axis is None or not self.step or isinstance(self.via, Overlap):
            return False
        return self.via is None or self.via.distinct

    def through(self, inner: AxisAccess) -> AxisAccess | None:
        """Return the composition with ``inner``: element ``e`` of this axis needs what position ``e`` of it reads.

        Where ``inner`` follows no axis, every element needs the same, and it is needed once. None where the composition
        has no such form: neighbours of positions, every other group, the part of scattered positions within a range.
        """
        if inner.axis is None:
            return inner
        found: AxisAccess | None = self
        if inner.block != 1:
            found = self.widened(inner.block)
        if found is not None:
            found = found.within(inner.lo, inner.hi)
        if found is not None and (inner.step, inner.offset) != (1, 0):
            found = found.affine(inner.step, inner.offset)
        if found is not None and inner.via is not None:
            via = inner.via
            found = found.around(via) if isinstance(via, Overlap) else found.looked_up(via)
        return found

    def part(self, begin: int, extent: int) -> AxisAccess | None:
        """Return the access to a part of this axis that begins at ``begin`` and has ``extent`` elements."""
        return self.through(AxisAccess.window(extent, begin))

    def widened(self, width: int) -> AxisAccess | None:
        """Return the access where each element becomes ``width`` elements side by side."""
        via = self.via
        if isinstance(width, Lengths):
            return self._of_listed(width)
        if self.axis is None and via is None and self.step:
            if self.step != 1:
                return None
            start, stop = self.bounds(())
            return AxisAccess.constant((start + self.offset) * width, (stop + self.offset) * width)
        if via is None and self.step == 1:
            block = self.block
            return replace(
                self,
                block=block.times(width) if isinstance(block, Lengths) else block * width,
                lo=self.lo * width,
                hi=self.hi * width,
                offset=self.offset * width,
            )
        if via is None and self.step == 0:
            via = Overlap(0, 0, self.offset, self.offset + 1)
        if not isinstance(via, Overlap):
            return None
        wider = Overlap(
            via.before * width, via.after * width + width - 1, via.lo * width, via.hi * width
        )
        return replace(self, step=self.step * width, offset=self.offset * width, via=wider)

    def _of_listed(self, blocks: Lengths) -> AxisAccess | None:
        """Return the access where each element becomes the block of its number."""
        if self.lo >= self.hi:
            return replace(self, hi=self.lo)
        if self.via is not None or self.step not in (0, 1):
            return None
        first, last = self.lo * self.step + self.offset, (self.hi - 1) * self.step + self.offset + 1
        start, stop = blocks.start(first), blocks.start(last)
        if self.axis is None or not self.step:
            return AxisAccess.constant(start, stop)
        if self == AxisAccess(self.axis, 1, 0, blocks.count):
            return replace(self, block=blocks, hi=blocks.total)
        positions = range(self.position_of(self.hi - 1) + 1)
        ends = [min(max(self._block(i)[1] + self.offset, first), last) for i in positions]
        return AxisAccess(self.axis, Lengths(tuple(map(blocks.start, ends))), start, stop)

    def within(self, lo: int, hi: int) -> AxisAccess | None:
        """Return the access to those of the elements that lie in ``[lo, hi)``."""
        via = self.via
        if isinstance(via, Overlap):
            return replace(
                self, via=Overlap(via.before, via.after, max(via.lo, lo), min(via.hi, hi))
            )
        if via is not None:
            if lo <= via.least and via.greatest < hi:
                return self
            return replace(self, hi=self.lo) if via.greatest < lo or via.least >= hi else None
        return self._cut(lo, hi)

    def _cut(self, low: int, high: int) -> AxisAccess:
        """Return the access of those numbers whose ``e * step + offset`` lies in ``[low, high)``."""
        step, offset = self.step, self.offset
        if step == 0:
            return self if low <= offset < high else replace(self, hi=self.lo)
        if step > 0:
            lo, hi = -((offset - low) // step), -((offset - high) // step)
        else:
            lo, hi = -((high - 1 - offset) // -step), (offset - low) // -step + 1
        lo, hi = max(self.lo, lo), min(self.hi, hi)
        hi = max(lo, hi)
        return self if (lo, hi) == (self.lo, self.hi) else replace(self, lo=lo, hi=hi)

    def affine(self, step: int, offset: int) -> AxisAccess | None:
        """Return the access where element ``x`` becomes element ``x * step + offset``."""
        if step == 0:
            return AxisAccess.constant(offset, offset + 1)
        via = self.via
        if via is not None and not isinstance(via, Overlap):
            return replace(self, via=via.affine(step, offset))
        changed = replace(self, step=self.step * step, offset=self.offset * step + offset)
        if via is None:
            return _settled(changed)
        turned = via.affine(step, offset)
        return None if turned is None else replace(changed, via=turned)

    def around(self, wider: Overlap) -> AxisAccess | None:
        """Return the access where each element becomes the elements around it by ``wider``."""
        via = self.via
        if via is not None and not isinstance(via, Overlap):
            return None
        before, after = (via.before, via.after) if via else (0, 0)
        gaps = abs(self.step) > before + after + 1 + (0 if via else wider.before + wider.after)
        if gaps and min(self.block, self.hi - self.lo) > 1:
            return None
        if via is None:
            return replace(self, via=wider)
        # A task that needs no element needs none around it either.
        if via.lo >= via.hi:
            return replace(self, hi=self.lo)
        some = self._cut(via.lo - after, via.hi + before)
        around = Overlap(
            before + wider.before,
            after + wider.after,
            max(via.lo - wider.before, wider.lo),
            min(via.hi + wider.after, wider.hi),
        )
        return replace(some, via=around)

    def looked_up(self, positions: Listing) -> AxisAccess | None:
        """Return the access where each element becomes the one whose number stands there in ``positions``."""
        if isinstance(self.via, Overlap):
            return None
        if self.via is not None:
            return replace(self, via=positions.at(self.via))
        if self.step == 0:
            found = positions.one(self.offset)
            return AxisAccess.constant(found, found + 1)
        return replace(self, via=positions)

    def blocks(self, chunk: int, extent: int) -> AxisAccess | None:
        """Return the access in whole blocks of ``chunk``, where each task needs exactly one; else None."""
        if extent == 0:
            return AxisAccess(self.axis, 1, 0, 0)
        first, end = self.lo + self.offset, self.hi + self.offset
        if self.step != 1 or self.via is not None or first >= end:
            return None
        if self.axis is None or self.position_of(self.lo) == self.position_of(self.hi - 1):
            number = block_at(chunk, first)
            one = block_start(chunk, number), min(block_start(chunk, number + 1), extent)
            return AxisAccess.constant(number, number + 1) if one == (first, end) else None
        if isinstance(chunk, Lengths) or isinstance(self.block, Lengths):
            return self._listed_blocks(chunk, extent)
        return self._regular_blocks(chunk, extent)

    def _regular_blocks(self, chunk: int, extent: int) -> AxisAccess | None:
        end = self.hi + self.offset
        whole = (self.lo + self.offset) % chunk == 0 and (end % chunk == 0 or end == extent)
        if not whole or self.block != chunk or self.offset % chunk:
            return None
        return AxisAccess(
            self.axis, 1, self.lo // chunk, -(-self.hi // chunk), 1, self.offset // chunk
        )

    def _listed_blocks(self, chunk: int, extent: int) -> AxisAccess | None:
        """Return :meth:`blocks` for blocks of the task, or of the array, that differ in length."""
        if (self.block, self.lo, self.hi, self.offset) == (chunk, 0, extent, 0):
            return AxisAccess(self.axis, 1, 0, count_blocks(extent, chunk))
        low, high = self.position_of(self.lo), self.position_of(self.hi - 1) + 1
        borders = [max(self._block(i)[0], self.lo) + self.offset for i in range(low, high)]
        number = consecutive_blocks(chunk, extent, [*borders, self.hi + self.offset])
        return None if number is None else AxisAccess(self.axis, 1, low, high, 1, number - low)

    def block_number(self, chunk: int, extent: int) -> AxisAccess:
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

    def grouped(self, width: int, extent: int) -> AxisAccess:
        """Return the access to an axis of ``extent`` elements of which this one's are groups of ``width``.

        Raises
        ------
        ValueError
            If the groups that a task needs do not lie side by side.
        """
        found = self.through(AxisAccess(0, width, 0, extent))
        if found is None:
            raise ValueError(f"{self!r} does not take neighbouring groups of {width}")
        return found


def _settled(access: AxisAccess) -> AxisAccess:
    """Return ``access`` in its normal form if it is one element for every task, so that equal ones compare equal."""
    if access.axis is not None or access.hi - access.lo != 1:
        return access
    found = access.lo * access.step + access.offset
    return AxisAccess.constant(found, found + 1)
