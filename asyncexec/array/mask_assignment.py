"""Assignment where a mask is true.

One value for all is a choice between two values, element by element. Values of their own for the elements are read in
windows: as many for each chunk of the mask as the most that any chunk needs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asyncexec.array import build, index_keys
from asyncexec.array.assigned_values import fitted, is_constant
from asyncexec.array.axis_groups import divided, joined
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.index_kernels import SpreadOut
from asyncexec.array.index_keys import Evaluate, WideMask
from asyncexec.array.mask_selection import counted
from asyncexec.array.nodes import Node
from asyncexec.array.operands import own_source
from asyncexec.array.point_assignment import with_points
from asyncexec.array.sources import memory_source
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Shape
from asyncexec.plan.runs import Runs


def with_masked(
    node: Node, mask: WideMask, place: int, value: Any, evaluate: Evaluate, *, limit: int
) -> Node:
    """Return ``node`` with ``value`` where ``mask`` is true; of what is set, ``place`` axes come before its own.

    Raises
    ------
    ValueError
        If the value does not broadcast to what is set.
    """
    axis, covered = mask.axis, mask.elements.shape
    end = axis + len(covered)
    others = (*node.shape[:axis], *node.shape[end:])
    if covered != node.shape[axis:end]:
        return node
    if is_constant(value):
        return _chosen(node, mask, value, limit)
    own = len(value.shape) - len(others) + place - 1
    if own < 0 or value.shape[own] == 1:
        if own >= 0:
            value = build.drop_axes(value, (own,))
        for_all = fitted(value, len(others), others)
        for _ in covered:
            for_all = build.insert_axis(for_all, axis)
        return _chosen(node, mask, for_all, limit)
    if math.prod(covered) <= index_keys.MOST_LISTED:
        given = mask.elements
        found = given if isinstance(given, np.ndarray) else np.asarray(evaluate(given))
        arrays = {axis + k: numbers for k, numbers in enumerate(np.nonzero(found))}
        return with_points(node, arrays, place, value, limit=limit)
    return _spread(node, mask, place, value, evaluate, limit=limit)


def _chosen(node: Node, mask: WideMask, value: Any, limit: int) -> Node:
    """Return ``value`` where the mask is true, else what ``node`` has."""
    given, axis = mask.elements, mask.axis
    end = axis + len(given.shape)
    own_chunks = node.chunks[axis:end]
    condition = own_source(given, own_chunks) if isinstance(given, np.ndarray) else given
    for k in range(len(node.shape) - end):
        condition = build.insert_axis(condition, len(given.shape) + k)
    return build.apply_elementwise(
        "setitem", np.where, (condition, value, node), dtype=node.dtype, limit=limit
    )


def _spread(
    node: Node, mask: WideMask, place: int, value: Node, evaluate: Evaluate, *, limit: int
) -> Node:
    """Return ``node`` with one value after another where the mask is true."""
    axis, covered = mask.axis, mask.elements.shape
    flat = joined(node, axis, len(covered), limit=limit, operation="setitem")
    known = counted(mask, flat.chunks[axis], evaluate, limit=limit)
    others = (*flat.shape[:axis], *flat.shape[axis + 1 :])
    shape = (*others[:place], known.total, *others[place:])
    values = fitted(value, len(shape), shape)
    if not math.prod(shape):
        return node
    if place != axis:
        order = [a for a in range(len(shape)) if a != place]
        order.insert(axis, place)
        values = build.permute(values, order, "setitem")
    total = (*others[:axis], known.total, *others[axis:])
    values = build.broadcast(values, total, _with(flat.chunks, axis, known.most))
    ends = np.cumsum(known.counts)
    begins = np.minimum(ends - known.counts, known.total - known.most)
    shifts = ends - known.counts - begins
    shifts.setflags(write=False)
    blocks = len(known.counts)
    windows = Runs(begins, np.full(blocks, known.most))
    views = [
        AxisAccess.taken(axis, windows) if a == axis else AxisAccess.view(a, n)
        for a, n in enumerate(total)
    ]
    padded = build.view(
        "setitem",
        values,
        views,
        _with(total, axis, blocks * known.most),
        _with(flat.chunks, axis, known.most),
    )
    own = tuple(range(len(flat.shape)))
    found = Blocks(
        operation="setitem",
        call=SpreadOut(axis),
        keywords={},
        inputs=(flat, known.node, padded, memory_source(shifts, (1,))),
        axes=(own, (axis,), own, (axis,)),
        shape=flat.shape,
        chunks=flat.chunks,
        dtype=flat.dtype,
        # The mask becomes a list of positions.
        extra_bytes=16 * flat.chunks[axis],
    )
    return divided(found, axis, covered, limit=limit, operation="setitem")


def _with(lengths: Shape, axis: int, length: int) -> Shape:
    return (*lengths[:axis], length, *lengths[axis + 1 :])
