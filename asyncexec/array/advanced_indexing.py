"""Indexing by arrays of integers.

Where each array runs along an axis of its own (as one list does, or those of ``numpy.ix_``), the result is a view by
positions along each axis. Otherwise the points are sorted by the chunks that hold them, at once; each task gathers the
points of one chunk, and the result is a view of these pieces that puts the points into their order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.axis_groups import divided, empty_node
from asyncexec.array.basic_indexing import listing_of
from asyncexec.array.chunks import POSITION_BYTES
from asyncexec.array.index_keys import Numbers
from asyncexec.array.nodes import Node
from asyncexec.array.point_blocks import PointBlocks
from asyncexec.array.sources import memory_source
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Shape
from asyncexec.plan.lengths import Lengths, lengths_of
from asyncexec.plan.runs import Runs

_OPERATION = "getitem"


def gathered_by(node: Node, arrays: Mapping[int, Numbers], place: int, *, limit: int) -> Node:
    """Return what arrays of integers index along some axes of ``node``.

    Parameters
    ----------
    node : Node
    arrays : mapping of int to array
        Numbers from 0, by axis; they are broadcast against each other.
    place : int
        How many of the other axes come before those of the arrays, in the result.
    limit : int
        What chunks aim at, in bytes.

    Raises
    ------
    IndexError
        If the arrays do not broadcast.
    """
    common = common_shape(arrays)
    rest = [a for a in range(len(node.shape)) if a not in arrays]
    shape = (
        *(node.shape[a] for a in rest[:place]),
        *common,
        *(node.shape[a] for a in rest[place:]),
    )
    if not math.prod(shape):
        return empty_node(_OPERATION, shape, node.dtype)
    full = {
        a: array.reshape((1,) * (len(common) - array.ndim) + array.shape)
        for a, array in arrays.items()
    }
    along = {a: [d for d, n in enumerate(array.shape) if n > 1] for a, array in full.items()}
    followed = [d for axes in along.values() for d in axes]
    if len(set(followed)) == len(followed) and all(len(axes) < 2 for axes in along.values()):
        return _crossed(node, full, place, shape, limit)
    found = _pointwise(build.in_regular_chunks(node), full, rest, common, limit)
    axes = list(range(len(common), len(shape)))
    axes[place:place] = range(len(common))
    return build.permute(found, axes, _OPERATION) if place else found


def common_shape(arrays: Mapping[int, Numbers]) -> Shape:
    """Return the shape that ``arrays`` broadcast to.

    Raises
    ------
    IndexError
        If they do not.
    """
    try:
        return chunking.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError as error:
        raise IndexError(f"index arrays do not fit together: {error}") from None


def _lengths_taken(chunk: int, numbers: Numbers) -> int:
    """Return the chunk lengths of what is taken at ``numbers``: of lists in order, what is taken of each chunk."""
    if not isinstance(chunk, Lengths) or (np.diff(numbers) < 0).any():
        return int(chunk)
    ends = np.searchsorted(numbers, chunk.ends)
    return lengths_of(np.diff(ends, prepend=0).tolist())


def _crossed(
    node: Node, arrays: Mapping[int, Numbers], place: int, shape: Shape, limit: int
) -> Node:
    """Return every combination of what is listed along each axis, as a view; each array runs along one axis."""
    ndim = next(iter(arrays.values())).ndim
    rest = [a for a in range(len(node.shape)) if a not in arrays]
    chunks = [1] * len(shape)
    views: list[AxisAccess] = []
    longer: list[int] = []
    for axis, n in enumerate(node.shape):
        if axis not in arrays:
            number = rest.index(axis)
            to = number if number < place else number + ndim
            views.append(AxisAccess.view(to, n))
            chunks[to] = node.chunks[axis]
            continue
        listed = arrays[axis]
        if listed.size == 1:
            views.append(AxisAccess.constant(listed.item(), listed.item() + 1))
            continue
        to = place + max(range(ndim), key=lambda d: listed.shape[d])
        views.append(AxisAccess.taken(to, listing_of(listed.ravel())))
        chunks[to] = _lengths_taken(node.chunks[axis], listed.ravel())
        if listed.size > n:
            longer.append(to)
    settled = tuple(chunks)
    for to in longer:
        settled = build.cut_anew(settled, to, shape, node.dtype.itemsize, limit)
    return build.view(_OPERATION, node, views, shape, settled)


def _pointwise(
    node: Node,
    arrays: Mapping[int, Numbers],
    rest: Sequence[int],
    common: Shape,
    limit: int,
) -> Node:
    """Return the points at ``arrays``; their axes come first, and the others follow."""
    axes = [a for a, array in arrays.items() if array.size > 1]
    fixed = tuple(
        slice(None) if a not in arrays or a in axes else arrays[a].item()
        for a in range(len(node.shape))
    )
    shown = build.shown(node, fixed)
    # Places of the axes once those that are fixed have gone.
    places = {
        a: k for k, a in enumerate(a for a in range(len(node.shape)) if a in axes or a in rest)
    }
    first = build.permute(shown, [places[a] for a in (*axes, *rest)], _OPERATION)
    points = [np.broadcast_to(arrays[a], common).ravel() for a in axes]
    if len(axes) == 1:
        flat = build.take_positions(first, points[0], 0, limit=limit, operation=_OPERATION)
    else:
        flat = _of_pieces(first, points, limit)
    return divided(flat, 0, common, limit=limit, operation=_OPERATION)


def _of_pieces(node: Node, points: Sequence[Numbers], limit: int) -> Node:
    """Return the elements at ``points``, one array for each of the first axes of ``node``, along one axis."""
    k = len(points)
    lengths, widths = node.shape[:k], node.chunks[:k]
    counts = chunking.grid(lengths, widths)
    chunk = np.ravel_multi_index([p // w for p, w in zip(points, widths, strict=True)], counts)
    order = np.argsort(chunk, kind="stable")
    groups, begins, sizes = np.unique(chunk[order], return_index=True, return_counts=True)
    row = math.prod(min(c, n) for c, n in zip(node.chunks[k:], node.shape[k:], strict=True))
    each = row * node.dtype.itemsize + POSITION_BYTES
    most = max(1, limit // each)
    length = min(most, max(1, -(-len(order) // len(groups))))
    pieces = -(-sizes // length)
    before = np.cumsum(pieces) - pieces
    rank = np.arange(len(order)) - np.repeat(begins, sizes)
    # The place of each point among those of all pieces, in the order of chunks.
    slot = np.repeat(before, sizes) * length + rank
    of_piece = np.unravel_index(np.repeat(groups, pieces), counts)
    starts = [
        np.minimum(number * w, n - w)
        for number, w, n in zip(of_piece, widths, lengths, strict=True)
    ]
    total = int(pieces.sum())
    local = np.zeros((total * length, k), np.min_scalar_type(max(widths)))
    for axis, (p, begin) in enumerate(zip(points, starts, strict=True)):
        local[slot, axis] = p[order] - begin[slot // length]
    taken = PointBlocks(
        operation=_OPERATION,
        inputs=(node, memory_source(_frozen(local), (length, k))),
        windows=tuple(
            Runs(begin, np.full(total, w)) for begin, w in zip(starts, widths, strict=True)
        ),
        widths=widths,
        shape=(total * length, *node.shape[k:]),
        chunks=(length, *node.chunks[k:]),
        dtype=node.dtype,
    )
    numbers = np.empty(len(order), np.int64)
    numbers[order] = slot
    size = chunking.chunk_bytes(node.shape, node.chunks, node.dtype.itemsize)
    near = max(1, min(most, size // max(row * node.dtype.itemsize, 1)))
    return _ordered(taken, numbers, near)


def _ordered(node: Node, numbers: Numbers, chunk: int) -> Node:
    views = [
        AxisAccess.view(axis, n) if axis else AxisAccess.taken(0, listing_of(numbers))
        for axis, n in enumerate(node.shape)
    ]
    shape = (len(numbers), *node.shape[1:])
    return build.view(_OPERATION, node, views, shape, (chunk, *node.chunks[1:]))


def _frozen(data: Numbers) -> Numbers:
    data.setflags(write=False)
    return data
