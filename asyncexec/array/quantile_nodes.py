"""Quantiles along axes as nodes: of whole lines, or of sorted ones from which a few elements are picked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.chunks import clipped, grid
from asyncexec.array.generators import Full
from asyncexec.array.merge_networks import sortable_bytes, whole_along
from asyncexec.array.nodes import DType, Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.ordering import NUMBERS, sorted_values
from asyncexec.array.quantile_kernels import CombinePicked, PickPlaces, Quantiles
from asyncexec.array.reducers import Accumulate
from asyncexec.array.reshaping import reshaped
from asyncexec.array.spec import Spec


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedQuantiles:
    """The quantiles that are wanted; see :class:`~asyncexec.array.quantile_kernels.Quantiles`."""

    operation: str
    method: str
    q: NDArray[Any]
    weak: bool
    dtype: DType
    without_nan: bool


def quantile_node(node: Node, axes: Sequence[int], wanted: WantedQuantiles, spec: Spec) -> Node:
    """Return quantiles along ``axes`` (one or more), which the result lacks; its first axis is that of quantiles."""
    # Lines are copied: once for their elements to lie side by side, once to be sorted.
    whole = whole_along(node, axes, node.dtype.itemsize, sortable_bytes(spec))
    if whole is not None:
        return _of_whole_lines(build.with_chunks(node, whole), tuple(axes), wanted)
    others = [a for a in range(len(node.shape)) if a not in axes]
    shape = tuple(node.shape[a] for a in others)
    turned = build.permute(node, (*others, *axes))
    extent = math.prod(node.shape[a] for a in axes)
    lines = reshaped(turned, (*shape, extent), limit=chunk_limit(spec), operation=wanted.operation)
    ordered = sorted_values(lines, len(shape), spec, wanted.operation)
    return _of_sorted_lines(ordered, wanted)


def _of_whole_lines(node: Node, axes: tuple[int, ...], wanted: WantedQuantiles) -> Node:
    others = [a for a in range(len(node.shape)) if a not in axes]
    count = len(wanted.q)
    block = math.prod(clipped(node.chunks, node.shape)) * max(node.dtype.itemsize, 8)
    return Blocks(
        operation=wanted.operation,
        call=Quantiles(
            wanted.method, wanted.q, wanted.weak, axes, wanted.dtype, wanted.without_nan
        ),
        keywords={},
        inputs=(node,),
        axes=(tuple(None if a in axes else others.index(a) + 1 for a in range(len(node.shape))),),
        shape=(count, *(node.shape[a] for a in others)),
        chunks=(max(count, 1), *(node.chunks[a] for a in others)),
        dtype=wanted.dtype,
        extra_bytes=2 * block + 4 * 16 * count * math.prod(node.chunks[a] for a in others),
    )


def _of_sorted_lines(node: Node, wanted: WantedQuantiles) -> Node:
    """Return quantiles of ``node``, which is sorted along its last axis."""
    axis = len(node.shape) - 1
    extent, length, others = node.shape[axis], node.chunks[axis], tuple(range(axis))
    counts = _counts(node, axis, wanted.operation)
    times = node.dtype if node.dtype.kind in "mM" else None
    if times is not None:
        # What chunks pick is added up, as which there is no time.
        node = build.apply_elementwise(wanted.operation, _as_numbers, (node,), dtype=NUMBERS)
    blocks = grid(node.shape, node.chunks)[axis]
    picked: Node = Blocks(
        operation=wanted.operation,
        call=PickPlaces(wanted.method, wanted.q, length),
        keywords={},
        inputs=(node, counts),
        axes=((*(a + 1 for a in others), axis + 1), (*(a + 1 for a in others), None)),
        shape=(2 * len(wanted.q), *node.shape[:axis], blocks),
        chunks=(max(2 * len(wanted.q), 1), *node.chunks[:axis], 1),
        dtype=node.dtype,
        wants_block_id=True,
        extra_bytes=12 * 8 * len(wanted.q) * math.prod(node.chunks[:axis]),
    )
    ufunc = np.logical_or if node.dtype.kind == "b" else np.add
    reducer = Accumulate(ufunc, node.dtype, node.dtype)
    picked = build.reduce(wanted.operation, reducer, picked, (axis + 1,), keepdims=False)
    return Blocks(
        operation=wanted.operation,
        call=CombinePicked(
            wanted.method, wanted.q, extent, wanted.dtype, wanted.without_nan, times
        ),
        keywords={},
        inputs=(picked, counts),
        axes=((None, *(a + 1 for a in others)), (*(a + 1 for a in others), None)),
        shape=(len(wanted.q), *node.shape[:axis]),
        chunks=(max(len(wanted.q), 1), *node.chunks[:axis]),
        dtype=wanted.dtype,
        extra_bytes=6 * 16 * len(wanted.q) * math.prod(node.chunks[:axis]),
    )


def _counts(node: Node, axis: int, operation: str) -> Node:
    """Return how many elements of each line are numbers, the axis with length 1."""
    if node.dtype.kind not in "fcmM":
        shape = (*node.shape[:axis], 1)
        full = Full(node.shape[axis], NUMBERS)
        return build.creation(
            operation, full, shape, (*node.chunks[:axis], 1), NUMBERS, aliases=True
        )
    numbers = build.apply_elementwise(operation, _is_number, (node,), dtype=np.dtype(np.bool_))
    reducer = Accumulate(np.add, NUMBERS, NUMBERS)
    return build.reduce(operation, reducer, numbers, (axis,), keepdims=True)


def _as_numbers(block: Any) -> Any:
    return block.view(np.int64)


def _is_number(block: Any) -> Any:
    return ~np.isnan(block)
