"""Making nodes: shapes, element types and chunks are worked out, nothing is computed."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from asyncexec.array import basic_indexing, chunks as chunking
from asyncexec.array.chunks import POSITION_BYTES
from asyncexec.array.dtypes import checked_dtype, warn_of_discarded, with_length
from asyncexec.array.index_keys import checked_numbers, not_evaluated, parse_key
from asyncexec.array.integers import integer, integers
from asyncexec.array.kernels import convert
from asyncexec.array.nodes import (
    BLOCK,
    Concat,
    Creation,
    DType,
    Elementwise,
    Node,
    Rechunk,
    View,
)
from asyncexec.array.reducers import Reducer
from asyncexec.array.reductions import Reduction
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape

_MOST_NAMES = 8
# NumPy compares records by operators alone.
_OF_RECORDS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.equal: operator.eq,
    np.not_equal: operator.ne,
}


def apply_elementwise(
    operation: str,
    function: Callable[..., Any],
    operands: Sequence[Any],
    *,
    keywords: Mapping[str, Any] | None = None,
    dtype: DType | None = None,
    limit: int = chunking.PREFERRED_BYTES,
) -> Node:
    """Return the node of ``function`` of ``operands`` (nodes, and Python or NumPy scalars), after broadcasting.

    The element type is what NumPy makes of these types (Python scalars are weak), unless ``dtype`` says it.

    Raises
    ------
    ValueError
        If the shapes do not broadcast.
    TypeError
        If the function does not take these element types.
    """
    keywords = keywords or {}
    nodes = [o for o in operands if is_node(o)]
    if any(node.dtype.kind == "V" for node in nodes):
        function = _OF_RECORDS.get(function, function)
    shape = chunking.broadcast_shapes(*(node.shape for node in nodes))
    if dtype is None:
        dtype = result_dtype(function, operands, keywords)
    known = [(node.shape, node.chunks, node.dtype.itemsize) for node in nodes]
    chunks = chunking.unify_chunks(shape, known, dtype.itemsize, limit=limit)
    return Elementwise(
        operation=operation,
        apply=function,
        arguments=tuple(BLOCK if is_node(o) else o for o in operands),
        inputs=tuple(aligned(node, shape, chunks) for node in nodes),
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        keywords=keywords,
    )


def is_node(value: Any) -> bool:
    """Return True for a node, False for a constant."""
    return hasattr(value, "accesses")


def result_dtype(
    function: Callable[..., Any], operands: Sequence[Any], keywords: Mapping[str, Any]
) -> DType:
    """Return the element type of ``function`` of ``operands``, by trying it on arrays without elements."""
    tried = [np.empty((0,), o.dtype) if is_node(o) else o for o in operands]
    with np.errstate(all="ignore"):
        return np.dtype(np.asarray(function(*tried, **keywords)).dtype)


def aligned(node: Node, shape: Shape, chunks: Shape) -> Node:
    """Return ``node``, rechunked where an operation over ``shape`` in ``chunks`` reads its axes in other chunks."""
    lead = len(shape) - len(node.shape)
    wanted = tuple(
        own if n == 1 or n != shape[lead + axis] else chunks[lead + axis]
        for axis, (n, own) in enumerate(zip(node.shape, node.chunks, strict=True))
    )
    return with_chunks(node, wanted)


def with_chunks(node: Node, chunks: Shape) -> Node:
    """Return ``node`` in other chunks."""
    wanted = chunking.clipped(chunks, node.shape)
    return node if wanted == node.chunks else Rechunk(inputs=(node,), chunks=wanted)


def in_regular_chunks(node: Node) -> Node:
    """Return ``node`` in chunks of one length along each axis, as functions take it that count chunks by their length.

    Where lengths differ, that is the longest of them; whoever needs it reads windows of what is there.
    """
    if chunking.is_regular(node.chunks):
        return node
    same = [AxisAccess.view(axis, n) for axis, n in enumerate(node.shape)]
    return view("rechunk", node, same, node.shape, tuple(int(c) for c in node.chunks))


def view(
    operation: str, node: Node, axes: Sequence[AxisAccess], shape: Shape, chunks: Shape
) -> Node:
    """Return a view of ``node``; views of views become one."""
    views = tuple(axes)
    if isinstance(node, View):
        views = _composed(node.axes, views)
        operation = _both(node.operation, operation)
        node = node.inputs[0]
    return View(
        operation=operation,
        inputs=(node,),
        axes=views,
        shape=shape,
        chunks=chunking.clipped(chunks, shape),
        dtype=node.dtype,
    )


def _both(inner: str, outer: str) -> str:
    """Return the name of a view of a view; a long one has each operation once, however many there are of them."""
    names = inner.split("+")
    if outer == inner or (len(names) >= _MOST_NAMES and outer in names):
        return inner
    return f"{inner}+{outer}"


def _composed(inner: Sequence[AxisAccess], outer: tuple[AxisAccess, ...]) -> tuple[AxisAccess, ...]:
    """Return what a view by ``outer`` of a view by ``inner`` shows."""
    found = AccessMap(outer).through(inner)
    if found is None:
        raise AssertionError("views of views are views")
    return found.axes


def index(node: Node, key: Any, *, limit: int = chunking.PREFERRED_BYTES) -> Node:
    """Return ``node[key]``, for integers, slices, ``...``, ``None``, and an array of integers along one axis."""
    parsed = parse_key(key, node.shape, not_evaluated)
    found = shown(node, parsed.basic)
    for axis, numbers in parsed.arrays.items():
        found = take_positions(found, numbers, axis, limit=limit, operation="getitem")
    return found


def shown(node: Node, basic: Sequence[Any]) -> Node:
    """Return what a basic key shows: one integer from 0 or slice for each axis, and None for each new one."""
    part = basic_indexing.shown_by(basic, node.shape)
    same = tuple(AxisAccess.view(axis, n) for axis, n in enumerate(node.shape))
    if part.shape == node.shape and part.axes == same:
        return node
    slices = [part for part in basic if part is not None]
    chunks = tuple(
        1
        if origin is None
        else chunking.lengths_shown(
            node.chunks[origin],
            node.shape[origin],
            range(*slices[origin].indices(node.shape[origin])),
        )
        for origin in part.origins
    )
    return view("getitem", node, part.axes, part.shape, chunks)


def take_positions(
    node: Node, indices: Any, axis: int, *, limit: int, operation: str = "take"
) -> Node:
    """Return the elements of ``node`` at ``indices`` (one-dimensional) along ``axis``.

    Raises
    ------
    IndexError
        If one is out of range.
    """
    numbers = checked_numbers(np.asarray(indices), node.shape[axis], axis)
    views = [
        AxisAccess.taken(axis, basic_indexing.listing_of(numbers))
        if p == axis
        else AxisAccess.view(p, n)
        for p, n in enumerate(node.shape)
    ]
    shape = (*node.shape[:axis], len(numbers), *node.shape[axis + 1 :])
    chunks = cut_anew(node.chunks, axis, shape, node.dtype.itemsize, limit)
    return view(
        operation, node, views, shape, chunks if shape[axis] > node.shape[axis] else node.chunks
    )


def cut_anew(chunks: Shape, axis: int, shape: Shape, itemsize: int, limit: int) -> Shape:
    """Return ``chunks`` with longer ones along ``axis``, which has become longer: a small table is one short chunk.

    A block of them, and its share of the list of positions, takes no more than ``limit`` bytes.
    """
    row = math.prod(c for a, c in enumerate(chunking.clipped(chunks, shape)) if a != axis)
    length = limit // (row * itemsize + POSITION_BYTES)
    return (*chunks[:axis], max(chunks[axis], length), *chunks[axis + 1 :])


def permute(node: Node, axes: Sequence[int], operation: str = "permute_dims") -> Node:
    """Return ``node`` with its axes in the order ``axes``."""
    places = {old: new for new, old in enumerate(axes)}
    views = [AxisAccess.view(places[axis], n) for axis, n in enumerate(node.shape)]
    shape = tuple(node.shape[a] for a in axes)
    return view(operation, node, views, shape, tuple(node.chunks[a] for a in axes))


def broadcast(
    node: Node, shape: Shape, chunks: Shape | None = None, *, limit: int = chunking.PREFERRED_BYTES
) -> Node:
    """Return ``node`` repeated to ``shape``; new and repeated axes have ``chunks``, by default of ``limit`` bytes.

    Raises
    ------
    ValueError
        If it cannot be.
    """
    if chunking.broadcast_shapes(node.shape, shape) != shape:
        raise ValueError(f"an array of shape {node.shape} cannot be broadcast to {shape}")
    if node.shape == shape:
        return node
    lead = len(shape) - len(node.shape)
    views: list[AxisAccess] = []
    wanted: list[Any] = ["auto"] * len(shape) if chunks is None else list(chunks)
    for axis, n in enumerate(node.shape):
        if n == shape[lead + axis]:
            views.append(AxisAccess.view(lead + axis, n))
            wanted[lead + axis] = node.chunks[axis]
        else:
            views.append(AxisAccess.constant(0, 1))
    settled = chunking.normalize_chunks(tuple(wanted), shape, node.dtype.itemsize, limit=limit)
    return view("broadcast_to", node, views, shape, settled)


def insert_axis(node: Node, axis: int) -> Node:
    """Return ``node`` with a new axis of length 1 at ``axis`` (of the result)."""
    views = [AxisAccess.view(p + (p >= axis), n) for p, n in enumerate(node.shape)]
    shape = (*node.shape[:axis], 1, *node.shape[axis:])
    return view("expand_dims", node, views, shape, (*node.chunks[:axis], 1, *node.chunks[axis:]))


def drop_axes(node: Node, axes: Sequence[int]) -> Node:
    """Return ``node`` without ``axes``, which have length 1."""
    kept = [p for p in range(len(node.shape)) if p not in axes]
    places = {p: new for new, p in enumerate(kept)}
    views = [
        AxisAccess.view(places[p], n) if p in places else AxisAccess.constant(0, 1)
        for p, n in enumerate(node.shape)
    ]
    shape = tuple(node.shape[p] for p in kept)
    return view("squeeze", node, views, shape, tuple(node.chunks[p] for p in kept))


def concatenate(
    nodes: Sequence[Node],
    axis: int,
    dtype: DType,
    operation: str = "concat",
    *,
    as_they_lie: bool = False,
) -> Node:
    """Return ``nodes`` one after another along ``axis``; their other axes are equal.

    Chunks are those of the largest, or ``as_they_lie`` those of each along ``axis``.
    """
    lengths = [node.shape[axis] for node in nodes]
    begins = tuple(sum(lengths[:k]) for k in range(len(lengths)))
    first = nodes[0].shape
    shape = (*first[:axis], sum(lengths), *first[axis + 1 :])
    largest = max(nodes, key=lambda node: int(np.prod(node.shape, dtype=np.int64)))
    chunks = chunking.clipped(largest.chunks, shape)
    if as_they_lie:
        along = [(node.shape[axis], node.chunks[axis]) for node in nodes]
        own = chunking.one_after_another(along, otherwise=chunks[axis])
        chunks = (*chunks[:axis], own, *chunks[axis + 1 :])
    return Concat(
        operation=operation,
        inputs=tuple(_aligned_part(node, chunks, axis) for node in nodes),
        axis=axis,
        begins=begins,
        shape=shape,
        chunks=chunks,
        dtype=dtype,
    )


def _aligned_part(node: Node, chunks: Shape, axis: int) -> Node:
    # Along the axis itself parts are read in windows anyway.
    wanted = tuple(node.chunks[a] if a == axis else c for a, c in enumerate(chunks))
    return with_chunks(node, wanted)


def creation(
    operation: str,
    make: Callable[[tuple[Any, ...]], Any],
    shape: Shape,
    chunks: Any,
    dtype: DType,
    *,
    aliases: bool = False,
    limit: int = chunking.PREFERRED_BYTES,
) -> Node:
    """Return an array that ``make`` makes of element numbers."""
    settled = chunking.normalize_chunks(chunks, shape, dtype.itemsize, limit=limit)
    return Creation(
        operation=operation,
        make=make,
        shape=shape,
        chunks=settled,
        dtype=dtype,
        aliases=aliases,
    )


def cast(node: Node, dtype: DType) -> Node:
    """Return ``node`` with elements of ``dtype``."""
    wanted = checked_dtype(with_length(node.dtype, dtype), what="the result")
    if wanted == node.dtype:
        return node
    if "V" in (node.dtype.kind, wanted.kind):
        # What NumPy makes no such records of, or of records, is refused now.
        np.empty(0, node.dtype).astype(wanted)
    warn_of_discarded(node.dtype, wanted)
    return apply_elementwise("astype", convert, (node,), keywords={"dtype": wanted}, dtype=wanted)


def reduce(
    operation: str,
    reducer: Reducer,
    node: Node,
    axes: Sequence[int],
    *,
    keepdims: bool,
    split_every: int | None = None,
    last_reducer: Reducer | None = None,
) -> Node:
    """Return the reduction of ``node`` along ``axes``; without any axis, each element by itself."""
    found: Node = Reduction(
        operation=operation,
        reducer=reducer,
        inputs=(node,),
        axes=tuple(sorted(axes)),
        split_every=split_every,
        last_reducer=last_reducer,
    )
    return found if keepdims or not axes else drop_axes(found, axes)


def normalized_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Return ``axis`` (one, several, or None for all) as numbers from 0, in the order given.

    Raises
    ------
    numpy.exceptions.AxisError
        If one is out of range (an IndexError and a ValueError).
    ValueError
        If one is repeated.
    TypeError
        If one is no integer.
    """
    if axis is None:
        return tuple(range(ndim))
    given = integers(axis, "axis")
    for a in given:
        if not -ndim <= a < ndim:
            raise np.exceptions.AxisError(a, ndim)
    found = tuple(a % ndim for a in given)
    if len(set(found)) != len(found):
        raise ValueError(f"axes {given} name an axis twice")
    return found


def normalized_axis(axis: int, ndim: int) -> int:
    """Return the one axis ``axis`` as a number from 0; errors are those of :func:`normalized_axes`."""
    (found,) = normalized_axes(integer(axis, "axis"), ndim)
    return found
