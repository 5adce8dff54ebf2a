"""Diagonals of matrices as nodes: a task reads the squares around its part of the diagonal, and nothing else."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from asyncexec.array import build
from asyncexec.array.kernels import BlockFunction
from asyncexec.array.matrix_kernels import DiagonalOfBlock
from asyncexec.array.nodes import DType, Node
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class DiagonalOfMatrix:
    """The diagonal over the last two axes of the input, which begins at ``row`` and ``column``."""

    inputs: tuple[Node]
    row: int
    column: int
    shape: Shape
    chunks: Shape
    dtype: DType
    operation: str = "diagonal"
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        ndim, length = len(self.shape), self.shape[-1]
        found = out.through(
            (
                *(AxisAccess.view(axis, n) for axis, n in enumerate(self.shape[:-1])),
                AxisAccess.view(ndim - 1, length, 1, self.row),
                AxisAccess.view(ndim - 1, length, 1, self.column),
            )
        )
        if found is None:
            raise ValueError(f"{self.operation} cannot be computed for {out!r} on the way")
        return (found,)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        # The square around a longer part would be much larger than what is needed of it.
        return out.axes[-1].most <= self.chunks[-1]

    def function(self, out: AccessMap) -> BlockFunction:
        return DiagonalOfBlock()

    def working_bytes(self, out: AccessMap) -> int:
        return 0


def diagonal_of(node: Node, *, row: int = 0, column: int = 0, limit: int) -> Node:
    """Return the diagonal over the last two axes of ``node`` that begins at ``row`` and ``column``.

    The square that a task reads takes ``limit`` bytes or less, where that can be.
    """
    *lead, m, n = node.shape
    *lead_chunks, rows, columns = node.chunks
    length = max(0, min(m - row, n - column))
    around = math.prod(lead_chunks) * node.dtype.itemsize
    chunk = max(1, min(rows, columns, math.isqrt(max(1, limit // around)), length))
    return DiagonalOfMatrix(
        inputs=(node,),
        row=row,
        column=column,
        shape=(*lead, length),
        chunks=(*lead_chunks, chunk),
        dtype=node.dtype,
    )


def diagonal_of_axes(node: Node, first: int, second: int, *, limit: int) -> Node:
    """Return the diagonal over two axes of the same length; it is the last axis of the result."""
    rest = [axis for axis in range(len(node.shape)) if axis not in (first, second)]
    return diagonal_of(build.permute(node, (*rest, first, second)), limit=limit)
