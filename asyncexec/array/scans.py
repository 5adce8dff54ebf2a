"""Scans as nodes: what each element makes of those up to it, along an axis, in passes over chunks.

The totals of all chunks come first, then what lies before each chunk (a scan of these totals, by groups where they are
many), and last the scan of each chunk together with what lies before it. A chunk is read twice, and written once. That
is the three-phase scan of Blelloch, "Prefix Sums and Their Applications" (1990).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.nodes import Copy, DType, Node
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Index, Shape

type Slab = NDArray[Any]

MOST_TOTALS = 128
"""How many totals of chunks a task scans, where memory allows it."""

_SHARED_BYTES = 64 * 1024
"""The largest block of totals that tasks read whole to use one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFunctions:
    """The functions of a scan along ``axis``.

    Attributes
    ----------
    local : callable
        ``local(block, axis=axis)`` returns the scan of one chunk, with elements of ``dtype``.
    total : callable
        ``total(block, axis=axis)`` returns the last element of that, with length 1 along the axis.
    combine : callable
        ``combine(before, block)`` returns what a total before makes of scanned elements; it is associative.
    start : scalar
        Stands before the first chunk; it is combined with nothing.
    """

    local: Callable[..., Slab]
    total: Callable[..., Slab]
    combine: Callable[[Slab, Slab], Any]
    start: Any
    axis: int
    dtype: DType


@dataclass(frozen=True, slots=True)
class ScanBlock:
    """The function that scans a chunk, and combines it with what lies before."""

    functions: ScanFunctions
    result: DType

    def __call__(self, block: Slab, *before: Slab, block_id: Index) -> Slab:
        axis = self.functions.axis
        found = self.functions.local(block, axis=axis)
        if before and block_id[axis]:
            found = _as(self.functions.combine(before[0], found), self.functions.dtype)
        return _as(found, self.result)


@dataclass(frozen=True, slots=True)
class TotalOfBlock:
    """The function that returns the total of a chunk."""

    functions: ScanFunctions

    def __call__(self, block: Slab) -> Slab:
        return _as(self.functions.total(block, axis=self.functions.axis), self.functions.dtype)


@dataclass(frozen=True, slots=True)
class TotalOfTotals:
    """The function that returns the total of neighbouring totals."""

    functions: ScanFunctions

    def __call__(self, totals: Slab) -> Slab:
        parts = _slices(totals, self.functions.axis)
        found = parts[0]
        for part in parts[1:]:
            found = _as(self.functions.combine(found, part), self.functions.dtype)
        return found


@dataclass(frozen=True, slots=True)
class TotalsBefore:
    """The function that returns what lies before each of neighbouring chunks, of their totals."""

    functions: ScanFunctions

    def __call__(self, totals: Slab, *before: Slab, block_id: Index) -> Slab:
        axis = self.functions.axis
        found = np.empty(totals.shape, self.functions.dtype)
        places, parts = _slices(found, axis), _slices(totals, axis)
        first = not (before and block_id[axis])
        running = np.full(parts[0].shape, self.functions.start, found.dtype)
        if not first:
            running = before[0]
        for number, (place, part) in enumerate(zip(places, parts, strict=True)):
            place[...] = running
            fresh = first and number == 0
            running = part if fresh else _as(self.functions.combine(running, part), found.dtype)
        return found


def _slices(block: Slab, axis: int) -> list[Slab]:
    before = (slice(None),) * axis
    return [block[(*before, slice(k, k + 1))] for k in range(block.shape[axis])]


def _as(found: Any, dtype: DType) -> Slab:
    return np.asarray(found).astype(dtype, copy=False)


def scan_node(
    operation: str,
    functions: ScanFunctions,
    node: Node,
    result: DType,
    *,
    limit: int,
    working_bytes_each: int,
) -> Node:
    """Return the scan of ``node``, with elements of ``result``.

    ``limit`` is the size that blocks of totals aim at; ``working_bytes_each`` is what the scan of a chunk needs for
    each element, the result and one temporary of its size not counted.
    """
    axis = functions.axis
    extra = math.prod(node.chunks) * working_bytes_each
    inputs: tuple[Node, ...] = (node,)
    if node.shape[axis] > node.chunks[axis]:
        totals = _blocks(
            operation, TotalOfBlock(functions), (node,), axis, dtype=functions.dtype, extra=extra
        )
        inputs = (node, _before(operation, functions, totals, limit))
    call = ScanBlock(functions, result)
    return Blocks(
        operation=operation,
        call=call,
        keywords={},
        inputs=inputs,
        axes=(tuple(range(len(node.shape))),) * len(inputs),
        shape=node.shape,
        chunks=node.chunks,
        dtype=result,
        wants_block_id=True,
        extra_bytes=extra,
    )


def _blocks(
    operation: str,
    call: Callable[..., Any],
    inputs: tuple[Node, ...],
    axis: int,
    *,
    dtype: DType,
    extra: int,
) -> Node:
    """Return one element along ``axis`` for each chunk of the input."""
    node = inputs[0]
    count = -(-node.shape[axis] // node.chunks[axis])
    return Blocks(
        operation=operation,
        call=call,
        keywords={},
        inputs=inputs,
        axes=(tuple(range(len(node.shape))),),
        shape=_with(node.shape, axis, count),
        chunks=_with(node.chunks, axis, 1),
        dtype=dtype,
        extra_bytes=extra,
    )


def _before(operation: str, functions: ScanFunctions, totals: Node, limit: int) -> Node:
    """Return what lies before each chunk, in chunks of length 1; ``totals`` are chunked like that."""
    axis = functions.axis
    count = totals.shape[axis]
    row = math.prod(totals.chunks) * functions.dtype.itemsize
    width = min(count, MOST_TOTALS, max(2, limit // (2 * row)))
    grouped = build.with_chunks(totals, _with(totals.chunks, axis, width))
    inputs: tuple[Node, ...] = (grouped,)
    if width < count:
        above = _blocks(
            operation,
            TotalOfTotals(functions),
            (grouped,),
            axis,
            dtype=functions.dtype,
            extra=row,
        )
        inputs = (grouped, _before(operation, functions, above, limit))
    found = Blocks(
        operation=operation,
        call=TotalsBefore(functions),
        keywords={},
        inputs=inputs,
        axes=(tuple(range(len(totals.shape))),) * len(inputs),
        shape=totals.shape,
        chunks=grouped.chunks,
        dtype=functions.dtype,
        wants_block_id=True,
        extra_bytes=2 * row,
    )
    if width * row <= _SHARED_BYTES:
        same = [AxisAccess.view(a, n) for a, n in enumerate(totals.shape)]
        return build.view(operation, found, same, totals.shape, totals.chunks)
    return Copy(inputs=(found,), chunks=totals.chunks, block=grouped.chunks, operation=operation)


def _with(lengths: Shape, axis: int, length: int) -> Shape:
    return (*lengths[:axis], length, *lengths[axis + 1 :])
