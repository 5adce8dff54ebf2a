"""The elements of an array that each task of a stage needs, over all its axes."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncexec.plan.access import AxisAccess

if TYPE_CHECKING:
    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index, Shape

type Guard = tuple[int, int, int]
"""Stage axis, first and last (exclusive) position of the tasks that need anything at all."""

_NOTHING = slice(0, 0, 1)


@dataclass(frozen=True, slots=True)
class AccessMap:
    """The region of an array that each task needs, and the tasks that need any at all.

    Guards come from concatenation: a part is needed only where the stage's block reaches into it.
    """

    axes: tuple[AxisAccess, ...]
    guards: tuple[Guard, ...] = ()

    def holds(self, index: Index) -> bool:
        """Return whether the task at ``index`` needs anything."""
        return all(start <= index[axis] < stop for axis, start, stop in self.guards)

    def counts(self, index: Index) -> Shape:
        """Return the shape of the region that the task at ``index`` needs."""
        return tuple([axis.count(index) for axis in self.axes])

    @property
    def most(self) -> Shape:
        """The largest region that any task needs."""
        return tuple([axis.most for axis in self.axes])

    def through(self, inner: Sequence[AxisAccess]) -> AccessMap | None:
        """Return the access to another array, of which this one is a view.

        Axis ``p`` of the other array is read by axis ``inner[p].axis`` of this one. None where that has no closed form.
        """
        axes: list[AxisAccess] = []
        for access in inner:
            found = access if access.axis is None else self.axes[access.axis].through(access)
            if found is None:
                return None
            axes.append(found)
        return AccessMap(tuple(axes), self.guards)

    def divisible(self, axis: int, begins: Sequence[int], extents: Sequence[int]) -> bool:
        """Return whether the access to each of these parts of ``axis`` has a closed form."""
        pairs = zip(begins, extents, strict=True)
        return all(self.axes[axis].part(begin, extent) is not None for begin, extent in pairs)

    def part(self, axis: int, begin: int, extent: int) -> AccessMap | None:
        """Return the access to a part that begins at ``begin`` of ``axis``; None where no task needs it.

        Raises
        ------
        ValueError
            If it has no closed form (see :meth:`divisible`).
        """
        found = self.axes[axis].part(begin, extent)
        if found is None:
            raise ValueError(f"{self.axes[axis]!r} cannot be divided at {begin}")
        if found.lo >= found.hi:
            return None
        axes = (*self.axes[:axis], found, *self.axes[axis + 1 :])
        if found.axis is None:
            return AccessMap(axes, self.guards)
        guard = (found.axis, found.position_of(found.lo), found.position_of(found.hi - 1) + 1)
        guards = self.guards if guard in self.guards else tuple(sorted((*self.guards, guard)))
        return AccessMap(axes, guards)

    def once(self, grid: Shape) -> bool:
        """Return whether no two tasks of a stage over ``grid`` need the same element."""
        followed = {a.axis for a in self.axes if a.distinct}
        return all(n <= 1 or axis in followed for axis, n in enumerate(grid))


@dataclass(frozen=True, slots=True)
class ReadRegion:
    """An access as a function from a task's index to a region, which is the form that storage takes."""

    access: AccessMap

    def __call__(self, index: Index) -> Region:
        access = self.access
        if access.guards and not access.holds(index):
            return (_NOTHING,) * len(access.axes)
        return tuple([axis.region(index) for axis in access.axes])


class Needed:
    """Finds the accesses by which a task needs anything, without a look at each: parts of a concatenation are many.

    Parameters
    ----------
    accesses : sequence of AccessMap or None
        None stands for one without guards.
    """

    __slots__ = ("_accesses", "_always", "_axis", "_between", "_edges")

    def __init__(self, accesses: Sequence[AccessMap | None]) -> None:
        self._accesses = accesses
        guards = [() if access is None else access.guards for access in accesses]
        axes = Counter(axis for each in guards for axis in {axis for axis, _, _ in each})
        self._axis = max(axes, key=axes.__getitem__, default=0)
        along = {
            number: (start, stop)
            for number, each in enumerate(guards)
            for axis, start, stop in each
            if axis == self._axis
        }
        self._always = [number for number in range(len(guards)) if number not in along]
        # Between two edges, every task is within the same guards along this axis.
        self._edges = sorted({edge for pair in along.values() for edge in pair})
        self._between: list[list[int]] = [[] for _ in self._edges]
        places = {edge: place for place, edge in enumerate(self._edges)}
        for number, (start, stop) in along.items():
            for place in range(places[start], places[stop]):
                self._between[place].append(number)

    def __call__(self, index: Index) -> Sequence[int]:
        """Return the numbers of the accesses that the task at ``index`` needs anything by."""
        if not self._edges:
            return self._always
        place = bisect_right(self._edges, index[self._axis]) - 1
        near = self._between[place] if place >= 0 else []
        return [number for number in (*self._always, *near) if self._holds(number, index)]

    def _holds(self, number: int, index: Index) -> bool:
        access = self._accesses[number]
        return access is None or access.holds(index)


def of_blocks(shape: Shape, blocks: Shape) -> AccessMap:
    """Return the access of the stage that makes an array of ``shape``, one of ``blocks`` a task.

    An axis of a single block is a constant, as it is the same for every task: equal accesses then compare equal.
    """
    pairs = enumerate(zip(shape, blocks, strict=True))
    axes = (
        AxisAccess.constant(0, n) if 0 < n <= block else AxisAccess(axis, block, 0, n)
        for axis, (n, block) in pairs
    )
    return AccessMap(tuple(axes))
