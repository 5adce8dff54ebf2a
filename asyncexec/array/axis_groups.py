"""Neighbouring axes as one, in C order, and one as several; the other axes keep their chunks.

A chunk that has all axes of the group but the first whole is a run of elements of the one axis. Where such a chunk
would be too large, the other axes get shorter chunks; where that is not enough, each index of the group's first axis is
treated by itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.generators import Full
from asyncexec.array.index_kernels import JoinAxes, SplitAxis
from asyncexec.array.nodes import DType, Node
from asyncexec.plan.box import Shape


def empty_node(operation: str, shape: Shape, dtype: DType) -> Node:
    """Return an array of ``shape`` that has no elements, or of which none matters: zeros."""
    return build.creation(operation, Full(0, dtype), shape, -1, dtype, aliases=True)


def joined(node: Node, first: int, count: int, *, limit: int, operation: str) -> Node:
    """Return ``node`` with its ``count`` axes from ``first`` on as one axis, in C order.

    Chunks aim at ``limit`` bytes. Without any axis (``count=0``), there is a new one of length 1.
    """
    if count == 0:
        return build.insert_axis(node, first)
    group = node.shape[first : first + count]
    if not math.prod(node.shape):
        shape = (*node.shape[:first], math.prod(group), *node.shape[first + count :])
        return empty_node(operation, shape, node.dtype)
    ones = [a for a in range(first, first + count) if node.shape[a] == 1][: count - 1]
    found = build.drop_axes(node, ones) if ones else node
    return _joined(found, first, count - len(ones), limit, operation)


def divided(node: Node, axis: int, lengths: Sequence[int], *, limit: int, operation: str) -> Node:
    """Return ``node`` with its axis ``axis`` as several axes of ``lengths``, in C order: the inverse of :func:`joined`.

    Chunks aim at ``limit`` bytes. Without any length, the axis (of length 1) goes.
    """
    if len(lengths) == 0:
        return build.drop_axes(node, (axis,))
    if not math.prod(node.shape):
        shape = (*node.shape[:axis], *lengths, *node.shape[axis + 1 :])
        return empty_node(operation, shape, node.dtype)
    longer = [n for n in lengths if n != 1] or [1]
    found = _divided(node, axis, longer, limit, operation)
    ones = [k for k, n in enumerate(lengths) if n == 1]
    for k in ones[: len(lengths) - len(longer)]:
        found = build.insert_axis(found, axis + k)
    return found


def _joined(node: Node, first: int, count: int, limit: int, operation: str) -> Node:
    if count == 1:
        return node
    end = first + count
    length, *rest = node.shape[first:end]
    row = math.prod(rest)
    around = shorter(
        (*node.chunks[:first], *node.chunks[end:]), limit // max(row * node.dtype.itemsize, 1)
    )
    rows = limit // max(row * math.prod(around) * node.dtype.itemsize, 1)
    before, after = around[:first], around[first:]
    if not rows:
        parts = [
            _joined(
                build.index(node, (slice(None),) * first + (i,)), first, count - 1, limit, operation
            )
            for i in range(length)
        ]
        return build.concatenate(parts, first, node.dtype, operation)
    chunk = max(1, min(rows, length, math.prod(node.chunks[first:end]) // row))
    return Blocks(
        operation=operation,
        call=JoinAxes(first, count),
        keywords={},
        inputs=(build.with_chunks(node, (*before, chunk, *rest, *after)),),
        axes=(
            (*range(first + 1), *(None for _ in rest), *range(first + 1, first + 1 + len(after))),
        ),
        shape=(*node.shape[:first], length * row, *node.shape[end:]),
        chunks=(*before, chunk * row, *after),
        dtype=node.dtype,
    )


def _divided(node: Node, axis: int, lengths: Sequence[int], limit: int, operation: str) -> Node:
    if len(lengths) == 1:
        return node
    length, *rest = lengths
    row = math.prod(rest)
    around = shorter(
        (*node.chunks[:axis], *node.chunks[axis + 1 :]), limit // max(row * node.dtype.itemsize, 1)
    )
    rows = limit // max(row * math.prod(around) * node.dtype.itemsize, 1)
    before, after = around[:axis], around[axis:]
    if not rows:
        parts = []
        for i in range(length):
            part = build.index(node, (slice(None),) * axis + (slice(i * row, (i + 1) * row),))
            parts.append(build.insert_axis(_divided(part, axis, rest, limit, operation), axis))
        return build.concatenate(parts, axis, node.dtype, operation)
    chunk = max(1, min(rows, length, node.chunks[axis] // row))
    after_axes = range(axis + len(lengths), axis + len(lengths) + len(after))
    return Blocks(
        operation=operation,
        call=SplitAxis(axis, tuple(rest)),
        keywords={},
        inputs=(build.with_chunks(node, (*before, chunk * row, *after)),),
        axes=((*range(axis + 1), *after_axes),),
        shape=(*node.shape[:axis], length, *rest, *node.shape[axis + 1 :]),
        chunks=(*before, chunk, *rest, *after),
        dtype=node.dtype,
    )


def shorter(chunks: Sequence[int], most: int) -> Shape:
    """Return ``chunks`` halved, the longest first, until a chunk has at most ``most`` elements, or 1."""
    found = list(chunks)
    while math.prod(found) > max(most, 1):
        axis = found.index(max(found))
        found[axis] = -(-found[axis] // 2)
    return tuple(found)
