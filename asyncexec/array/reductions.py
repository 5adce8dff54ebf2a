"""Reductions as nodes: the reduction itself, and the passes of the tree that it becomes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from asyncexec.array.chunks import grid
from asyncexec.array.kernels import BlockFunction, ReduceBlocks
from asyncexec.array.nodes import DType, Node
from asyncexec.array.outputs import ArrayOutput, outputs_of
from asyncexec.array.reducers import Reducer
from asyncexec.array.streamed_reductions import (
    LARGE_BYTES,
    REDUCTION_TASKS,
    StreamedReduction,
    piece_lengths,
)
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape
from asyncexec.plan.lengths import count_blocks, grouped_lengths

SPLIT_EVERY = 8
"""How many partial results a task merges, where memory allows it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Reduction:
    """A reduction along ``axes`` (which stay, with length 1); lowering makes passes of it.

    The last pass is that of ``last_reducer``, if that is given: it takes the same partial results. One that is
    ``started`` has partial results for inputs, in chunks of length 1 along ``axes``, of numbers that do not matter.
    """

    operation: str
    reducer: Reducer
    inputs: tuple[Node, ...]
    axes: tuple[int, ...]
    split_every: int | None = None
    last_reducer: Reducer | None = None
    started: bool = False
    shape: Shape = field(init=False)
    chunks: Shape = field(init=False)
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        # Kept here, because looking them up through a long row of inputs would recurse.
        object.__setattr__(self, "shape", _ones(self.inputs[0].shape, self.axes))
        object.__setattr__(self, "chunks", _ones(self.inputs[0].chunks, self.axes))

    @property
    def dtype(self) -> DType:
        return (self.last_reducer or self.reducer).result_dtype

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        raise AssertionError("a reduction is computed in passes")

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return False

    def function(self, out: AccessMap) -> BlockFunction:
        raise AssertionError("a reduction is computed in passes")

    def working_bytes(self, out: AccessMap) -> int:
        return 0


def _ones(lengths: Shape, axes: Sequence[int]) -> Shape:
    return tuple(1 if a in axes else n for a, n in enumerate(lengths))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class PartialReduction:
    """One pass of the tree of a reduction: groups of ``widths`` elements of the input become one.

    Attributes
    ----------
    axes, widths : tuple of int
        The reduced axes, and how many elements of the input each takes together (of each group, where they differ).
    units : tuple of int
        How many elements of the array that is reduced one element of the input stands for.
    extents : tuple of int
        Lengths of the reduced axes of that array.
    first, last : bool
        Whether it starts from elements, and whether it finishes.
    shape, chunks, dtype, outputs
        Of what it makes; they follow from the others. Where partial results are several arrays, those are its outputs,
        and the dtype is that of the first.
    """

    operation: str
    reducer: Reducer
    inputs: tuple[Node, ...]
    axes: tuple[int, ...]
    widths: tuple[int, ...]
    units: tuple[int, ...]
    extents: tuple[int, ...]
    first: bool
    last: bool
    shape: Shape = field(init=False)
    chunks: Shape = field(init=False)
    dtype: DType = field(init=False)
    outputs: tuple[ArrayOutput, ...] = field(init=False)
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        # Asked for at every step of lowering, and always the same.
        lengths = list(self.inputs[0].shape)
        for axis, width in zip(self.axes, self.widths, strict=True):
            lengths[axis] = max(1, count_blocks(lengths[axis], width))
        partial_dtypes = self.reducer.partial_dtypes
        made = (self.reducer.result_dtype,) if self.last else partial_dtypes
        shape, chunks = tuple(lengths), _ones(self.inputs[0].chunks, self.axes)
        set_once = partial(object.__setattr__, self)
        set_once("shape", shape)
        set_once("chunks", chunks)
        set_once("dtype", made[0])
        outputs = (ArrayOutput(shape=shape, chunks=chunks, dtype=dtype) for dtype in made)
        set_once("outputs", tuple(outputs))

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        return (self._access(out),) * len(self.inputs)

    def _access(self, out: AccessMap) -> AccessMap:
        axes = list(out.axes)
        lengths, groups = self.inputs[0].shape, self.shape
        for axis, width in zip(self.axes, self.widths, strict=True):
            group = out.axes[axis].block_number(1, groups[axis])
            axes[axis] = group.grouped(width, lengths[axis])
        return AccessMap(tuple(axes), out.guards)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        groups = self.shape
        whole = all(out.axes[axis].blocks(1, groups[axis]) is not None for axis in self.axes)
        return self.last and whole and out.once(grid)

    def function(self, out: AccessMap) -> BlockFunction:
        return ReduceBlocks(
            reducer=self.reducer,
            axes=self.axes,
            units=self.units,
            extents=self.extents,
            first=self.first,
            last=self.last,
            access=self._access(out),
        )

    def working_bytes(self, out: AccessMap) -> int:
        elements = math.prod(self._access(out).most)
        if self.first:
            return self.reducer.working_bytes(elements)
        # Merging makes a few arrays of the size of what is merged.
        return 2 * elements * sum(dtype.itemsize for dtype in self.reducer.partial_dtypes)


def reduction_tree(
    reduction: Reduction,
    inputs: tuple[Node, ...],
    most_bytes: int | None = None,
    *,
    tasks: int = REDUCTION_TASKS,
) -> Node:
    """Return the last of the passes that ``reduction`` of ``inputs`` becomes.

    A task of the first takes a chunk, or several one after another where there are more chunks than ``tasks``; the
    others merge ``split_every`` partial results, fewer where ``most_bytes`` does not hold as many.
    """
    axes, of = reduction.axes, inputs[0]
    lengths = tuple(of.shape[a] for a in axes)
    units = (1,) * len(axes)
    last_reducer = reduction.last_reducer or reduction.reducer
    if not reduction.started:
        counts = grid(of.shape, of.chunks)
        single = all(counts[a] <= 1 for a in axes)
        first = PartialReduction(
            operation=reduction.operation,
            reducer=last_reducer if single else reduction.reducer,
            inputs=inputs,
            axes=axes,
            widths=tuple(of.chunks[a] for a in axes),
            units=units,
            extents=lengths,
            first=True,
            last=single,
        )
        if single:
            return first
        inputs, units = _made_by(first), first.widths
    partials = _Partials(inputs, axes, units, lengths, reduction.operation, reduction.reducer)
    return _merged(
        partials,
        last_reducer,
        split_every=reduction.split_every,
        most_bytes=most_bytes,
        tasks=tasks,
    )


@dataclass(frozen=True, slots=True)
class _Partials:
    """Partial results to be merged, each of which stands for ``units`` elements, of ``extents`` in all."""

    inputs: tuple[Node, ...]
    axes: tuple[int, ...]
    units: tuple[int, ...]
    extents: tuple[int, ...]
    operation: str
    reducer: Reducer


def _merged(
    partials: _Partials,
    last_reducer: Reducer,
    *,
    split_every: int | None,
    most_bytes: int | None,
    tasks: int,
) -> Node:
    """Return the last of the passes that merge partial results, the first of which may compute them one by one."""
    inputs, units, axes = partials.inputs, partials.units, partials.axes
    counts = grid(inputs[0].shape, inputs[0].chunks)
    kept = math.prod(n for a, n in enumerate(counts) if a not in axes)
    widths = piece_lengths([counts[a] for a in axes], kept, tasks)
    computes = any(width > 1 for width in widths)
    large = _one_of(inputs) >= LARGE_BYTES
    while True:
        groups = tuple(inputs[0].shape[a] for a in axes)
        if not computes:
            widths = _widths(inputs, axes, split_every, None if large else most_bytes)
        last = all(n <= w for n, w in zip(groups, widths, strict=True))
        reducer = last_reducer if last else None
        step = (
            _streamed(partials, inputs, widths, units, reducer, computes=computes)
            if computes or large
            else _at_once(partials, inputs, widths, units, reducer)
        )
        if last:
            return step
        inputs, computes = _made_by(step), False
        units = tuple(map(grouped_lengths, units, widths))


def _streamed(
    partials: _Partials,
    inputs: tuple[Node, ...],
    lengths: tuple[int, ...],
    units: tuple[int, ...],
    last: Reducer | None,
    *,
    computes: bool,
) -> StreamedReduction:
    return StreamedReduction(
        operation=partials.operation,
        reducer=partials.reducer,
        inputs=inputs,
        axes=partials.axes,
        lengths=lengths,
        units=units,
        extents=partials.extents,
        last=last,
        computes=computes,
    )


def _at_once(
    partials: _Partials,
    inputs: tuple[Node, ...],
    widths: tuple[int, ...],
    units: tuple[int, ...],
    last: Reducer | None,
) -> PartialReduction:
    return PartialReduction(
        operation=partials.operation,
        reducer=last or partials.reducer,
        inputs=inputs,
        axes=partials.axes,
        widths=widths,
        units=units,
        extents=partials.extents,
        first=False,
        last=last is not None,
    )


def _one_of(inputs: Sequence[Node]) -> int:
    """Return the size of one partial result."""
    of = inputs[0]
    return math.prod(map(min, of.chunks, of.shape)) * sum(each.dtype.itemsize for each in inputs)


def _made_by(step: PartialReduction | StreamedReduction) -> tuple[Node, ...]:
    return outputs_of(step) if len(step.outputs) > 1 else (step,)


def _widths(
    inputs: tuple[Node, ...],
    axes: tuple[int, ...],
    split_every: int | None,
    most_bytes: int | None,
) -> tuple[int, ...]:
    """Return how many partial results are merged along each reduced axis."""
    wanted = split_every or SPLIT_EVERY
    node = inputs[0]
    if most_bytes is not None:
        wanted = min(wanted, max(2, most_bytes // max(_one_of(inputs), 1)))
    widths = [1] * len(axes)
    # Axes of few groups first, so that what they leave is used along the others.
    order = sorted(range(len(widths)), key=lambda k: node.shape[axes[k]])
    left = wanted
    for place, k in enumerate(order):
        share = left ** (1 / (len(order) - place))
        widths[k] = max(1, min(node.shape[axes[k]], int(share + 1e-9)))
        left = max(1, left // widths[k])
    if all(w == 1 for w in widths):
        widths[order[-1]] = 2
    return tuple(widths)
