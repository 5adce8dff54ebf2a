"""Nodes of sorted values, and of the numbers that sort them: of whole lines, or through a network of merges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.merge_networks import (
    block_chunks,
    network_sorted,
    sortable_bytes,
    whole_along,
    working_bytes_each,
)
from asyncexec.array.nodes import Node
from asyncexec.array.outputs import ArrayOutput, outputs_of
from asyncexec.array.several_inputs import SeveralOfSeveral
from asyncexec.array.sorting_kernels import SortBlocks, sorted_block, sorting_numbers
from asyncexec.array.spec import Spec

NUMBERS = np.dtype(np.int64)
"""The type of numbers of elements."""


@dataclass(frozen=True, slots=True)
class NumbersAlong:
    """The number of each element along ``axis``; takes no memory but for one line."""

    axis: int

    def __call__(self, positions: tuple[Any, ...]) -> Any:
        along = positions[self.axis].reshape(
            [-1 if a == self.axis else 1 for a in range(len(positions))]
        )
        return np.broadcast_to(along, tuple(map(len, positions)))


def numbers_along(node: Node, axis: int) -> Node:
    """Return the number of each element of ``node`` along ``axis``, in its shape and chunks."""
    make = NumbersAlong(axis)
    return build.creation("numbers", make, node.shape, node.chunks, NUMBERS, aliases=True)


def sorted_values(
    node: Node, axis: int, spec: Spec, operation: str, *, descending: bool = False
) -> Node:
    """Return ``node`` sorted along ``axis``; NaN counts as the greatest."""
    most, itemsize = sortable_bytes(spec), node.dtype.itemsize
    whole = whole_along(node, (axis,), itemsize, most)
    if whole is not None:
        lines = build.with_chunks(node, whole)
        return _of_lines(lines, axis, sorted_block, node.dtype, operation, descending=descending)
    given = _turned(node, axis) if descending else node
    cut = build.with_chunks(given, block_chunks(node, axis, itemsize, most))
    (found,) = network_sorted((cut,), axis, (0,), operation)
    return _turned(found, axis) if descending else found


def stable_order(
    node: Node, axis: int, spec: Spec, operation: str, *, descending: bool = False
) -> Node:
    """Return the numbers along ``axis`` of the elements of ``node`` in sorted order, equal ones as they are."""
    most, itemsize = sortable_bytes(spec), node.dtype.itemsize + NUMBERS.itemsize
    whole = whole_along(node, (axis,), itemsize, most)
    if whole is not None:
        lines = build.with_chunks(node, whole)
        return _of_lines(lines, axis, sorting_numbers, NUMBERS, operation, descending=descending)
    given = _turned(node, axis) if descending else node
    pair = (given, numbers_along(node, axis))
    (found,) = sorted_together(pair, axis, spec, (1,), operation)
    if not descending:
        return found
    last = node.shape[axis] - 1
    return build.apply_elementwise(operation, np.subtract, (last, _turned(found, axis)))


def _turned(node: Node, axis: int) -> Node:
    return build.index(node, (*(slice(None),) * axis, slice(None, None, -1)))


def sorted_together(
    nodes: Sequence[Node], axis: int, spec: Spec, results: Sequence[int], operation: str
) -> tuple[Node, ...]:
    """Return those numbered ``results`` of two nodes, in the order of the first, and within equal values the second."""
    most, itemsize = sortable_bytes(spec), sum(node.dtype.itemsize for node in nodes)
    whole = whole_along(nodes[0], (axis,), itemsize, most)
    if whole is None:
        chunks = block_chunks(nodes[0], axis, itemsize, most)
        cut = [build.with_chunks(node, chunks) for node in nodes]
        return network_sorted(cut, axis, results, operation)
    maker = SeveralOfSeveral(
        operation=operation,
        call=SortBlocks(axis, whole[axis]),
        inputs=tuple(build.with_chunks(node, whole) for node in nodes),
        outputs=tuple(
            ArrayOutput(shape=node.shape, chunks=whole, dtype=node.dtype) for node in nodes
        ),
        working_bytes_each=working_bytes_each(nodes),
    )
    made = outputs_of(maker)
    return tuple(made[result] for result in results)


def _of_lines(
    node: Node,
    axis: int,
    call: Callable[..., Any],
    dtype: np.dtype[Any],
    operation: str,
    *,
    descending: bool,
) -> Node:
    """Return what ``call`` makes of whole lines."""
    return Blocks(
        operation=operation,
        call=call,
        keywords={"axis": axis, "descending": descending},
        inputs=(node,),
        axes=(tuple(range(len(node.shape))),),
        shape=node.shape,
        chunks=node.chunks,
        dtype=dtype,
    )
