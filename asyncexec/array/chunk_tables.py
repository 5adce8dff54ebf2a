"""Functions of every chunk of a line and every block of another array, merged over the chunks of the line."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.nodes import DType, Node
from asyncexec.array.operands import own_source
from asyncexec.array.reducers import Accumulate


def array_or_scalar(value: Any, other: Any, operation: str) -> Array:
    """Return ``value`` as an array; a Python number takes the type that it has together with ``other``.

    Raises
    ------
    TypeError
        If it is neither an array nor a number.
    """
    if isinstance(value, Array):
        return value
    if isinstance(value, np.ndarray | np.generic):
        return Array(own_source(np.asarray(value)))
    if isinstance(value, bool | int | float | complex):
        dtype = getattr(other, "dtype", None)
        weak = (
            np.asarray(value) if dtype is None else np.asarray(value, np.result_type(dtype, value))
        )
        return Array(own_source(weak))
    raise TypeError(
        f"{operation}() takes arrays of asyncexec.array and numbers, and got {type(value).__name__}; "
        f"make one with asarray()"
    )


def common_itemsize(line: Node, node: Node) -> int:
    """Return the size of an element of the type in which the elements of both can be compared."""
    return np.result_type(line.dtype, node.dtype).itemsize


def over_chunks(
    operation: str,
    make: Callable[[bool], Callable[..., Any]],
    line: Node,
    node: Node,
    *,
    ufunc: np.ufunc,
    dtype: DType,
    limit: int,
    extra_of_line: int,
    extra_of_element: int,
) -> Node:
    """Return ``make(stacked)(chunk of line, block of node)``, merged by ``ufunc`` over the chunks of ``line``.

    Parameters
    ----------
    make : callable
        Returns the function of blocks, for results with an axis of length 1 in front, or without.
    line : Node
        Of one axis; its chunks are put together, as far as ``limit`` bytes hold them.
    node : Node
        Of any shape, which is that of the result.
    ufunc : ufunc
    dtype : dtype
        Of the result.
    limit : int
        What chunks of ``line`` aim at, in bytes.
    extra_of_line, extra_of_element : int
        The bytes that a task holds in addition to blocks and result, for each element of its chunk of ``line`` and its
        block of ``node``.
    """
    length = max(line.chunks[0], min(line.shape[0], limit // common_itemsize(line, node)))
    line = build.with_chunks(line, (length,))
    (blocks,) = chunking.grid(line.shape, line.chunks)
    stacked = blocks > 1
    ndim, first = len(node.shape), (0,) if stacked else (None,)
    found: Node = Blocks(
        operation=operation,
        call=make(stacked),
        keywords={},
        inputs=(line, node),
        axes=(first, tuple(range(stacked, stacked + ndim))),
        shape=(blocks, *node.shape) if stacked else node.shape,
        chunks=(1, *node.chunks) if stacked else node.chunks,
        dtype=dtype,
        extra_bytes=extra_of_line * min(length, line.shape[0])
        + extra_of_element * math.prod(chunking.clipped(node.chunks, node.shape)),
    )
    if not stacked:
        return found
    reducer = Accumulate(ufunc, dtype, dtype)
    return build.reduce(operation, reducer, found, (0,), keepdims=False)
