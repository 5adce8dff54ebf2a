"""The same elements in C order over other axes, chunk by chunk.

A chunk that has all axes but the first whole is a run of elements in C order: a task makes a chunk of one axis of it,
or the other way round. Where such a chunk would be too large, each index of the first axis is treated by itself.
"""

from __future__ import annotations

import math

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.generators import Full
from asyncexec.array.kernels import Reshape
from asyncexec.array.nodes import Node
from asyncexec.plan.box import Shape


def reshaped(node: Node, shape: Shape, *, limit: int, operation: str = "reshape") -> Node:
    """Return ``node`` with the same elements, in C order, in ``shape``; chunks aim at ``limit`` bytes.

    ``shape`` has as many elements as ``node``.
    """
    if node.shape == shape:
        return node
    if not math.prod(shape):
        # There are no elements, so that those of any array will do.
        return build.creation(operation, Full(0, node.dtype), shape, -1, node.dtype, aliases=True)
    ones = tuple(a for a, n in enumerate(node.shape) if n == 1)
    longer = tuple(a for a, n in enumerate(shape) if n != 1)
    found = build.drop_axes(node, ones) if ones else node
    if found.shape != tuple(shape[a] for a in longer):
        found = _on_one_axis(found, limit, operation)
        found = _on_several_axes(found, tuple(shape[a] for a in longer), limit, operation)
    for axis, n in enumerate(shape):
        if n == 1:
            found = build.insert_axis(found, axis)
    return found


def raveled(node: Node, *, limit: int, operation: str = "flatten") -> Node:
    """Return the elements of ``node`` in C order, along one axis."""
    return reshaped(node, (math.prod(node.shape),), limit=limit, operation=operation)


def _on_one_axis(node: Node, limit: int, operation: str) -> Node:
    if len(node.shape) <= 1:
        return node if node.shape else build.insert_axis(node, 0)
    length, *rest = node.shape
    row = math.prod(rest)
    rows = _rows(row, node.dtype.itemsize, limit)
    if not rows:
        parts = [_on_one_axis(build.index(node, i), limit, operation) for i in range(length)]
        return build.concatenate(parts, 0, node.dtype, operation)
    chunk = max(1, min(rows, length, math.prod(node.chunks) // row))
    return Blocks(
        operation=operation,
        call=Reshape((-1,)),
        keywords={},
        inputs=(build.with_chunks(node, (chunk, *rest)),),
        axes=((0, *(None for _ in rest)),),
        shape=(length * row,),
        chunks=(chunk * row,),
        dtype=node.dtype,
    )


def _on_several_axes(node: Node, shape: Shape, limit: int, operation: str) -> Node:
    if len(shape) <= 1:
        return node if shape else build.drop_axes(node, (0,))
    length, *rest = shape
    row = math.prod(rest)
    rows = _rows(row, node.dtype.itemsize, limit)
    if not rows:
        parts = [
            build.insert_axis(
                _on_several_axes(
                    build.index(node, slice(i * row, (i + 1) * row)), tuple(rest), limit, operation
                ),
                0,
            )
            for i in range(length)
        ]
        return build.concatenate(parts, 0, node.dtype, operation)
    chunk = max(1, min(rows, length, node.chunks[0] // row))
    return Blocks(
        operation=operation,
        call=Reshape((-1, *rest)),
        keywords={},
        inputs=(build.with_chunks(node, (chunk * row,)),),
        axes=((0,),),
        shape=shape,
        chunks=(chunk, *rest),
        dtype=node.dtype,
    )


def _rows(row: int, itemsize: int, limit: int) -> int:
    """Return how many elements of the first axis a chunk has; 0 where one is too many."""
    return limit // max(row * itemsize, 1)
