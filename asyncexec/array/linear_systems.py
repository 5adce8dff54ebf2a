"""Systems of linear equations, of the array API standard's extension ``linalg``."""

from __future__ import annotations

import math

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.block_orthogonal import blocked_solution, panel_width
from asyncexec.array.decompositions import qr
from asyncexec.array.manipulation import broadcast_to
from asyncexec.array.matrix_arguments import floating_array, square_matrices
from asyncexec.array.matrix_kernels import solution
from asyncexec.array.nodes import Node
from asyncexec.array.operands import common_spec
from asyncexec.array.spec import Spec
from asyncexec.array.tall_qr import wide_itemsize
from asyncexec.errors import MemoryBudgetError
from asyncexec.plan.box import Shape
from asyncexec.plan.memory import format_bytes

_MATRICES, _COLUMNS = 5, 7
"""The number of copies of the matrix and of the right-hand sides, in double precision, that a task holds at most."""


def solve(x1: Array, x2: Array, /) -> Array:
    """Return the solution of systems of linear equations: ``x1 @ solution`` is ``x2``.

    >>> x = xp.asarray([[2.0, 0.0], [1.0, 1.0]])
    >>> xp.linalg.solve(x, xp.asarray([4.0, 5.0])).compute()
    array([2., 3.])

    Parameters
    ----------
    x1 : Array
        Square matrices, of shape ``(..., M, M)``. Where one is singular, the computation fails.
    x2 : Array
        One vector of shape ``(M,)``, or columns of shape ``(..., M, K)``; the other axes are broadcast.

    Returns
    -------
    Array
        Of shape ``(..., M)`` or ``(..., M, K)``, and of the common type.

    Raises
    ------
    TypeError
        If the elements are not of a real or complex floating type of single or double precision.
    ValueError
        If matrices are not square, or the shapes do not fit.
    MemoryBudgetError
        If a matrix does not fit into a task's memory, and has more than 100 panels of columns that do.

    Notes
    -----
    A matrix that fits is decomposed by one task (LU, with row exchanges), for each block of right-hand sides. A larger
    one is made orthogonal panel of columns by panel of columns, with the right-hand sides as further columns.
    """
    matrices = square_matrices(x1, "solve")
    right = floating_array(x2, "solve")
    side = matrices.shape[-1]
    if not right.ndim or right.shape[-2 if right.ndim > 1 else 0] != side:
        raise ValueError(
            f"solve() of matrices of shape {matrices.shape} with right-hand sides of shape {right.shape}: there must "
            f"be {side} elements in each"
        )
    spec = common_spec((matrices.own_spec, right.own_spec))
    dtype = np.result_type(matrices.dtype, right.dtype)
    left, other = (Array(build.cast(each.node, dtype), spec) for each in (matrices, right))
    if right.ndim > 1:
        return _solved(left, other)
    return _solved(left, other[:, None])[..., 0]


def _solved(left: Array, right: Array) -> Array:
    """Return the solutions with right-hand sides in columns."""
    width = panel_width(left) if _needed_bytes(left.node) > left.spec.free_bytes else None
    if width is None:
        return Array(_solved_whole(left.node, right.node, left.spec), left.own_spec)
    lead = chunking.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    one, other = (broadcast_to(each, (*lead, *each.shape[-2:])) for each in (left, right))
    return blocked_solution(one, other, width, qr, _solved)


def _needed_bytes(node: Node) -> int:
    """Return what a task needs that solves one system with one right-hand side."""
    side = node.shape[-1]
    return side * wide_itemsize(node.dtype) * (_MATRICES * side + _COLUMNS)


def _solved_whole(left: Node, right: Node, spec: Spec) -> Node:
    """Return the solutions that tasks make of whole matrices."""
    lead = chunking.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    side, columns = right.shape[-2:]
    together, width = _lengths(left, right, lead, spec)
    shape, chunks = (*lead, side, columns), (*together, max(1, side), width)
    ndim = len(shape)
    tail = tuple(None for _ in range(2))
    inputs = tuple(
        _aligned_matrices(node, lead, together, last)
        for node, last in ((left, side), (right, width))
    )
    one, other = (range(ndim - len(node.shape), ndim - 2) for node in inputs)
    return Blocks(
        operation="solve",
        call=solution,
        keywords={},
        inputs=inputs,
        axes=((*one, *tail), (*other, None, ndim - 1)),
        shape=shape,
        chunks=chunking.clipped(chunks, shape),
        dtype=left.dtype,
        extra_bytes=math.prod(together) * side * (2 * side + 3 * width) * wide_itemsize(left.dtype),
    )


def _aligned_matrices(node: Node, lead: Shape, together: Shape, last: int) -> Node:
    own = len(node.shape) - 2
    skipped = len(lead) - own
    stack = tuple(
        1 if n == 1 else c for n, c in zip(node.shape[:own], together[skipped:], strict=True)
    )
    return build.with_chunks(node, (*stack, node.shape[-2], last))


def _lengths(left: Node, right: Node, lead: Shape, spec: Spec) -> tuple[Shape, int]:
    """Return the chunk lengths of the stack, and how many right-hand sides a task solves for.

    Raises
    ------
    MemoryBudgetError
        If one matrix with one right-hand side does not fit.
    """
    side, columns = right.shape[-2:]
    unit = side * wide_itemsize(left.dtype)
    needed = _needed_bytes(left)
    if needed > spec.free_bytes:
        most = math.isqrt(spec.free_bytes // (_MATRICES * wide_itemsize(left.dtype)))
        raise MemoryBudgetError(
            f"solve() of matrices of shape {left.shape} in chunks of {left.chunks} decomposes whole matrices of {side} "
            f"x {side} elements, for which a task needs {format_bytes(needed)} and may hold "
            f"{format_bytes(spec.free_bytes)}: allow at least {format_bytes(needed + spec.reserved_bytes)} "
            f"(allowed_mem), or take matrices of at most {most} x {most}"
        )
    # Each task decomposes its matrix again, so that it solves for as many right-hand sides as fit.
    room = spec.free_bytes // max(1, unit) - _MATRICES * side
    width = max(1, min(columns, max(right.chunks[-1], side), room // (2 * _COLUMNS)))
    each = unit * (_MATRICES * side + _COLUMNS * width)
    known = [(node.shape[:-2], node.chunks[:-2], node.dtype.itemsize) for node in (left, right)]
    together = list(chunking.unify_chunks(lead, known, left.dtype.itemsize))
    while math.prod(together) * each > spec.free_bytes and max(together, default=1) > 1:
        axis = together.index(max(together))
        together[axis] = -(-together[axis] // 2)
    return tuple(together), width
