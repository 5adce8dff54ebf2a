"""Tables of what is counted chunk by chunk, as nodes, and the ranges that histograms need before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from asyncexec.array import build, statistical
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.chunks import grid
from asyncexec.array.evaluation import evaluated
from asyncexec.array.generators import Full
from asyncexec.array.manipulation import stack
from asyncexec.array.nodes import DType, Node
from asyncexec.array.operands import common_spec
from asyncexec.array.reducers import Accumulate
from asyncexec.array.spec import Spec
from asyncexec.array.wrapping import as_array
from asyncexec.plan.box import Shape


def summed_tables(
    operation: str,
    call: Callable[..., Any],
    nodes: Sequence[Node],
    *,
    shape: Shape,
    chunks: Shape,
    dtype: DType,
    lead: int,
    extra_bytes: int,
) -> Node:
    """Return the sum over chunks of the tables of ``shape`` that ``call`` makes of blocks.

    Parameters
    ----------
    nodes : sequence of Node
        Of the same first axes, in the same chunks; what other axes a node has, blocks have whole.
    shape, chunks, dtype
        Of the table.
    lead : int
        How many first axes there are.
    extra_bytes : int
        What ``call`` needs in addition to blocks and a second table.
    """
    first = nodes[0]
    if not all(first.shape[:lead]):
        return build.creation(operation, Full(0, dtype), shape, chunks, dtype, aliases=True)
    blocks = grid(first.shape, first.chunks)[:lead]
    numbered = Blocks(
        operation=operation,
        call=call,
        keywords={},
        inputs=tuple(nodes),
        axes=tuple((*range(lead), *(None for _ in node.shape[lead:])) for node in nodes),
        shape=(*blocks, *shape),
        chunks=(*(1,) * lead, *chunks),
        dtype=dtype,
        wants_block_id=chunks != shape,
        extra_bytes=extra_bytes,
    )
    ufunc = np.logical_or if dtype.kind == "b" else np.add
    reducer = Accumulate(ufunc, dtype, dtype)
    return build.reduce(operation, reducer, numbered, tuple(range(lead)), keepdims=False)


def extremes(arrays: Sequence[Array], operation: str) -> np.ndarray[Any, Any]:
    """Return the least and the greatest element of each of ``arrays``, computed now: an array of two rows."""
    least = [statistical.min(each) for each in arrays]
    greatest = [statistical.max(each) for each in arrays]
    found = evaluated(stack([*least, *greatest]), operation)
    return found.reshape(2, len(arrays))


def real_elements(x: Any, operation: str) -> Array:
    """Return ``x`` as an array of numbers that can be counted: booleans become integers.

    Raises
    ------
    TypeError
        If it is no array, or its elements are complex.
    """
    array = as_array(x, operation)
    if array.dtype.kind == "c":
        raise TypeError(f"{operation}() takes real numbers, and got {array.dtype}")
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def with_weights(
    array: Array, weights: Any, operation: str
) -> tuple[list[Node], Spec | None, DType | None]:
    """Return the nodes of ``array`` and of its weights, if there are any, the spec they share, and the weights' type.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if weights is None:
        return [array.node], array.own_spec, None
    given = as_array(weights, operation)
    if given.shape != array.shape:
        raise ValueError(
            f"{operation}() takes one weight for each element: the weights have the shape {given.shape}, "
            f"and the elements {array.shape}"
        )
    nodes = [array.node, build.with_chunks(given.node, array.node.chunks)]
    return nodes, common_spec((array.own_spec, given.own_spec)), given.dtype
