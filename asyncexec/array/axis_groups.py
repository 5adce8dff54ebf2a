"""Neighbouring axes as one, in C order, and one as several, as indexing by masks and arrays needs them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from asyncexec.array import build
from asyncexec.array.generators import Full
from asyncexec.array.nodes import DType, Node
from asyncexec.array.reshaping import reshaped
from asyncexec.plan.box import Shape


def empty_node(operation: str, shape: Shape, dtype: DType) -> Node:
    """Return an array of ``shape`` that has no elements, or of which none matters: zeros."""
    return build.creation(operation, Full(0, dtype), shape, -1, dtype, aliases=True)


def joined(node: Node, first: int, count: int, *, limit: int, operation: str) -> Node:
    """Return ``node`` with its ``count`` axes from ``first`` on as one axis, in C order.

    Chunks aim at ``limit`` bytes. Without any axis (``count=0``), there is a new one of length 1.
    """
    before, after = node.shape[:first], node.shape[first + count :]
    shape = (*before, math.prod(node.shape[first : first + count]), *after)
    return reshaped(node, shape, limit=limit, operation=operation)


def divided(node: Node, axis: int, lengths: Sequence[int], *, limit: int, operation: str) -> Node:
    """Return ``node`` with its axis ``axis`` as several axes of ``lengths``, in C order: the inverse of :func:`joined`.

    Chunks aim at ``limit`` bytes. Without any length, the axis (of length 1) goes.
    """
    shape = (*node.shape[:axis], *lengths, *node.shape[axis + 1 :])
    return reshaped(node, shape, limit=limit, operation=operation)
