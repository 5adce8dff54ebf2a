"""Indexing along one axis where each line has indices of its own."""

from __future__ import annotations

import math

from asyncexec.array import build, chunks as chunking
from asyncexec.array.axis_groups import empty_node
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.index_kernels import PickAlong
from asyncexec.array.nodes import Node
from asyncexec.plan.box import Shape


def picked_along(node: Node, numbers: Node, axis: int, *, limit: int) -> Node:
    """Return the elements of ``node`` at ``numbers`` along ``axis``, line by line.

    The other axes are broadcast. A task holds a block of numbers, and the whole lines that they index, where these take
    no more than ``limit`` bytes; else the lines are read in parts, each by a step that adds to the result of the last.
    """
    n = node.shape[axis]
    others = chunking.broadcast_shapes(_without(node.shape, axis), _without(numbers.shape, axis))
    shape = (*others[:axis], numbers.shape[axis], *others[axis:])
    if not math.prod(shape):
        return empty_node("take_along_axis", shape, node.dtype)
    itemsize = node.dtype.itemsize
    known = [
        (_without(each.shape, axis), _without(each.chunks, axis), each.dtype.itemsize)
        for each in (node, numbers)
    ]
    around = chunking.unify_chunks(others, known, itemsize, limit=limit)
    if others:
        around = chunking.shortened(around, others, n * itemsize, limit)
    part = max(1, min(n, limit // max(math.prod(around) * itemsize, 1)))
    chunks = (*around[:axis], numbers.chunks[axis], *around[axis:])
    rows = (*others[:axis], n, *others[axis:])
    lines = build.broadcast(node, rows, (*around[:axis], node.chunks[axis], *around[axis:]))
    listed = build.with_chunks(build.broadcast(numbers, shape), chunks)
    axes = tuple(range(len(shape)))
    found: Node | None = None
    for begin in range(0, n, part):
        some = build.index(lines, (slice(None),) * axis + (slice(begin, begin + part),))
        length = some.shape[axis]
        some = build.with_chunks(some, (*around[:axis], length, *around[axis:]))
        found = Blocks(
            operation="take_along_axis",
            call=PickAlong(axis, begin, n),
            keywords={},
            inputs=(some, listed) if found is None else (some, listed, found),
            axes=((*axes[:axis], None, *axes[axis + 1 :]), axes, axes)[: 2 if found is None else 3],
            shape=shape,
            chunks=chunking.clipped(chunks, shape),
            dtype=node.dtype,
            # Numbers of 64 bits, and which of them lie in the part.
            extra_bytes=math.prod(chunks) * (3 * 8 + 2),
        )
    assert found is not None, "a line of no elements has no numbers"  # noqa: S101 - what the caller has checked
    return found


def _without(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], *shape[axis + 1 :])
