"""Elements and whole arrays, again and again: :func:`repeat` and :func:`tile` of the array API standard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.evaluation import evaluated
from asyncexec.array.generators import Full
from asyncexec.array.index_kernels import RepeatElements
from asyncexec.array.integers import integers
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.reshaping import raveled, reshaped
from asyncexec.array.wrapping import as_array
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Shape
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.plan.runs import Runs

_LONGEST = np.iinfo(np.int64).max


def repeat(x: Array, repeats: int | Sequence[int] | Array, /, *, axis: int | None = None) -> Array:
    """Return ``x`` with each element along ``axis`` several times, one after the other.

    An array of ``repeats`` is evaluated now, as the shape of the result depends on it; so are they listed: 8 bytes for
    each element of the result along the axis, at most.

    >>> xp.repeat(xp.arange(3), 2).compute()
    array([0, 0, 1, 1, 2, 2])
    >>> xp.repeat(xp.asarray([[1, 2], [3, 4]]), xp.asarray([0, 2]), axis=0).compute()
    array([[3, 4],
           [3, 4]])

    Parameters
    ----------
    x : Array
    repeats : int, sequence of int or Array
        How often each element comes: one number for all, or one for each along the axis.
    axis : int, optional
        Without it all elements, in C order, are along one axis.

    Raises
    ------
    ValueError
        If a number is negative, or there are not as many as elements.
    TypeError
        If they are no integers.
    """
    array = as_array(x, "repeat")
    limit = chunk_limit(array.own_spec)
    node = array.node
    if axis is None:
        node, axis = raveled(node, limit=limit, operation="repeat"), 0
    place = build.normalized_axis(axis, len(node.shape))
    counts = _counts(repeats, node.shape[place])
    if isinstance(counts, int):
        return Array(_repeated(node, place, counts, limit), array.own_spec)
    positions = np.repeat(np.arange(len(counts)), counts)
    return Array(build.take_positions(node, positions, place, limit=limit), array.own_spec)


def tile(x: Array, repetitions: int | Sequence[int], /) -> Array:
    """Return ``x`` several times along each axis; it has as many axes as the longer of its shape and ``repetitions``.

    >>> xp.tile(xp.asarray([1, 2]), (2, 2)).compute()
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])

    Raises
    ------
    ValueError
        If a number of repetitions is negative.
    """
    array = as_array(x, "tile")
    times = integers(repetitions, "repetitions")
    if min(times, default=0) < 0:
        raise ValueError(f"repetitions {times} cannot be negative")
    times = (1,) * (array.ndim - len(times)) + times
    node = array.node
    for _ in range(len(times) - array.ndim):
        node = build.insert_axis(node, 0)
    limit = chunk_limit(array.own_spec)
    for axis, count in enumerate(times):
        if count != 1:
            node = _tiled(node, axis, count, limit)
    return Array(node, array.own_spec)


def _counts(repeats: Any, n: int) -> int | np.ndarray[Any, Any]:
    number = as_whole_number(repeats)
    if number is not None:
        if number < 0:
            raise ValueError(f"repeats={number} cannot be negative")
        return number
    given = evaluated(repeats, "repeat") if isinstance(repeats, Array) else np.asarray(repeats)
    if given.dtype.kind not in "iu" and given.size:
        raise TypeError(f"repeats must be integers, not {given.dtype}")
    if given.ndim > 1 or (given.size != 1 and given.shape != (n,)):
        raise ValueError(
            f"repeats of shape {given.shape} for {n} elements: give one number, or one for each"
        )
    if given.size and given.min() < 0:
        raise ValueError(f"repeats have {given.min()}, and cannot be negative")
    return int(given.ravel()[0]) if given.size == 1 else given.astype(np.int64)


def _repeated(node: Node, axis: int, count: int, limit: int) -> Node:
    shape = (*node.shape[:axis], node.shape[axis] * count, *node.shape[axis + 1 :])
    if shape[axis] > _LONGEST:
        raise ValueError(
            f"repeats={count} of {node.shape[axis]} elements: an axis has {_LONGEST} elements at most"
        )
    if count == 1 or not math.prod(shape):
        return node if count == 1 else _nothing("repeat", shape, node)
    others = math.prod(
        min(n, c) for a, (n, c) in enumerate(zip(node.shape, node.chunks, strict=True)) if a != axis
    )
    own = min(node.chunks[axis], node.shape[axis])
    length = min(
        own,
        max(limit, others * own * node.dtype.itemsize) // (others * count * node.dtype.itemsize),
    )
    if not length:
        spread = build.insert_axis(node, axis + 1)
        wide = (*spread.shape[: axis + 1], count, *spread.shape[axis + 2 :])
        part = max(1, min(count, limit // (others * node.dtype.itemsize)))
        chunks = (*spread.chunks[:axis], 1, part, *spread.chunks[axis + 2 :])
        return reshaped(
            build.broadcast(spread, wide, chunks), shape, limit=limit, operation="repeat"
        )
    return Blocks(
        operation="repeat",
        call=RepeatElements(count, axis),
        keywords={},
        inputs=(build.with_chunks(node, _with(node.chunks, axis, length)),),
        axes=(tuple(range(len(shape))),),
        shape=shape,
        chunks=_with(node.chunks, axis, length * count),
        dtype=node.dtype,
    )


def _tiled(node: Node, axis: int, count: int, limit: int) -> Node:
    n = node.shape[axis]
    shape = _with(node.shape, axis, n * count)
    if not math.prod(shape):
        return _nothing("tile", shape, node)
    if n == 1:
        return build.broadcast(node, shape, limit=limit)
    if n <= node.chunks[axis]:
        spread = build.broadcast(
            build.insert_axis(node, axis), (*shape[:axis], count, *node.shape[axis:]), limit=limit
        )
        return reshaped(spread, shape, limit=limit, operation="tile")
    views = [AxisAccess.view(p, length) for p, length in enumerate(node.shape)]
    views[axis] = AxisAccess.taken(axis, Runs(np.zeros(count, int), np.full(count, n)))
    return build.view("tile", node, views, shape, node.chunks)


def _with(lengths: Shape, axis: int, length: int) -> Shape:
    return (*lengths[:axis], length, *lengths[axis + 1 :])


def _nothing(operation: str, shape: Shape, node: Node) -> Node:
    return build.creation(operation, Full(0, node.dtype), shape, -1, node.dtype, aliases=True)
