"""The nodes of functions of blocks and of the elements around them along one axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array import build
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.nodes import DType, Node
from asyncexec.plan.box import Index

type Elements = NDArray[Any]


def with_followers(
    operation: str,
    call: Callable[[Elements], Elements],
    node: Node,
    axis: int,
    count: int,
    *,
    dtype: DType,
    working_bytes_each: int,
) -> Node:
    """Return ``call`` of each block and the ``count`` elements after it along ``axis``: the result is shorter by them.

    ``count`` is below the length of the axis, and ``working_bytes_each`` what the call needs for each element.
    """
    length = node.shape[axis] - count
    chunk = node.chunks[axis]
    shape = (*node.shape[:axis], length, *node.shape[axis + 1 :])
    if length <= chunk:
        # One block makes all, of the whole axis.
        chunk = length
        node = build.with_chunks(
            node, (*node.chunks[:axis], node.shape[axis], *node.chunks[axis + 1 :])
        )
    chunks = (*node.chunks[:axis], chunk, *node.chunks[axis + 1 :])
    axes = tuple(range(len(shape)))
    return Blocks(
        operation=operation,
        call=call,
        keywords={},
        inputs=(node,),
        axes=(axes,),
        shape=shape,
        chunks=chunks,
        dtype=dtype,
        borders=(tuple((0, count) if a == axis else (0, 0) for a in axes),),
        extra_bytes=(math.prod(chunks) // max(chunk, 1)) * (chunk + count) * working_bytes_each,
    )


@dataclass(frozen=True, slots=True)
class DifferencesOfBlock:
    """The function that returns differences of neighbours, ``times`` one after another."""

    times: int
    axis: int

    def __call__(self, block: Elements) -> Elements:
        return np.diff(block, n=self.times, axis=self.axis)


@dataclass(frozen=True, slots=True)
class MeansOfPairs:
    """The function that returns the mean of each two neighbours, with elements of ``dtype``."""

    axis: int
    dtype: DType

    def __call__(self, block: Elements) -> Elements:
        before = (slice(None),) * self.axis
        found = np.add(
            block[(*before, slice(1, None))], block[(*before, slice(-1))], dtype=self.dtype
        )
        return np.asarray(np.divide(found, 2, out=found))


@dataclass(frozen=True, slots=True)
class SlopesOfBlock:
    """The function that returns ``numpy.gradient`` of a block, of which it sees ``edge_order`` elements around.

    Attributes
    ----------
    axis, length, chunk : int
        The axis, its length, and that of its chunks.
    spacing : float or None
        Between neighbours; None where coordinates are the second argument.
    dtype : dtype
        Of the result.
    """

    axis: int
    length: int
    chunk: int
    edge_order: int
    spacing: float | None
    dtype: DType

    def __call__(self, block: Elements, *coordinates: Elements, block_id: Index) -> Elements:
        number = block_id[self.axis]
        first, end = number * self.chunk, min((number + 1) * self.chunk, self.length)
        start = max(0, first - self.edge_order)
        spacing: Any = coordinates[0] if coordinates else self.spacing
        options: Any = {"axis": self.axis, "edge_order": self.edge_order}
        exact = block if block.dtype.kind in "fc" else block.astype(np.float64)
        found = np.gradient(exact, spacing, **options)
        own = (slice(None),) * self.axis + (slice(first - start, end - start),)
        return np.ascontiguousarray(np.asarray(found)[own]).astype(self.dtype, copy=False)


def slopes(
    node: Node,
    axis: int,
    *,
    spacing: float | None,
    coordinates: Node | None,
    edge_order: int,
    dtype: DType,
) -> Node:
    """Return the gradient of ``node`` along ``axis``, with elements of ``dtype``."""
    axes = tuple(range(len(node.shape)))
    around = (edge_order, edge_order)
    inputs: tuple[Node, ...] = (node,)
    followed: tuple[tuple[int, ...], ...] = (axes,)
    borders: Sequence[Any] = [tuple(around if a == axis else (0, 0) for a in axes)]
    if coordinates is not None:
        inputs = (node, build.with_chunks(coordinates, (node.chunks[axis],)))
        followed = (axes, (axis,))
        borders = [*borders, (around,)]
    chunk = node.chunks[axis]
    call = SlopesOfBlock(axis, node.shape[axis], chunk, edge_order, spacing, dtype)
    rows = math.prod(node.chunks) // chunk
    wide = max(dtype.itemsize, 8)
    return Blocks(
        operation="gradient",
        call=call,
        keywords={},
        inputs=inputs,
        axes=followed,
        shape=node.shape,
        chunks=node.chunks,
        dtype=dtype,
        wants_block_id=True,
        borders=tuple(borders),
        extra_bytes=2 * rows * (chunk + 2 * edge_order) * wide,
    )
