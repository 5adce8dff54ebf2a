"""Grouped reductions as nodes: partial results of chunks, merging of all or by cohorts, and groups that are whole."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks, SeveralOfBlocks
from asyncexec.array.chunks import grid
from asyncexec.array.cohorts import Cohorts
from asyncexec.array.grouped_kernels import MergeGroups, MergePasses, StartGroups
from asyncexec.array.grouped_reducers import GroupedReducer
from asyncexec.array.nodes import Node
from asyncexec.array.operands import own_source
from asyncexec.array.outputs import ArrayOutput, outputs_of
from asyncexec.array.reductions import Reduction
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import of_blocks
from asyncexec.plan.box import Shape
from asyncexec.plan.positions import Positions

_CODING_BYTES = 48
"""What sorting the label of an element by its group takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An array, the labels of its elements along ``axes`` (ascending), and the numbers of the elements there.

    Labels and numbers have the array's chunks along these axes.
    """

    operation: str
    node: Node
    labels: Node
    numbers: Node
    axes: tuple[int, ...]

    @property
    def kept(self) -> tuple[int, ...]:
        """The axes that stay."""
        return tuple(a for a in range(len(self.node.shape)) if a not in self.axes)

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The arrays that tasks read."""
        return (self.node, self.labels, self.numbers)

    def extra_bytes(self, reducer: GroupedReducer) -> int:
        """Return what a task needs to reduce a chunk, results not counted."""
        elements = math.prod(self.node.chunks)
        each = self.node.dtype.itemsize + reducer.working_bytes_each
        return elements * each + _CODING_BYTES * math.prod(self.labels.chunks)


def partial_nodes(labelled: Labelled, start: StartGroups) -> tuple[Node, ...]:
    """Return the partial results of each chunk: one element for it along the axes of labels, and groups last."""
    node, size = labelled.node, abs(start.size)
    counts = grid(node.shape, node.chunks)
    shape = tuple(counts[a] if a in labelled.axes else n for a, n in enumerate(node.shape))
    chunks = tuple(1 if a in labelled.axes else c for a, c in enumerate(node.chunks))
    maker = SeveralOfBlocks(
        operation=labelled.operation,
        call=start,
        inputs=labelled.inputs,
        axes=(tuple(range(len(shape))), labelled.axes, labelled.axes),
        outputs=_partial_outputs(start.reducer, shape, chunks, size),
        shape=shape,
        chunks=chunks,
        extra_bytes=labelled.extra_bytes(start.reducer),
    )
    return outputs_of(maker)


def _partial_outputs(
    reducer: GroupedReducer, shape: Shape, chunks: Shape, size: int
) -> tuple[ArrayOutput, ...]:
    """Return the arrays of partial results, which have one block along the axis of groups."""
    full, block = (*shape, size), (*chunks, size)
    access = of_blocks(full, block)
    return tuple(
        ArrayOutput(shape=full, chunks=block, dtype=dtype, access=access)
        for dtype in reducer.partial_dtypes
    )


def all_merged(labelled: Labelled, start: StartGroups, *, split_every: int | None) -> Node:
    """Return the result by a tree in which partial results have all groups."""
    found = Reduction(
        operation=labelled.operation,
        reducer=MergePasses(start.reducer),
        inputs=partial_nodes(labelled, start),
        axes=labelled.axes,
        split_every=split_every,
        started=True,
    )
    return build.drop_axes(found, labelled.axes)


def whole_groups(labelled: Labelled, start: StartGroups) -> Node:
    """Return the results of groups that are whole in their chunk, chunk after chunk, ``start.size`` of each."""
    node, size = labelled.node, abs(start.size)
    counts = grid(node.shape, node.chunks)
    several = [a for a in labelled.axes if counts[a] > 1]
    blocks = counts[several[0]] if several else 1
    last = len(labelled.kept)
    places: dict[int, int | None] = {a: k for k, a in enumerate(labelled.kept)}
    places |= {a: last if a in several else None for a in labelled.axes}
    along = tuple(places[a] for a in labelled.axes)
    chunks = (*(node.chunks[a] for a in labelled.kept), size)
    dtype = start.reducer.result_dtype
    return Blocks(
        operation=labelled.operation,
        call=start,
        keywords={},
        inputs=labelled.inputs,
        axes=(tuple(places[a] for a in range(len(node.shape))), along, along),
        shape=(*(node.shape[a] for a in labelled.kept), blocks * size),
        chunks=chunks,
        dtype=dtype,
        extra_bytes=labelled.extra_bytes(start.reducer) + math.prod(chunks) * dtype.itemsize,
    )


def cohorts_merged(
    operation: str,
    reducer: GroupedReducer,
    parts: Sequence[Node],
    cohorts: Cohorts,
    *,
    axis: int,
) -> Node:
    """Return the result of partial results with local places, merged cohort by cohort along ``axis``, groups last."""
    groups, widths = len(cohorts.order), cohorts.widths
    gathered = tuple(_gathered(part, axis, cohorts.chunks, widths[0]) for part in parts)
    most = cohorts.places.shape[1]
    places = own_source(cohorts.places, (widths[0], most))
    merge = MergeGroups(reducer, axis, cohorts.size, groups=groups)
    inputs = (*gathered, places)
    for width in widths[1:]:
        inputs = tuple(
            build.with_chunks(part, _with(part.chunks, axis, width))
            for part in _merged_once(operation, merge, inputs, cohorts.size)
        )
        merge = replace(merge, size=None)
    return _finished(operation, merge, inputs, cohorts.size)


def _gathered(part: Node, axis: int, chunks: Any, width: int) -> Node:
    views = [
        AxisAccess.taken(axis, Positions(chunks)) if a == axis else AxisAccess.view(a, n)
        for a, n in enumerate(part.shape)
    ]
    shape = _with(part.shape, axis, len(chunks))
    return build.view("cohorts", part, views, shape, _with(part.chunks, axis, width))


def _merged_once(
    operation: str, merge: MergeGroups, inputs: tuple[Node, ...], size: int
) -> tuple[Node, ...]:
    """Return partial results with the places of their cohort, merged as they lie in chunks along the axis."""
    part, axis = inputs[0], merge.axis
    lead = tuple(range(len(part.shape) - 1))
    count = grid(part.shape, part.chunks)[axis]
    shape = _with(part.shape[:-1], axis, count)
    chunks = _with(part.chunks[:-1], axis, 1)
    maker = SeveralOfBlocks(
        operation=operation,
        call=merge,
        inputs=inputs,
        axes=_followed(inputs, merge, (*lead, None), axis),
        outputs=_partial_outputs(merge.reducer, shape, chunks, size),
        shape=shape,
        chunks=chunks,
        extra_bytes=_merging_bytes(inputs, merge, size),
    )
    return outputs_of(maker)


def _finished(operation: str, merge: MergeGroups, inputs: tuple[Node, ...], size: int) -> Node:
    part, axis = inputs[0], merge.axis
    kept = [a for a in range(len(part.shape) - 1) if a != axis]
    last = len(kept)
    places = {a: k for k, a in enumerate(kept)} | {axis: last}
    own = (*(places[a] for a in range(len(part.shape) - 1)), None)
    chunks = (*(part.chunks[a] for a in kept), size)
    return Blocks(
        operation=operation,
        call=replace(merge, finishes=True),
        keywords={},
        inputs=inputs,
        axes=_followed(inputs, merge, own, last),
        shape=(*(part.shape[a] for a in kept), merge.groups),
        chunks=chunks,
        dtype=merge.reducer.result_dtype,
        wants_block_id=True,
        extra_bytes=_merging_bytes(inputs, merge, size),
    )


def _followed(
    inputs: Sequence[Node], merge: MergeGroups, own: tuple[int | None, ...], place: int
) -> tuple[tuple[int | None, ...], ...]:
    parts = len(merge.reducer.partial_dtypes)
    return ((own,) * parts) + (((place, None),) if len(inputs) > parts else ())


def _merging_bytes(inputs: Sequence[Node], merge: MergeGroups, size: int) -> int:
    """Return what merging needs: partial results in the places of the cohort, and a few results."""
    part = inputs[0]
    slots = math.prod(part.chunks[:-1])
    each = sum(dtype.itemsize for dtype in merge.reducer.partial_dtypes)
    return (2 if merge.size is None else 3) * slots * size * each


def _with(lengths: Shape, axis: int, length: int) -> Shape:
    return (*lengths[:axis], length, *lengths[axis + 1 :])


def groups_in_order(node: Node, places: Any, length: int) -> Node:
    """Return ``node`` with what stands at ``places`` of its last axis, ``length`` of them in chunks as they are."""
    axis = len(node.shape) - 1
    if np.array_equal(places, np.arange(length)):
        if length == node.shape[axis]:
            return node
        return build.index(node, (..., slice(0, length)))
    views = [
        AxisAccess.taken(axis, Positions(places)) if a == axis else AxisAccess.view(a, n)
        for a, n in enumerate(node.shape)
    ]
    shape = _with(node.shape, axis, length)
    return build.view("groups", node, views, shape, node.chunks)


def fewer_kept(node: Node, axes: tuple[int, ...], bytes_each: int, most_bytes: int) -> Node:
    """Return ``node`` in chunks that are shorter along the axes that stay, so that ``bytes_each`` of them fit."""
    chunks = list(node.chunks)
    kept = [a for a in range(len(chunks)) if a not in axes]
    while kept and math.prod(chunks[a] for a in kept) * bytes_each > most_bytes:
        longest = max(kept, key=lambda a: chunks[a])
        if chunks[longest] == 1:
            break
        chunks[longest] = -(-chunks[longest] // 2)
    return build.with_chunks(node, tuple(chunks))


def partial_bytes(reducer: GroupedReducer) -> int:
    """Return the size of a partial result of one group."""
    return sum(dtype.itemsize for dtype in reducer.partial_dtypes)
