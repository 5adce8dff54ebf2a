"""Sums of products of two arrays as nodes: blocks are multiplied, and partial sums added by a reduction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.dtypes import check_numbers
from asyncexec.array.nodes import Node
from asyncexec.array.product_chunks import axes_of, product_chunks
from asyncexec.array.product_kernels import PairProduct
from asyncexec.array.reducers import Accumulate
from asyncexec.plan.box import Shape


def pair_product(
    operation: str,
    operands: tuple[Node, Node],
    labels: tuple[Sequence[Any], Sequence[Any], Sequence[Any]],
    *,
    limit: int,
    free_bytes: int,
    conjugate: bool = False,
) -> Node:
    """Return the sum of products of two nodes, as ``numpy.einsum`` has it.

    Parameters
    ----------
    operands : tuple of Node
        Their elements become those of the common type.
    labels : tuple of sequences
        The labels of the axes of either operand and of the result. No label is in one of them twice, and each operand's
        label is in the other operand or in the result.
    limit, free_bytes : int
        The bytes that a chunk of the result aims at, and those that a task may hold.
    conjugate : bool
        Whether the left operand is conjugated.

    Raises
    ------
    TypeError
        If elements are no numbers.
    """
    for node in operands:
        check_numbers(operation, node.dtype)
    dtype = np.result_type(*(node.dtype for node in operands))
    left, right = (build.cast(node, dtype) for node in operands)
    axes = axes_of(left, right, labels)
    chunks = product_chunks(axes, limit=limit, free_bytes=free_bytes)
    groups = [label for label in axes.summed if axes.lengths[label] > max(1, chunks[label])]
    places: dict[Any, int] = {label: axis for axis, label in enumerate((*groups, *labels[2]))}
    inputs = tuple(
        build.with_chunks(node, tuple(chunks[label] for label in own))
        for node, own in ((left, labels[0]), (right, labels[1]))
    )
    counts = tuple(-(-axes.lengths[label] // chunks[label]) for label in groups)
    partial = Blocks(
        operation=operation,
        call=PairProduct(
            left=tuple(labels[0]),
            right=tuple(labels[1]),
            out=tuple(labels[2]),
            groups=len(groups),
            conjugate=conjugate,
        ),
        keywords={},
        inputs=inputs,
        axes=tuple(tuple(places.get(label) for label in own) for own in labels[:2]),
        shape=(*counts, *(axes.lengths[label] for label in labels[2])),
        chunks=(*(1 for _ in groups), *(chunks[label] for label in labels[2])),
        dtype=dtype,
        extra_bytes=axes.copied_bytes(chunks),
    )
    if not groups:
        return partial
    adding = np.logical_or if dtype.kind == "b" else np.add
    through = np.dtype(np.float32) if dtype == np.float16 else dtype
    reducer = Accumulate(adding, through, dtype)
    return build.reduce(operation, reducer, partial, range(len(groups)), keepdims=False)


def matrix_product(left: Node, right: Node, *, limit: int, free_bytes: int) -> Node:
    """Return the matrix product of two nodes, by the rules of ``numpy.matmul``.

    Raises
    ------
    ValueError
        If one has no axes, or the shapes do not fit.
    """
    _check_lengths(left.shape, right.shape)
    ndim = max(len(left.shape), len(right.shape))
    if 2 < len(right.shape) > len(left.shape) > 1:
        # NumPy multiplies by the same matrix again and again, so that no stack is put in another order.
        for _ in range(ndim - len(left.shape)):
            left = build.insert_axis(left, 0)
    stack = tuple(range(ndim - 2))
    rows = () if len(left.shape) == 1 else ("row",)
    columns = () if len(right.shape) == 1 else ("column",)
    own = (*stack[len(stack) - (len(left.shape) - 2) :], "row", "inner") if rows else ("inner",)
    other = (
        (*stack[len(stack) - (len(right.shape) - 2) :], "inner", "column")
        if columns
        else ("inner",)
    )
    out = (*(label for label in stack if label in own or label in other), *rows, *columns)
    return pair_product(
        "matmul", (left, right), (own, other, out), limit=limit, free_bytes=free_bytes
    )


def _check_lengths(left: Shape, right: Shape) -> None:
    if not left or not right:
        raise ValueError(
            f"matmul() takes arrays of one axis or more, and got the shapes {left} and {right}: "
            f"multiply() takes arrays without axes"
        )
    n, m = left[-1], right[-2 if len(right) > 1 else -1]
    if n != m:
        raise ValueError(
            f"matmul() of arrays of shapes {left} and {right}: the last axis of the first has {n} elements, and the "
            f"axis of the second that it is multiplied with has {m}"
        )
    stacks = left[:-2], right[:-2]
    try:
        np.broadcast_shapes(*stacks)
    except ValueError:
        raise ValueError(
            f"matmul() of arrays of shapes {left} and {right}: the stacks {stacks[0]} and {stacks[1]} of matrices do "
            f"not broadcast"
        ) from None
