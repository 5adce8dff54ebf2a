"""The greatest or least elements along an axis as nodes: a tree of passes, each of which keeps ``count`` of a block."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array import build
from asyncexec.array.chunks import grid
from asyncexec.array.merge_networks import sortable_bytes
from asyncexec.array.nodes import Node
from asyncexec.array.ordering import numbers_along
from asyncexec.array.outputs import ArrayOutput, outputs_of
from asyncexec.array.several_inputs import SeveralOfSeveral
from asyncexec.array.sorting_kernels import sorted_block, sorting_numbers
from asyncexec.array.spec import Spec
from asyncexec.plan.box import Index, Shape

type Block = NDArray[Any]

_MERGED = 8
"""How many partial results a task merges, where memory allows it."""


@dataclass(frozen=True, slots=True)
class KeepTop:
    """Keep the ``count`` greatest (or least) elements of a block in order, and what belongs to them if it is given.

    Equal elements keep their order.
    """

    axis: int
    count: int
    greatest: bool

    def __call__(self, values: Block, *others: Block, block_id: Index) -> tuple[Block, ...]:
        if others:
            order = self._order(values)
            return tuple(np.take_along_axis(each, order, self.axis) for each in (values, *others))
        n = values.shape[self.axis]
        if self.count < n:
            place = n - self.count if self.greatest else self.count - 1
            parted = np.partition(values, place, axis=self.axis)
            values = np.flip(parted, self.axis) if self.greatest else parted
            values = self._first(values, self.count)
        return (sorted_block(values, axis=self.axis, descending=self.greatest),)

    def _order(self, values: Block) -> Block:
        """Return the numbers along the axis of what is kept, in order."""
        whole = values.shape[self.axis] <= self.count or values.dtype.kind not in "biuf"
        # NaN is neither less nor greater than what is kept.
        if whole or (values.dtype.kind == "f" and np.isnan(values).any()):
            order = sorting_numbers(values, axis=self.axis, descending=self.greatest)
            return self._first(order, self.count)
        lines = np.moveaxis(values, self.axis, -1)
        places = self._kept_places(lines)
        few = np.take_along_axis(lines, places, -1)
        order = sorting_numbers(few, axis=-1, descending=self.greatest)
        return np.moveaxis(np.take_along_axis(places, order, -1), -1, self.axis)

    def _kept_places(self, lines: Block) -> Block:
        """Return the places in each line (the last axis) of the elements that are kept, in the order of the places."""
        place = lines.shape[-1] - self.count if self.greatest else self.count - 1
        # A copy, as a view would hold all that was divided.
        last = np.partition(lines, place, axis=-1)[..., place, None].copy()
        kept = lines > last if self.greatest else lines < last
        tied = lines == last
        wanted = self.count - np.count_nonzero(kept, axis=-1, keepdims=True)
        if (np.count_nonzero(tied, axis=-1, keepdims=True) > wanted).any():
            tied &= np.cumsum(tied, axis=-1) <= wanted
        kept |= tied
        return np.nonzero(kept)[-1].reshape(*lines.shape[:-1], self.count)

    def _first(self, block: Block, count: int) -> Block:
        return block[(slice(None),) * self.axis + (slice(count),)]


def top_nodes(
    node: Node, axis: int, keep: KeepTop, spec: Spec, *, numbers: bool
) -> tuple[Node, ...] | None:
    """Return what ``keep`` keeps of ``node`` along ``axis``, with ``numbers`` also their numbers.

    None where the elements of two partial results do not fit into a task together.
    """
    most = sortable_bytes(spec)
    itemsize = node.dtype.itemsize + 8 * numbers
    chunks = _chunks(node, axis, 2 * keep.count, most // itemsize)
    if chunks is None:
        return None
    first = build.with_chunks(node, chunks)
    found: tuple[Node, ...] = (first, numbers_along(first, axis)) if numbers else (first,)
    while True:
        blocks = grid(found[0].shape, found[0].chunks)[axis]
        found = _pass(found, axis, keep)
        if blocks == 1:
            return found
        one = math.prod(found[0].chunks) * itemsize
        merged = keep.count * max(2, min(_MERGED, most // one))
        chunks = (*chunks[:axis], merged, *chunks[axis + 1 :])
        found = tuple(build.with_chunks(each, chunks) for each in found)


def _pass(nodes: tuple[Node, ...], axis: int, keep: KeepTop) -> tuple[Node, ...]:
    first = nodes[0]
    n, length = first.shape[axis], first.chunks[axis]
    whole, rest = divmod(n, length)
    kept = whole * min(keep.count, length) + min(keep.count, rest)
    shape, chunks = (
        (*lengths[:axis], along, *lengths[axis + 1 :])
        for lengths, along in ((first.shape, kept), (first.chunks, min(keep.count, length)))
    )
    maker = SeveralOfSeveral(
        operation="argtopk" if len(nodes) > 1 else "topk",
        call=keep,
        inputs=nodes,
        outputs=tuple(ArrayOutput(shape=shape, chunks=chunks, dtype=node.dtype) for node in nodes),
        # The copy that is divided; or the order, and the workspace of sorting.
        working_bytes_each=first.dtype.itemsize if len(nodes) == 1 else 8 + 4,
    )
    return outputs_of(maker)


def _chunks(node: Node, axis: int, fewest: int, most_elements: int) -> Shape | None:
    """Return chunks with at least ``fewest`` elements along ``axis``, or None where so many are too many."""
    chunks = list(node.chunks)
    n, own = node.shape[axis], chunks[axis]
    chunks[axis] = min(n, -(-fewest // own) * own)
    while math.prod(chunks) > most_elements:
        longest = max(range(len(chunks)), key=lambda a: 0 if a == axis else chunks[a])
        if longest == axis or chunks[longest] == 1:
            break
        chunks[longest] = -(-chunks[longest] // 2)
    if math.prod(chunks) > max(most_elements, math.prod(node.chunks)):
        chunks[axis] = min(n, fewest)
    return (
        tuple(chunks) if math.prod(chunks) <= max(most_elements, math.prod(node.chunks)) else None
    )
