"""The pieces that a task takes one after another: neighbours of an index space that is finer than its stage's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.lengths import grouped_lengths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncexec.plan.box import Index, Shape


@dataclass(frozen=True, slots=True)
class Pieces:
    """A division of an index space ``grid`` into boxes of at most ``lengths``, one a task.

    >>> from asyncexec.plan.pieces import Pieces
    >>> pieces = Pieces(grid=(5, 2), lengths=(2, 1))
    >>> pieces.shape, list(pieces.of((1, 0))), list(pieces.of((2, 1)))
    ((3, 2), [(2, 0), (3, 0)], [(4, 1)])

    Attributes
    ----------
    grid : tuple of int
        The index space of the pieces.
    lengths : tuple of int
        How many of them a task takes along each axis; the last may have fewer.
    """

    grid: Shape
    lengths: Shape

    @property
    def shape(self) -> Shape:
        """The index space of the tasks."""
        return tuple([-(-n // length) for n, length in zip(self.grid, self.lengths, strict=True)])

    @property
    def most(self) -> int:
        """The most pieces that a task takes."""
        most = 1
        for n, length in zip(self.grid, self.lengths, strict=True):
            most *= min(n, length)
        return most

    def of(self, index: Index) -> Iterator[Index]:
        """Iterate over the pieces of the task at ``index``, the last axis fastest."""
        along = zip(index, self.lengths, self.grid, strict=True)
        return product(*[range(i * length, min((i + 1) * length, n)) for i, length, n in along])

    def of_tasks(self, access: AccessMap) -> AccessMap:
        """Return what each task needs, all its pieces together, where each piece needs ``access``."""
        axes = tuple(
            a
            if a.axis is None
            else replace(a, block=grouped_lengths(a.block, self.lengths[a.axis]))
            for a in access.axes
        )
        guards = tuple(
            (axis, start // self.lengths[axis], -(-stop // self.lengths[axis]))
            for axis, start, stop in access.guards
        )
        return AccessMap(axes, guards)
