"""Sorting along an axis of any length, in bounded memory, as nodes.

Sorted blocks go through a sorting network (:mod:`~asyncexec.array.merge_exchange`), pass by pass. A task of a pass
reads two blocks, merges them, and writes both side by side, so that every element is read and written once; the next
pass reads them where they lie. The last pass puts every block at its own place.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.chunks import clipped, grid
from asyncexec.array.merge_exchange import Exchange, exchanges
from asyncexec.array.nodes import Node
from asyncexec.array.outputs import ArrayOutput, outputs_of
from asyncexec.array.several_inputs import SeveralOfSeveral
from asyncexec.array.sorting_kernels import KeepHalf, MergePairs, SortBlocks
from asyncexec.array.spec import Spec
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Shape
from asyncexec.plan.runs import Runs

_BLOCKS_HELD = 24
"""The number of blocks that a task which merges two holds at most, with all copies on the way."""

MOST_BLOCK_BYTES = 128 * 1024 * 1024
"""The largest block that is sorted, however much memory there is: more tasks keep more workers busy."""


def sortable_bytes(spec: Spec) -> int:
    """Return the size of the largest block that a task sorts."""
    return max(1, min(spec.free_bytes // _BLOCKS_HELD, MOST_BLOCK_BYTES))


def whole_along(node: Node, axes: Sequence[int], itemsize: int, most_bytes: int) -> Shape | None:
    """Return chunks of ``node`` that have ``axes`` whole, the others shorter where ``most_bytes`` does not hold them.

    None where not even one line fits. ``itemsize`` is what an element takes.
    """
    chunks = list(clipped(node.chunks, node.shape))
    for axis in axes:
        chunks[axis] = max(node.shape[axis], 1)
    others = [a for a in range(len(chunks)) if a not in axes]
    while math.prod(chunks) * itemsize > most_bytes:
        longest = max(others, key=chunks.__getitem__, default=None)
        if longest is None or chunks[longest] == 1:
            return None
        chunks[longest] = -(-chunks[longest] // 2)
    return tuple(chunks)


def block_chunks(node: Node, axis: int, itemsize: int, most_bytes: int) -> Shape:
    """Return chunks of one line, as few along ``axis`` as blocks of ``most_bytes`` make."""
    n = node.shape[axis]
    blocks = max(1, math.ceil(n * itemsize / most_bytes))
    return tuple(max(1, -(-n // blocks)) if a == axis else 1 for a in range(len(node.shape)))


class _Layout(NamedTuple):
    """Sorted blocks in storage: ``places[i]`` is the place of block ``i`` along the axis."""

    nodes: tuple[Node, ...]
    places: NDArray[np.int64]


def network_sorted(
    nodes: Sequence[Node], axis: int, results: Sequence[int], operation: str
) -> tuple[Node, ...]:
    """Return ``nodes`` in the order of the first along ``axis``, where it has equal values in that of the second.

    Parameters
    ----------
    nodes : sequence of Node
        One or two, of one shape and in the same chunks along all axes, which are several along ``axis``.
    results : sequence of int
        The numbers of those that are returned.
    """
    extent = nodes[0].shape[axis]
    layout = _in_sorted_blocks(nodes, axis, operation)
    *passes, last = exchanges(len(layout.places))
    for exchange in passes:
        layout = _merged(layout, exchange, axis, operation)
    return tuple(
        _last(layout, last, KeepHalf(axis, last, extent, result), operation) for result in results
    )


def _in_sorted_blocks(nodes: Sequence[Node], axis: int, operation: str) -> _Layout:
    first = nodes[0]
    length = first.chunks[axis]
    blocks = grid(first.shape, first.chunks)[axis]
    shape = (*first.shape[:axis], blocks * length, *first.shape[axis + 1 :])
    outputs = tuple(
        ArrayOutput(shape=shape, chunks=first.chunks, dtype=node.dtype) for node in nodes
    )
    maker = SeveralOfSeveral(
        operation=operation,
        call=SortBlocks(axis, length),
        inputs=tuple(nodes),
        outputs=outputs,
        working_bytes_each=working_bytes_each(nodes),
    )
    return _Layout(outputs_of(maker), np.arange(blocks))


def working_bytes_each(nodes: Sequence[Node]) -> int:
    """Return what the sorting of a block needs for each element, results not counted."""
    itemsize = sum(node.dtype.itemsize for node in nodes)
    # Half of the elements while runs are merged; the order, its workspace, and runs of equal values.
    return itemsize if len(nodes) == 1 else itemsize + 8 + 4 + 3 * 8


def _merged(layout: _Layout, exchange: Exchange, axis: int, operation: str) -> _Layout:
    """Return the layout after a pass: the two blocks of each task lie side by side."""
    blocks = len(layout.places)
    lower = exchange.lower()
    idle = np.flatnonzero(exchange.partners() == np.arange(blocks))
    # A block that is left over goes along twice.
    idle = np.append(idle, idle[-1:]) if len(idle) % 2 else idle
    firsts = np.concatenate([lower, idle[0::2]])
    seconds = np.concatenate([lower + exchange.distance, idle[1::2]])
    inputs = [
        taken_chunks(node, layout.places[numbers], axis)
        for node in layout.nodes
        for numbers in (firsts, seconds)
    ]
    chunks = inputs[0].chunks
    length = 2 * chunks[axis]
    shape, block = (
        (*lengths[:axis], along, *lengths[axis + 1 :])
        for lengths, along in ((inputs[0].shape, len(firsts) * length), (chunks, length))
    )
    maker = SeveralOfSeveral(
        operation=operation,
        call=MergePairs(axis, len(lower)),
        inputs=tuple(inputs),
        outputs=tuple(
            ArrayOutput(shape=shape, chunks=chunks, block=block, dtype=node.dtype)
            for node in layout.nodes
        ),
        working_bytes_each=2 * working_bytes_each(layout.nodes),
    )
    places = np.empty(blocks, np.int64)
    places[seconds] = 2 * np.arange(len(seconds)) + 1
    places[firsts] = 2 * np.arange(len(firsts))
    return _Layout(outputs_of(maker), places)


def _last(layout: _Layout, exchange: Exchange, call: KeepHalf, operation: str) -> Node:
    """Return the sorted array, block by block at its own place, cut to its length."""
    axis = call.axis
    inputs = [
        taken_chunks(node, layout.places[numbers], axis)
        for node in layout.nodes
        for numbers in (np.arange(len(layout.places)), exchange.partners())
    ]
    chosen = layout.nodes[call.result]
    shape = (*chosen.shape[:axis], call.extent, *chosen.shape[axis + 1 :])
    elements = math.prod(chosen.chunks)
    # What is merged, of which the result is a part, so that neither it nor a copy of it is needed besides.
    others = sum(node.dtype.itemsize for node in layout.nodes) - chosen.dtype.itemsize
    return Blocks(
        operation=operation,
        call=call,
        keywords={},
        inputs=tuple(inputs),
        axes=(tuple(range(len(shape))),) * len(inputs),
        shape=shape,
        chunks=chosen.chunks,
        dtype=chosen.dtype,
        wants_block_id=True,
        extra_bytes=2 * elements * (others + working_bytes_each(layout.nodes)),
    )


def taken_chunks(node: Node, places: NDArray[np.int64], axis: int) -> Node:
    """Return the chunks of ``node`` at ``places`` along ``axis``, in that order; all of them are of full length."""
    length = node.chunks[axis]
    runs = Runs(places * length, np.full(len(places), length))
    axes = [
        AxisAccess.taken(axis, runs) if a == axis else AxisAccess.view(a, n)
        for a, n in enumerate(node.shape)
    ]
    shape = (*node.shape[:axis], len(runs), *node.shape[axis + 1 :])
    return build.view("blocks", node, axes, shape, node.chunks)
