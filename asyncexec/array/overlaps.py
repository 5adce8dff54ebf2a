"""Applying functions of one's own to chunks that overlap: each gets some elements of its neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.block_building import BlockFunctionCall
from asyncexec.array.block_calls import UserCall
from asyncexec.array.block_functions import result_labels, unified_chunks, user_call
from asyncexec.array.block_lengths import Along, settled_lengths
from asyncexec.array.borders import AxisBorder, OverlapCaller
from asyncexec.array.dtypes import as_element, checked_dtype
from asyncexec.array.integers import integer, integers
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.wrapping import as_nodes
from asyncexec.errors import OptionError
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Shape
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.plan.lengths import Lengths, each_length, lengths_of
from asyncexec.plan.memory import parse_bytes
from asyncexec.plan.runs import Runs

_BOUNDARIES = ("none", "reflect", "nearest", "periodic")


def map_overlap(
    func: Callable[..., Any],
    /,
    *args: Any,
    depth: Any = 0,
    boundary: Any = "none",
    trim: bool = True,
    align_arrays: bool = True,
    allow_rechunk: bool = True,  # noqa: ARG001 - Dask's, and nothing to do here
    dtype: Any = None,
    chunks: Any = None,
    drop_axis: int | Sequence[int] = (),
    new_axis: int | Sequence[int] = (),
    extra_memory: int | str = 0,
    **keywords: Any,
) -> Array:
    """Return what ``func`` makes of each chunk together with elements around it.

    Borders inside of the array are read from the neighbours; nothing is stored for them.

    >>> x = xp.arange(6.0, chunks=2)
    >>> def smoothed(block):
    ...     return np.convolve(block, [1, 1, 1], mode="same")
    >>> xp.map_overlap(smoothed, x, depth=1, boundary=0).compute()
    array([ 1.,  3.,  6.,  9., 12.,  9.])
    >>> def change(block):
    ...     return block - np.roll(block, 1)
    >>> xp.map_overlap(change, x, depth={0: (1, 0)}, boundary="nearest").compute()
    array([0., 1., 1., 1., 1., 1.])

    Parameters
    ----------
    func : callable
        ``func(*blocks, **keywords) -> block``; see :func:`map_blocks`.
    *args : Array or other
        Arrays are broadcast against each other, chunk by chunk; what is no array is passed on as it is.
    depth : int, tuple, mapping or list
        How many elements around each chunk the function gets: one number for all axes, a tuple with one for each axis,
        or a mapping of axes. In place of a number a pair has those before and after. A list has the depth of each
        array. Neighbours' neighbours are read where it is more than a chunk.
    boundary : str, number, tuple, mapping or list
        What is around the array: ``"none"`` (nothing, chunks at the edges have no border there), ``"reflect"`` (the
        array mirrored, the last element twice), ``"nearest"`` (the last element), ``"periodic"`` (the other end), or
        a value. In the same forms as ``depth``.
    trim : bool
        Whether the borders are cut off what the function returns: those of the array with the most axes.
    align_arrays : bool
        Whether to rechunk arrays that are chunked differently; else that is an error.
    allow_rechunk : bool
        Accepted as in Dask; nothing is rechunked for a depth of more than a chunk.
    dtype, chunks, drop_axis, new_axis, extra_memory
        See :func:`map_blocks`; ``chunks`` are those after trimming.

    Raises
    ------
    OptionError
        If depth, boundary, or chunks do not fit, or the element type cannot be found out.
    ValueError
        If there is more to be mirrored, or repeated, than there is.
    """
    arrays = [a for a in args if isinstance(a, Array | np.ndarray)]
    nodes, spec = as_nodes(arrays, "map_overlap", own=True)
    if not nodes:
        raise OptionError("map_overlap takes at least one array")
    shape = chunking.broadcast_shapes(*(node.shape for node in nodes))
    dropped = build.normalized_axes(drop_axis, len(shape))
    layout = unified_chunks(nodes, shape, dropped, chunk_limit(spec))
    labels = result_labels(len(shape), dropped, new_axis)
    aligned = [build.aligned(node, shape, layout) for node in nodes]
    if not align_arrays and any(a is not b for a, b in zip(aligned, nodes, strict=True)):
        raise OptionError("arrays are chunked differently: rechunk them, or leave align_arrays on")
    depths = _for_each(depth, len(nodes), "depth")
    boundaries = _for_each(boundary, len(nodes), "boundary")
    borders = [
        _borders(node, shape, labels, d, b)
        for node, d, b in zip(aligned, depths, boundaries, strict=True)
    ]
    constants = [(k, a) for k, a in enumerate(args) if not isinstance(a, Array | np.ndarray)]
    inner = user_call(func, keywords, tuple(constants))
    along = [
        Along(shape[label], layout[label]) if isinstance(label, int) else Along(1, 1)
        for label in labels
    ]
    removed = _of_result(borders, labels, len(shape))
    trimmed = removed if trim else (None,) * len(labels)
    periodic = [_periodic(node, own) for node, own in zip(aligned, borders, strict=True)]
    read, borders = [node for node, _ in periodic], [own for _, own in periodic]
    caller = OverlapCaller(
        call=replace(inner, wants_block_info=False), borders=tuple(borders), trimmed=trimmed
    )
    call = BlockFunctionCall(
        operation="map_overlap",
        call=UserCall(
            caller, keywords, wants_block_id=True, wants_block_info=inner.wants_block_info
        ),
        operands=[(n, tuple(range(len(shape) - len(n.shape), len(shape)))) for n in read],
        labels=labels,
        borders=tuple(tuple((b.read_before, b.read_after) for b in own) for own in borders),
        tried=inner,
        least=_least(borders, len(shape)),
    )
    wanted = checked_dtype(call.probe(along).dtype() if dtype is None else dtype)
    extra = parse_bytes(extra_memory, what="extra_memory")
    extra += _copied_bytes(read, borders) + (
        _untrimmed_bytes(along, removed, wanted.itemsize) if trim else 0
    )
    call = replace(call, dtype=wanted, extra_bytes=extra)
    said = chunks if chunks is not None or trim else _untrimmed(along, removed)
    return Array(call.node(settled_lengths(along, said, call.probe(along))), spec)


def _for_each(given: Any, count: int, what: str) -> list[Any]:
    if not isinstance(given, list):
        return [given] * count
    if len(given) != count:
        raise OptionError(f"{what}={given!r} is a list of {len(given)} for {count} arrays")
    return given


def _borders(
    node: Node, shape: Shape, labels: Sequence[Any], depth: Any, boundary: Any
) -> tuple[AxisBorder, ...]:
    """Return the border of each axis of ``node``, which is broadcast to ``shape``."""
    ndim = len(node.shape)
    lead = len(shape) - ndim
    depths = [_pair(d) for d in _per_axis(depth, ndim, 0, "depth")]
    rules = _per_axis(boundary, ndim, "none", "boundary")
    found: list[AxisBorder] = []
    for p, (n, chunk, rule) in enumerate(zip(node.shape, node.chunks, rules, strict=True)):
        before, after = (0, 0) if n != shape[lead + p] else depths[p]
        settled = _boundary(rule, node)
        reach = max(before, after)
        most = {"reflect": n, "periodic": n, "nearest": reach if n else 0}
        if isinstance(settled, str) and reach > most.get(settled, reach):
            raise ValueError(
                f"depth {reach} along axis {p} is more than its {n} elements, for boundary {settled!r}"
            )
        axis = labels.index(lead + p) if lead + p in labels else None
        first, last = _outer_lengths(n, chunk)
        mirrored = settled == "reflect"
        found.append(
            AxisBorder(
                before=before,
                after=after,
                boundary=settled,
                length=n,
                chunk=chunk,
                axis=axis,
                read_before=max(before, after - last if mirrored else 0),
                read_after=max(after, before - first if mirrored else 0),
            )
        )
    return tuple(found)


def _outer_lengths(n: int, chunk: int) -> tuple[int, int]:
    """Return the lengths of the first and the last chunk along an axis."""
    if isinstance(chunk, Lengths):
        return chunk.each[0], chunk.each[-1]
    return chunk, n % chunk or min(chunk, n)


def _per_axis(given: Any, ndim: int, default: Any, what: str) -> list[Any]:
    if isinstance(given, Mapping):
        named = {build.normalized_axis(axis, ndim): value for axis, value in given.items()}
        return [named.get(axis, default) for axis in range(ndim)]
    if isinstance(given, tuple):
        if len(given) != ndim:
            raise OptionError(
                f"{what}={given!r} has {len(given)} entries for an array of {ndim} axes: give one for each axis"
            )
        return list(given)
    return [default if given is None else given] * ndim


def _pair(depth: Any) -> tuple[int, int]:
    number = as_whole_number(depth)
    pair = (number, number) if number is not None else integers(depth, "depth")
    if len(pair) != 2 or min(pair) < 0:
        raise OptionError(
            f"depth {depth!r} along an axis must be a number from 0, or a pair of those before and after"
        )
    return integer(pair[0], "depth"), integer(pair[1], "depth")


def _boundary(rule: Any, node: Node) -> Any:
    if rule is None:
        return "none"
    if isinstance(rule, str):
        if rule not in _BOUNDARIES:
            raise OptionError(f"boundary {rule!r} is none of {', '.join(_BOUNDARIES)}, or a value")
        return rule
    return as_element(rule, node.dtype, what="boundary")


def _of_result(
    borders: Sequence[tuple[AxisBorder, ...]], labels: Sequence[Any], ndim: int
) -> tuple[AxisBorder | None, ...]:
    """Return the border along each axis of the result: that of the first array with the most axes."""
    most = max(borders, key=len)
    lead = ndim - len(most)
    return tuple(
        most[label - lead] if isinstance(label, int) and label >= lead else None for label in labels
    )


def _periodic(node: Node, borders: tuple[AxisBorder, ...]) -> tuple[Node, tuple[AxisBorder, ...]]:
    """Return a view of ``node`` whose chunks have their borders along periodic axes of several chunks."""
    views = [AxisAccess.view(p, n) for p, n in enumerate(node.shape)]
    shape, chunks, found = list(node.shape), list(node.chunks), list(borders)
    for p, border in enumerate(borders):
        if border.boundary != "periodic" or node.shape[p] <= node.chunks[p]:
            continue
        if not (border.before or border.after):
            continue
        runs = _around_the_end(node.shape[p], node.chunks[p], border.before, border.after)
        views[p] = AxisAccess.taken(p, runs)
        shape[p] = len(runs)
        around = border.before + border.after
        each = each_length(node.shape[p], node.chunks[p])
        regular = not isinstance(node.chunks[p], Lengths)
        chunks[p] = (
            chunks[p] + around if regular else lengths_of(length + around for length in each)
        )
        found[p] = replace(border, complete=True, read_before=0, read_after=0)
    if found == list(borders):
        return node, borders
    return build.view("overlap", node, views, tuple(shape), tuple(chunks)), tuple(found)


def _around_the_end(n: int, chunk: int, before: int, after: int) -> Runs:
    """Return the elements of each chunk with its borders, where the other end is beyond each end."""
    begins, ends = _begins_and_ends(n, chunk)
    starts = begins - before
    ends = ends + after
    inside = np.flatnonzero((starts >= 0) & (ends <= n))
    low, high = (int(inside[0]), int(inside[-1]) + 1) if len(inside) else (0, 0)
    pieces = [_cut_at_the_end(starts[k], ends[k], n) for k in range(low)]
    pieces.append((starts[low:high], (ends - starts)[low:high]))
    pieces += [_cut_at_the_end(starts[k], ends[k], n) for k in range(high, len(begins))]
    all_starts, all_counts = zip(*pieces, strict=True)
    return Runs(np.concatenate(all_starts), np.concatenate(all_counts))


def _begins_and_ends(n: int, chunk: int) -> tuple[Any, Any]:
    """Return the first element of each chunk along an axis, and that after its last."""
    if isinstance(chunk, Lengths):
        ends = np.asarray(chunk.ends)
        return np.concatenate([[0], ends[:-1]]), ends
    begins = np.arange(0, n, chunk)
    return begins, np.minimum(begins + chunk, n)


def _cut_at_the_end(start: int, end: int, n: int) -> tuple[Any, Any]:
    """Return the runs of one chunk, cut where the axis begins again."""
    edges = np.arange(start // n + 1, -(-end // n)) * n
    cuts = np.concatenate([[start], edges, [end]])
    return cuts[:-1] % n, np.diff(cuts)


def _least(borders: Sequence[tuple[AxisBorder, ...]], ndim: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for own in borders:
        for p, border in enumerate(own, start=ndim - len(own)):
            found[p] = max(found.get(p, 1), 1 + border.before + border.after)
    return found


def _untrimmed(along: Sequence[Along], removed: Sequence[AxisBorder | None]) -> dict[int, Any]:
    """Return the lengths of the result's blocks where the borders stay."""
    found: dict[int, Any] = {}
    for axis, (each, border) in enumerate(zip(along, removed, strict=True)):
        if border is None or not (border.before or border.after):
            continue
        begins, ends = _begins_and_ends(each.length, each.chunk)
        before, after = np.full_like(begins, border.before), np.full_like(begins, border.after)
        if border.boundary == "none":
            before, after = np.minimum(before, begins), np.minimum(after, each.length - ends)
        found[axis] = tuple((ends - begins + before + after).tolist())
    return found


def _copied_bytes(nodes: Sequence[Node], borders: Sequence[tuple[AxisBorder, ...]]) -> int:
    """Return the size of the copies of blocks that get borders outside of the array."""
    total = 0
    for node, own in zip(nodes, borders, strict=True):
        padded = [
            b for b in own if b.boundary != "none" and not b.complete and (b.before or b.after)
        ]
        if padded:
            sides = zip(node.shape, node.chunks, own, strict=True)
            block = math.prod(min(n, c) + b.read_before + b.read_after for n, c, b in sides)
            total += 2 * block * node.dtype.itemsize
    return total


def _untrimmed_bytes(
    along: Sequence[Along], removed: Sequence[AxisBorder | None], itemsize: int
) -> int:
    sides = zip(along, removed, strict=True)
    return itemsize * math.prod(
        min(each.length, each.chunk) + (b.before + b.after if b else 0) for each, b in sides
    )
