"""The ways to reduce groups whose labels are known, and the choice of the one that moves the fewest bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array import build
from asyncexec.array.chunks import grid
from asyncexec.array.cohorts import (
    Arrangement,
    Bins,
    Occurrences,
    arrangements,
    bins_of,
    cohorts_of,
    occurrences,
)
from asyncexec.array.grouped_functions import GroupedFunction
from asyncexec.array.grouped_kernels import ElementNumbers, StartGroups
from asyncexec.array.grouped_nodes import (
    Labelled,
    all_merged,
    cohorts_merged,
    fewer_kept,
    groups_in_order,
    partial_bytes,
    partial_nodes,
    whole_groups,
)
from asyncexec.array.nodes import Node
from asyncexec.array.operands import own_source
from asyncexec.array.reductions import SPLIT_EVERY
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.positions import Positions

type Codes = NDArray[Any]


_PARTIALS_HELD = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A reduction to be planned: the array, the codes of its labels, and limits."""

    operation: str
    node: Node
    codes: Codes
    axes: tuple[int, ...]
    groups: int
    function: GroupedFunction
    split_every: int
    limit: int
    free_bytes: int

    @property
    def holds_all(self) -> bool:
        """True if a task may hold partial results of all groups: what is held, what comes, and copies of them."""
        one = self.kept * self.groups * self.each
        return 2 * one <= self.limit or _PARTIALS_HELD * one <= self.free_bytes

    @property
    def several(self) -> list[int]:
        """The axes of labels along which there are several chunks."""
        counts = grid(self.node.shape, self.node.chunks)
        return [a for a in self.axes if counts[a] > 1]

    @property
    def kept(self) -> int:
        """Elements of a chunk across the axes that stay."""
        chunks = enumerate(self.node.chunks)
        return math.prod(c for a, c in chunks if a not in self.axes)

    @property
    def each(self) -> int:
        """Bytes of a partial result of one group."""
        return partial_bytes(self.function.reducer)

    def occurrences(self) -> Occurrences:
        """Return which groups occur in each chunk along the one axis that has several."""
        axis = self.several[0]
        place, chunk = self.axes.index(axis), self.node.chunks[axis]
        return occurrences(self.codes, place, chunk, self.groups)

    def labelled(self, node: Node) -> Labelled:
        """Return ``node`` with codes and numbers in its chunks."""
        chunks = tuple(node.chunks[a] for a in self.axes)
        shape = self.codes.shape
        numbers = build.creation(
            self.operation, ElementNumbers(shape), shape, chunks, np.dtype(np.int64)
        )
        return Labelled(
            operation=self.operation,
            node=node,
            labels=own_source(self.codes, chunks),
            numbers=numbers,
            axes=self.axes,
        )


def by_known_labels(
    operation: str,
    node: Node,
    codes: Codes,
    function: GroupedFunction,
    *,
    axes: tuple[int, ...],
    groups: int,
    method: str | None,
    split_every: int | None,
    limit: int,
    free_bytes: int,
) -> Node:
    """Return the reduction of ``node`` by the groups of ``codes``, along ``axes``; groups are the last axis.

    Raises
    ------
    ValueError
        If ``method`` cannot be.
    """
    task = _Task(
        operation=operation,
        node=node,
        codes=codes,
        axes=axes,
        groups=groups,
        function=function,
        split_every=split_every or SPLIT_EVERY,
        limit=limit,
        free_bytes=free_bytes,
    )
    if function.whole and method in ("map-reduce", "cohorts"):
        raise ValueError(
            f"method={method!r} cannot be for {operation}, which needs whole groups: use 'blockwise', or none"
        )
    if not task.several:
        return _in_one_chunk(task, node)
    if len(task.several) > 1:
        return _along_several(task, method)
    if method == "map-reduce":
        return _map_reduce(task)
    found = task.occurrences()
    if function.whole or method == "blockwise" or (method is None and found.apart):
        return _blockwise(task, found)
    best = _best_cohorts(task, found)
    chosen = _cheapest(task, found, best) if method is None else method
    if chosen == "cohorts":
        return _by_cohorts(task, found, best)
    return _map_reduce(task) if chosen == "map-reduce" else _blockwise(task, found)


def _along_several(task: _Task, method: str | None) -> Node:
    if method == "cohorts":
        raise ValueError(
            f"method='cohorts' takes labels along axes of which one has several chunks, and {task.several} have: "
            f"rechunk, or use 'map-reduce'"
        )
    if method == "blockwise" or task.function.whole:
        return _in_one_chunk(task, _whole(task))
    return _map_reduce(task)


def _whole(task: _Task) -> Node:
    shape = task.node.shape
    chunks = (shape[a] if a in task.axes else c for a, c in enumerate(task.node.chunks))
    return build.with_chunks(task.node, tuple(chunks))


def _in_one_chunk(task: _Task, node: Node) -> Node:
    each = math.prod(task.codes.shape) * node.dtype.itemsize + 2 * task.groups * task.each
    fitting = fewer_kept(node, task.axes, each, task.limit) if node is not task.node else node
    start = StartGroups(task.function.reducer, task.axes, task.groups, finishes=True)
    return whole_groups(task.labelled(fitting), start)


def _map_reduce(task: _Task) -> Node:
    each = 2 * task.groups * task.each
    node = task.node if task.holds_all else fewer_kept(task.node, task.axes, each, task.limit)
    start = StartGroups(task.function.reducer, task.axes, task.groups)
    return all_merged(task.labelled(node), start, split_every=task.split_every)


def _by_cohorts(task: _Task, found: Occurrences, best: Arrangement) -> Node:
    start = StartGroups(task.function.reducer, task.axes, -found.most)
    others = [a for a in task.axes if a not in task.several]
    parts = [build.drop_axes(p, others) for p in partial_nodes(task.labelled(task.node), start)]
    axis = task.several[0] - sum(a < task.several[0] for a in others)
    cohorts = cohorts_of(found, best.order, best.size, _merged_at_once(task, best.size))
    node = cohorts_merged(task.operation, task.function.reducer, parts, cohorts, axis=axis)
    return groups_in_order(node, np.argsort(best.order), task.groups)


def _merged_at_once(task: _Task, size: int) -> int:
    """Return how many partial results with ``size`` groups a task merges."""
    one = max(1, task.kept * size * task.each)
    return max(2, min(task.split_every, task.limit // one))


def _blockwise(task: _Task, found: Occurrences) -> Node:
    if found.apart:
        start = StartGroups(task.function.reducer, task.axes, -found.most, finishes=True)
        node = whole_groups(task.labelled(task.node), start)
        return groups_in_order(node, _places(found), task.groups)
    axis, *others = task.axes
    if others:
        return _in_one_chunk(task, _whole(task))
    bins = bins_of(task.codes, task.groups, task.node.chunks[axis])
    labelled = _in_bins(task, bins)
    inside = bins.occurrences
    start = StartGroups(task.function.reducer, task.axes, -inside.most, finishes=True)
    return groups_in_order(whole_groups(labelled, start), _places(inside), task.groups)


def _places(found: Occurrences) -> Codes:
    """Return the place of each group among those of all chunks, one after another; 0 of groups without elements."""
    places = np.zeros(found.groups, np.int64)
    flat = found.table.reshape(-1)
    there = np.flatnonzero(flat >= 0)
    places[flat[there]] = there
    return places


def _in_bins(task: _Task, bins: Bins) -> Labelled:
    """Return the array with the elements of each group in one chunk."""
    axis, length = task.axes[0], len(bins.positions)
    views = [
        AxisAccess.taken(axis, Positions(bins.positions)) if a == axis else AxisAccess.view(a, n)
        for a, n in enumerate(task.node.shape)
    ]
    shape = (*task.node.shape[:axis], length, *task.node.shape[axis + 1 :])
    chunks = (*task.node.chunks[:axis], bins.length, *task.node.chunks[axis + 1 :])
    each = 2 * bins.length * task.node.dtype.itemsize
    source = fewer_kept(task.node, task.axes, each, task.limit)
    chunks = tuple(c if a == axis else source.chunks[a] for a, c in enumerate(chunks))
    return Labelled(
        operation=task.operation,
        node=build.view("groups", source, views, shape, chunks),
        labels=own_source(bins.codes, (bins.length,), copy=False),
        numbers=own_source(bins.positions, (bins.length,), copy=False),
        axes=task.axes,
    )


def _cheapest(task: _Task, found: Occurrences, best: Arrangement) -> str:
    """Return the method by which the fewest bytes are read and written, not counting one read of the array.

    Of the methods that fit in memory; where none does, the one that takes the axes that stay in smaller chunks.
    """
    costs = {}
    if _fits(task, best.size):
        costs["cohorts"] = _cost(task, found, best)
    chunks = len(found.table)
    if task.holds_all:
        costs["map-reduce"] = 2.0 * chunks * task.groups * task.each
    if len(task.axes) == 1:
        axis = task.axes[0]
        chunk, itemsize = task.node.chunks[axis], task.node.dtype.itemsize
        longest = max(chunk, int(found.members.max()))
        if task.kept * longest * itemsize * 2 <= task.limit:
            # Bins are about as long as chunks: each group is read from the chunks that it occurs in.
            packed = max(1, chunk * len(found.members) // max(1, int(found.members.sum())))
            costs["blockwise"] = _beyond_once(found, packed) * chunk * itemsize
    return min(costs, key=costs.__getitem__, default="map-reduce")


def _fits(task: _Task, size: int) -> bool:
    """Return whether a task holds two partial results with ``size`` groups."""
    return 2 * task.kept * size * task.each <= task.limit


def _beyond_once(found: Occurrences, packed: int) -> float:
    """Return how many more chunks are read than there are, where ``packed`` groups are read together."""
    own = next(arrangements(found, (packed,)))
    return own.pairs - len(found.table)


def _best_cohorts(task: _Task, found: Occurrences) -> Arrangement:
    """Return the cohorts that move the fewest bytes."""
    sizes = [size for size in _sizes(found) if _fits(task, size)]
    tried = arrangements(found, sizes or [min(found.most, found.groups)])
    return min(tried, key=lambda each: _cost(task, found, each))


def _cost(task: _Task, found: Occurrences, cohorts: Arrangement) -> float:
    """Return how many bytes cohorts move, for each element across the axes that stay."""
    at_once = _merged_at_once(task, cohorts.size)
    first = (len(found.table) + cohorts.pairs) * found.most
    return (first + 2 * cohorts.size * cohorts.pairs / (at_once - 1)) * task.each


def _sizes(found: Occurrences) -> Iterable[int]:
    size = min(found.most, found.groups)
    while size < found.groups:
        yield size
        size *= 4
    yield found.groups
