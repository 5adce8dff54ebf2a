"""Blocks cut along one axis, so that no bit of what is reduced depends on where."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from asyncexec.plan.box import Shape

LEAST_ROW = 16
"""The elements of a row, all of which a reduction keeps: a row of one NumPy leaves out, and adds in another order."""


def slabs(length: int, width: int) -> Iterator[slice]:
    """Iterate over slabs of ``width`` or more: what is left over belongs to the last one.

    >>> from asyncexec.array.slab_lengths import slabs
    >>> list(slabs(7, 3))
    [slice(0, 3, None), slice(3, 7, None)]
    """
    last = max(0, length // width - 1) * width
    yield from (slice(start, start + width) for start in range(0, last, width))
    yield slice(last, length)


def slabs_of(shape: Shape, *, elements: int = 1 << 16) -> Iterator[tuple[slice, ...]]:
    """Iterate over slices that cover a block along its longest axis, each of about as many ``elements``.

    >>> from asyncexec.array.slab_lengths import slabs_of
    >>> list(slabs_of((4, 3), elements=6))
    [(slice(0, 2, None),), (slice(2, 4, None),)]
    """
    if not shape:
        yield ()
        return
    axis = max(range(len(shape)), key=shape.__getitem__)
    width = max(1, elements * shape[axis] // max(math.prod(shape), 1))
    for start in range(0, shape[axis], width):
        yield (slice(None),) * axis + (slice(start, start + width),)


def kept_axes(
    shape: Shape, reduced: Collection[int], itemsize: int, most_bytes: int
) -> Iterator[tuple[int, int]]:
    """Iterate over the axes that a reduction keeps, along which a block can be cut, each with the length of a slab.

    A slab has ``most_bytes`` at most (the last one twice as many); along the last axis, some elements of each row.
    """
    whole = math.prod(shape) * itemsize
    for axis, length in enumerate(shape):
        width = most_bytes * length // max(whole, 1)
        rows = bool(reduced) and axis == len(shape) - 1
        if axis not in reduced and width >= (LEAST_ROW if rows else 1):
            yield axis, width


def slab_of(
    shape: Shape, reduced: Collection[int], itemsize: int, most_bytes: int
) -> tuple[int, int]:
    """Return the axis along which a block is cut, and the length of a slab.

    An axis that stays is cut where slabs are small then: each element of the result comes from one of them, so that it
    does not depend on how long they are.
    """
    found = next(kept_axes(shape, reduced, itemsize, most_bytes), None) if shape[-1] > 1 else None
    if found is not None:
        return found
    axis = max(range(len(shape)), key=shape.__getitem__)
    return axis, max(1, most_bytes * shape[axis] // max(math.prod(shape) * itemsize, 1))
