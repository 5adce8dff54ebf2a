"""``x[key] = value`` of nodes: the expression of the array with other values where the key points.

What a basic key shows is a box, over which the values are laid. Arrays and masks change the box first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncexec.array import build
from asyncexec.array.assigned_values import fitted, is_constant
from asyncexec.array.basic_indexing import shown_by
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.index_kernels import RepeatAlong, SetBox
from asyncexec.array.index_keys import Evaluate, parse_key
from asyncexec.array.mask_assignment import with_masked
from asyncexec.array.nodes import Node
from asyncexec.array.overlay import overlaid
from asyncexec.array.point_assignment import with_points


def assigned(node: Node, key: Any, value: Any, *, limit: int, evaluate: Evaluate) -> Node:
    """Return ``node`` with ``value`` (an element or a node, of its type) in the elements at ``key``.

    Parameters
    ----------
    node : Node
    key : index
        Everything that NumPy takes.
    value : element or Node
    limit : int
        What chunks aim at, in bytes, where they cannot be those of ``node``.
    evaluate : callable
        Computes arrays among the indices, and the counts of masks for which there are several values.

    Raises
    ------
    IndexError
        If the key does not fit.
    ValueError
        If the value does not broadcast to what the key shows.
    """
    parsed = parse_key(key, node.shape, evaluate, most_listed=0)
    changed = value
    if parsed.mask is not None:
        box = build.shown(node, parsed.basic)
        changed = with_masked(box, parsed.mask, parsed.place, value, evaluate, limit=limit)
    elif parsed.arrays:
        box = build.shown(node, parsed.basic)
        changed = with_points(box, parsed.arrays, parsed.place, value, limit=limit)
    return build.with_chunks(_laid(node, parsed.basic, changed, limit), node.chunks)


def _laid(node: Node, basic: Sequence[Any], value: Any, limit: int) -> Node:
    """Return ``node`` with ``value`` laid over what ``basic`` shows."""
    shown = shown_by(basic, node.shape)
    given = None if is_constant(value) else fitted(value, len(shown.shape), shown.shape)
    if 0 in shown.shape:
        return node
    per_axis = [part for part in basic if part is not None]
    alongs = [
        range(*part.indices(n)) if isinstance(part, slice) else range(part, part + 1)
        for part, n in zip(per_axis, node.shape, strict=True)
    ]
    ordered = [along if along.step > 0 else along[::-1] for along in alongs]
    begin = tuple(along.start for along in ordered)
    end = tuple(along[-1] + 1 for along in ordered)
    step = tuple(along.step if len(along) > 1 else 1 for along in ordered)
    if given is None:
        box = SetBox(begin=begin, end=end, step=step, constant=value)
        return overlaid(node, box, None, limit=limit)
    # The axes of the array: without new ones, and with those that an integer takes.
    backwards, forwards = slice(None, None, -1), slice(None)
    turned = [
        0 if part is None else backwards if (part.step or 1) < 0 else forwards
        for part in basic
        if not isinstance(part, int)
    ]
    laid = build.shown(given, turned)
    for axis, part in enumerate(per_axis):
        if not isinstance(part, slice):
            laid = build.insert_axis(laid, axis)
    span = tuple(stop - start for start, stop in zip(begin, end, strict=True))
    laid = _stretched(laid, step, span, node)
    if laid.shape == node.shape and set(step) <= {1}:
        return laid
    return overlaid(node, SetBox(begin=begin, end=end, step=step), laid, limit=limit)


def _stretched(value: Node, step: Sequence[int], span: Sequence[int], node: Node) -> Node:
    """Return ``value`` with elements repeated ``step`` times along each axis, or broadcast, to ``span``."""
    times = tuple(s if n > 1 else 1 for s, n in zip(step, value.shape, strict=True))
    found = value
    if max(times, default=1) > 1:
        short = [max(1, c // t) for c, t in zip(node.chunks, times, strict=True)]
        source = build.with_chunks(value, tuple(short))
        axes = tuple(range(len(times)))
        found = Blocks(
            operation="setitem",
            call=RepeatAlong(times),
            keywords={},
            inputs=(source,),
            axes=(axes,),
            shape=tuple(n * t for n, t in zip(value.shape, times, strict=True)),
            chunks=tuple(c * t for c, t in zip(source.chunks, times, strict=True)),
            dtype=value.dtype,
        )
    found = build.shown(found, tuple(slice(0, n) for n in span))
    return build.broadcast(
        found, tuple(span), tuple(min(c, n) for c, n in zip(node.chunks, span, strict=True))
    )
