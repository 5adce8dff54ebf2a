"""The Cholesky factors of matrices, of the array API standard's extension ``linalg``, block by block.

A matrix that takes more than a good chunk is factored column of blocks by column of blocks: its block on the diagonal
by one task, those below by a triangular solution each, and what is right of it is updated by the product of that
column with its adjoint (the right-looking algorithm: Golub, Van Loan, "Matrix Computations", section 4.2).
"""

from __future__ import annotations

import math
from typing import Any

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.factor_kernels import factor_column
from asyncexec.array.generators import Full
from asyncexec.array.matrix_arguments import adjoint_of, square_matrices
from asyncexec.array.matrix_kernels import lower_factor
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.products import matmul
from asyncexec.array.tall_qr import wide_itemsize
from asyncexec.array.whole_matrices import in_whole_matrices, one_of_matrices

_COPIES = 3
"""The number of copies of a block, in double precision, that NumPy and LAPACK make on the way."""

_BLOCKS_HELD = 16
"""The number of blocks, in double precision, that a task which solves for one holds at most."""

_BLOCKS_ALONG = 16
"""The number of blocks along a side that is aimed at, where memory allows blocks as large as that."""


def cholesky(x: Array, /, *, upper: bool = False) -> Array:
    """Return the Cholesky factor L of a Hermitian positive definite matrix, or of each of a stack.

    ``L @ conj(L.mT)`` is ``x``.

    >>> xp.linalg.cholesky(xp.asarray([[4.0, 2.0], [2.0, 5.0]])).compute()
    array([[2., 0.],
           [1., 2.]])

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, M)``; only the lower triangle is used. Where a matrix is not positive definite, the
        computation fails.
    upper : bool
        Whether to return the adjoint of L, which is upper triangular.

    Raises
    ------
    TypeError
        If the elements are not of a real or complex floating type of single or double precision.
    ValueError
        If matrices are not square.

    Notes
    -----
    A matrix of up to about 64 MB (less where little memory is allowed) is factored by one task, a larger one by tasks
    that hold a few blocks of it.
    """
    array = square_matrices(x, "cholesky")
    side = array.shape[-1]
    limit = chunk_limit(array.own_spec)
    if side * side * wide_itemsize(array.dtype) <= limit or side <= 1:
        node = in_whole_matrices("cholesky", array.node, array.spec, _COPIES)
        found = Array(_factor(node), array.own_spec)
    else:
        found = blocked_cholesky(array, _block_length(array))
    return adjoint_of(found) if upper else found


def blocked_cholesky(array: Array, block: int) -> Array:
    """Return the lower Cholesky factor of each matrix of ``array``, in blocks of ``block`` rows and columns."""
    lead = array.node.chunks[:-2]
    spec = array.own_spec
    rest = array.rechunk((*lead, block, block))
    columns: list[Array] = []
    done = 0
    while True:
        left = rest.shape[-1]
        corner = Array(_factor(rest[..., :block, :block].node), spec)
        above = _zeros(array, done, min(block, left))
        if left <= block:
            columns.append(_under(above, corner))
            break
        column = Array(_column(rest[..., :, :block].node, corner.node), spec)
        columns.append(_under(above, column))
        panel = column[..., block:, :]
        update = matmul(panel, adjoint_of(panel))
        rest = (rest[..., block:, block:] - update).rechunk((*lead, block, block))
        done += block
    nodes = [column.node for column in columns]
    return Array(build.concatenate(nodes, array.ndim - 1, array.dtype, "cholesky"), spec)


def _block_length(array: Array) -> int:
    """Return a good number of rows and columns of blocks, for which tasks stay within memory."""
    side = array.shape[-1]
    wide = wide_itemsize(array.dtype) * math.prod(array.node.chunks[:-2])
    most = math.isqrt(max(1, array.spec.free_bytes // (_BLOCKS_HELD * wide)))
    own = max(array.node.chunks[-2:])
    return max(1, min(most, side, max(own, -(-side // _BLOCKS_ALONG))))


def _factor(node: Node) -> Node:
    return one_of_matrices(
        "cholesky",
        node,
        lower_factor,
        shape=node.shape[-2:],
        dtype=node.dtype,
        copies=_COPIES,
    )


def _column(blocks: Node, corner: Node) -> Node:
    """Return a column of blocks of the factor, from that of the matrix and its first block."""
    ndim = len(blocks.shape)
    own: tuple[Any, ...] = (*range(ndim - 1), None)
    return Blocks(
        operation="cholesky",
        call=factor_column,
        keywords={},
        inputs=(blocks, corner),
        axes=(own, (*range(ndim - 2), None, None)),
        shape=blocks.shape,
        chunks=blocks.chunks,
        dtype=blocks.dtype,
        wants_block_id=True,
        extra_bytes=4 * math.prod(blocks.chunks) * wide_itemsize(blocks.dtype),
    )


def _zeros(array: Array, rows: int, columns: int) -> Node | None:
    if not rows:
        return None
    shape = (*array.shape[:-2], rows, columns)
    chunks = (*array.node.chunks[:-2], columns, columns)
    make = Full(0, array.dtype)
    return build.creation("zeros", make, shape, chunks, array.dtype, aliases=True)


def _under(above: Node | None, column: Array) -> Array:
    if above is None:
        return column
    parts = [above, column.node]
    return Array(build.concatenate(parts, column.ndim - 2, column.dtype, "cholesky"))
