"""The block of an array that each task of a stage writes, and the relations of stages that read such an array.

An output without an access is written at ``index * block``. One with an access may have fewer axes than the stage's
index space, or have them in another order: each of its axes follows one stage axis, or is a single block.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.lengths import count_blocks
from asyncexec.plan.relations import Relation, of_access

if TYPE_CHECKING:
    from asyncexec.plan.box import Index, Shape


class WrittenArray(Protocol):
    """An array that is written block by block."""

    @property
    def shape(self) -> Shape:
        """The array's shape."""
        ...

    @property
    def block(self) -> Shape:
        """The lengths of the block that one task writes, in elements."""
        ...

    @property
    def access(self) -> AccessMap | None:
        """The elements that each task writes; None where it is the block at ``index * block``."""
        ...


type Conflict = tuple[Index, Index, Index]
"""Two tasks, and the block that both write."""


def grid_of(written: WrittenArray) -> Shape:
    """Return the number of blocks along each axis."""
    return tuple([count_blocks(n, b) for n, b in zip(written.shape, written.block, strict=True)])


def block_numbers(written: WrittenArray) -> tuple[AxisAccess, ...] | None:
    """Return the number of the block that each task writes, along each axis; None where it is not one whole block."""
    if written.access is None:
        return tuple([AxisAccess(p, 1, 0, n) for p, n in enumerate(grid_of(written))])
    if written.access.guards or len(written.access.axes) != len(written.shape):
        return None
    numbers: list[AxisAccess] = []
    for axis, block, n in zip(written.access.axes, written.block, written.shape, strict=True):
        found = axis.blocks(block, n)
        if found is None:
            return None
        numbers.append(found)
    return tuple(numbers)


def axes_written(written: WrittenArray, stage: Shape) -> tuple[int | None, ...]:
    """Return the axis of ``written`` that follows each axis of the index space ``stage``.

    None where there is none, which is possible for a stage axis of one task.
    """
    if written.access is None:
        return tuple(range(len(stage)))
    followed = {number.axis: p for p, number in enumerate(block_numbers(written) or ())}
    return tuple(followed.get(axis) for axis in range(len(stage)))


def conflict(written: WrittenArray, stage: Shape) -> Conflict | None:
    """Return two tasks of the index space ``stage`` that write one block; None if there are none."""
    numbers = block_numbers(written) or ()
    followed = {number.axis for number in numbers}
    for axis, n in enumerate(stage):
        if n > 1 and axis not in followed and 0 not in stage:
            first = (0,) * len(stage)
            second = tuple(int(a == axis) for a in range(len(stage)))
            return first, second, tuple(number.first(first) for number in numbers)
    return None


def is_covered(written: WrittenArray, stage: Shape) -> bool:
    """Return whether tasks of the index space ``stage``, of which no two conflict, write every block, one each."""
    numbers = block_numbers(written) or ()
    pairs = list(zip(numbers, grid_of(written), strict=True))
    followed = [number.axis for number in numbers if number.axis is not None]
    return len(followed) == len(set(followed)) and all(
        (number.first(()) == 0 and blocks == 1)
        if number.axis is None
        else number.axis < len(stage)
        and (number.lo, number.hi, number.offset) == (0, blocks, 0)
        and stage[number.axis] == blocks
        for number, blocks in pairs
    )


def relation_to(
    written: WrittenArray, access: AccessMap, producer: Shape, consumer: Shape
) -> Relation:
    """Return the relation of tasks over ``consumer`` with this ``access`` to the tasks that write ``written``."""
    axes: list[AxisAccess] = []
    shape: list[int] = []
    blocks: list[int] = []
    for p in axes_written(written, producer):
        # A stage axis that no axis of the array follows has one task, which everybody reads.
        axes.append(AxisAccess.constant(0, 1) if p is None else access.axes[p])
        shape.append(1 if p is None else written.shape[p])
        blocks.append(1 if p is None else written.block[p])
    return of_access(AccessMap(tuple(axes), access.guards), tuple(shape), tuple(blocks), consumer)
