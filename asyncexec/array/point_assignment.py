"""Assignment to single points, which arrays of integers index.

The points are sorted by the chunks that hold them, at once, and every task finds its own in that list. Where it would
read too many values for that, the values stand behind the array instead, and the result is a view of both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.advanced_indexing import common_shape
from asyncexec.array.assigned_values import fitted, is_constant
from asyncexec.array.axis_groups import divided, joined
from asyncexec.array.basic_indexing import listing_of
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.index_kernels import PutPoints
from asyncexec.array.index_keys import Numbers
from asyncexec.array.nodes import Node
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Shape
from asyncexec.plan.positions import Listing
from asyncexec.plan.runs import Runs

_SHARE = 8
"""A task reads values for up to this part of a chunk's size, its own or not."""


def with_points(
    node: Node, arrays: Mapping[int, Numbers], place: int, value: Any, *, limit: int
) -> Node:
    """Return ``node`` with ``value`` in the elements that ``arrays`` index; of a point that comes twice, the last.

    Parameters
    ----------
    node : Node
    arrays : mapping of int to array
        Numbers from 0, by axis; they are broadcast against each other.
    place : int
        How many of the other axes come before those of the arrays, in what is set.
    value : element or Node
    limit : int

    Raises
    ------
    IndexError
        If the arrays do not broadcast.
    ValueError
        If the value does not.
    """
    common = common_shape(arrays)
    others = [a for a in range(len(node.shape)) if a not in arrays]
    before = tuple(node.shape[a] for a in others[:place])
    after = tuple(node.shape[a] for a in others[place:])
    shape = (*before, *common, *after)
    values = None if is_constant(value) else fitted(value, len(shape), shape)
    if not math.prod(shape):
        return node
    if values is not None:
        values = _points_first(values, place, common, limit)
    axes = list(arrays)
    points = [np.broadcast_to(arrays[a], common).ravel() for a in axes]
    lengths = tuple(node.shape[a] for a in axes)
    flat = np.ravel_multi_index(points, lengths)
    _, last = np.unique(flat[::-1], return_index=True)
    ranks = len(flat) - 1 - last
    row = math.prod(min(node.chunks[a], node.shape[a]) for a in others) * node.dtype.itemsize
    if values is not None and values.shape[0] > 1 and values.shape[0] * row > limit // _SHARE:
        return _behind(node, axes, flat[ranks], values, ranks, limit=limit)
    chosen = [p[ranks] for p in points]
    return _put(node, axes, chosen, values if values is not None else value, ranks)


def _points_first(values: Node, place: int, common: Shape, limit: int) -> Node:
    """Return ``values`` with the axes of the points as one, which comes first; of length 1 if all have the same."""
    count, shape = len(common), values.shape
    if any(n > 1 for n in shape[place : place + count]):
        full = (*shape[:place], *common, *shape[place + count :])
        values = build.broadcast(values, full, limit=limit)
    flat = joined(values, place, count, limit=limit, operation="setitem")
    if not place:
        return flat
    order = [place, *(a for a in range(len(flat.shape)) if a != place)]
    return build.permute(flat, order, "setitem")


def _put(
    node: Node, axes: Sequence[int], points: Sequence[Numbers], value: Any, ranks: Numbers
) -> Node:
    """Return ``node`` with ``value`` put in by tasks that know all points."""
    grid = tuple(-(-node.shape[a] // node.chunks[a]) for a in axes)
    numbers = np.ravel_multi_index(
        [p // node.chunks[a] for p, a in zip(points, axes, strict=True)], grid
    )
    order = np.argsort(numbers, kind="stable")
    single = is_constant(value) or value.shape[0] == 1
    places = tuple(_small(p[order] % node.chunks[a]) for p, a in zip(points, axes, strict=True))
    put = PutPoints(
        axes=tuple(axes),
        grid=grid,
        chunk_numbers=numbers[order],
        places=places,
        ranks=None if single else _small(ranks[order]),
        constant=value if is_constant(value) else None,
    )
    own = tuple(range(len(node.shape)))
    others = tuple(a for a in own if a not in axes)
    inputs: tuple[Node, ...] = (node,)
    if not is_constant(value):
        wanted = [
            c if n > 1 else 1
            for c, n in zip((node.chunks[a] for a in others), value.shape[1:], strict=True)
        ]
        inputs = (node, build.with_chunks(value, (value.shape[0], *wanted)))
    listed = [put.chunk_numbers, *places, *([] if single else [put.ranks])]
    return Blocks(
        operation="setitem",
        call=put,
        keywords={},
        inputs=inputs,
        axes=(own, (None, *others))[: len(inputs)],
        shape=node.shape,
        chunks=node.chunks,
        dtype=node.dtype,
        wants_block_id=True,
        # Every worker has the list, pickled and as it is, and a task takes indices of its part.
        extra_bytes=2 * sum(each.nbytes for each in listed) + 8 * len(ranks) * (len(axes) + 1),
    )


def _small(numbers: Numbers) -> Any:
    """Return ``numbers``, from 0, in the smallest type that holds them."""
    return numbers.astype(np.min_scalar_type(int(numbers.max(initial=0))))


def _behind(
    node: Node, axes: Sequence[int], flat: Numbers, values: Node, ranks: Numbers, *, limit: int
) -> Node:
    """Return a view of ``node`` and of ``values`` behind it; ``flat`` are the points, in ascending order."""
    others = [a for a in range(len(node.shape)) if a not in axes]
    order = [*axes, *others]
    lengths = tuple(node.shape[a] for a in axes)
    first = build.permute(node, order, "setitem") if order != sorted(order) else node
    base = joined(first, 0, len(axes), limit=limit, operation="setitem")
    full = build.broadcast(values, (values.shape[0], *base.shape[1:]), limit=limit)
    both = build.concatenate((base, full), 0, node.dtype, "setitem")
    listed = _with_replaced(base.shape[0], flat, ranks)
    views = [
        AxisAccess.view(a, m) if a else AxisAccess.taken(0, listed)
        for a, m in enumerate(base.shape)
    ]
    laid = build.view("setitem", both, views, base.shape, base.chunks)
    found = divided(laid, 0, lengths, limit=limit, operation="setitem")
    if order == sorted(order):
        return found
    return build.permute(found, [order.index(a) for a in range(len(order))], "setitem")


def _with_replaced(n: int, at: Numbers, ranks: Numbers) -> Listing:
    """Return the numbers up to ``n``, with those ``at`` some places replaced by ``n + ranks``."""
    if n <= 8 * len(at):
        numbers = np.arange(n)
        numbers[at] = n + ranks
        return listing_of(numbers)
    gaps = np.concatenate([[0], at + 1])
    starts, counts = np.empty((2, 2 * len(at) + 1), np.int64)
    starts[::2], counts[::2] = gaps, np.append(at, n) - gaps
    starts[1::2], counts[1::2] = n + ranks, 1
    return Runs(starts, counts)
