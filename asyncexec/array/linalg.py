"""Linear algebra functions of the array API standard's extension ``linalg``."""

from __future__ import annotations

import math
from typing import NamedTuple

from asyncexec.array import build, creation
from asyncexec.array.array import Array
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.spec import Spec
from asyncexec.array.tall_qr import qr_nodes, wide_itemsize
from asyncexec.array.wrapping import as_array
from asyncexec.errors import MemoryBudgetError
from asyncexec.plan.memory import format_bytes

_TYPES = frozenset({"float32", "float64", "complex64", "complex128"})

_BLOCKS_HELD = 8
"""The number of blocks, in double precision, that a task which decomposes one holds at least."""

_ROWS_PER_COLUMN = 4
"""The fewest rows of a block for each column, where memory allows it: the factors R are that much smaller."""


class QRResult(NamedTuple):
    """The factors of :func:`qr`."""

    Q: Array
    R: Array


def qr(x: Array, /, *, mode: str = "reduced") -> QRResult:
    """Return the QR decomposition of a matrix, or of each matrix of a stack: ``Q @ R`` is ``x``.

    Matrices are decomposed block of rows by block of rows, so that tasks hold one block of rows with all columns. This
    is for tall matrices: the factor R, and a matrix that is not tall, must fit into a task's memory.

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, N)``. Where its chunks divide the columns, it is rechunked.
    mode : str
        ``"reduced"``: Q has the shape ``(..., M, K)`` and R ``(..., K, N)``, where K is the smaller of M and N.

    Returns
    -------
    QRResult
        The namedtuple ``(Q, R)``. The columns of Q are orthonormal, and R is upper triangular; the signs of its
        diagonal are those that the algorithm yields.

    Raises
    ------
    TypeError
        If the elements are not of a real or complex floating type of single or double precision.
    ValueError
        If there are fewer than two axes, or for another mode: ``"complete"`` is not supported.
    MemoryBudgetError
        If no block of all columns, with as many rows, fits into memory.

    Examples
    --------
    >>> import asyncexec.array as xp
    >>> x = xp.ones((6, 2), chunks=(3, 2))
    >>> q, r = xp.linalg.qr(x)
    >>> q.shape, r.shape
    ((6, 2), (2, 2))
    """
    array = _matrices(x, "qr")
    _check_mode(mode)
    *lead, m, n = array.shape
    if not array.size:
        k = min(m, n)
        empty = [
            creation.zeros(shape, dtype=array.dtype, spec=array.own_spec)
            for shape in ((*lead, m, k), (*lead, k, n))
        ]
        return QRResult(*empty)
    # A task holds about a dozen blocks, and "auto" chunks are a tenth of the memory.
    most_bytes = chunk_limit(array.own_spec) // 2
    q, r = qr_nodes(_in_row_blocks(array.node, array.spec, most_bytes), most_bytes)
    return QRResult(Array(q, array.own_spec), Array(r, array.own_spec))


def _check_mode(mode: str) -> None:
    if mode == "complete":
        raise ValueError(
            "mode='complete' of qr() is not supported, because its Q has as many columns as the matrix has rows: "
            "use mode='reduced'"
        )
    if mode != "reduced":
        raise ValueError(f"qr() has no mode {mode!r}: use mode='reduced'")


def _matrices(x: Array, operation: str) -> Array:
    array = as_array(x, operation)
    if array.ndim < 2:
        raise ValueError(
            f"{operation}() takes a matrix or a stack of matrices, and got an array of {array.ndim} axes"
        )
    if array.dtype.name not in _TYPES:
        raise TypeError(
            f"{operation}() takes elements of type {', '.join(sorted(_TYPES))}, and got {array.dtype}; "
            f"convert them, such as by .astype('float64')"
        )
    return array


def _in_row_blocks(node: Node, spec: Spec, most_bytes: int) -> Node:
    """Return ``node`` in chunks of all columns, and of at least as many rows where there are several.

    Raises
    ------
    MemoryBudgetError
        If no such chunk fits into memory.
    """
    *lead, rows, columns = node.chunks
    m, n = node.shape[-2:]
    wide = wide_itemsize(node.dtype)
    # Factors R of two blocks are decomposed together at least.
    fewest = min(m, 2 * n)
    if columns < n or rows < min(m, _ROWS_PER_COLUMN * n):
        lead, rows = _good_lengths(node, most_bytes // wide)
    needed = _BLOCKS_HELD * math.prod(lead) * fewest * n * wide
    if needed > spec.free_bytes:
        raise MemoryBudgetError(
            f"qr() of an array of shape {node.shape} in chunks of {node.chunks} decomposes blocks of at least {fewest} "
            f"rows and all {n} columns, for which a task needs {format_bytes(needed)} and may hold "
            f"{format_bytes(spec.free_bytes)}: decompose fewer columns, or allow at least "
            f"{format_bytes(needed + spec.reserved_bytes)} (allowed_mem)"
        )
    return build.with_chunks(node, (*lead, rows, n))


def _good_lengths(node: Node, most_elements: int) -> tuple[list[int], int]:
    """Return chunk lengths of the leading axes and of rows, for blocks of ``most_elements`` or less if that can be."""
    *lead, rows, _ = node.chunks
    m, n = node.shape[-2:]
    fewest = m if m < 2 * n else n
    while math.prod(lead) * fewest * n > most_elements and max(lead, default=1) > 1:
        axis = lead.index(max(lead))
        lead[axis] = -(-lead[axis] // 2)
    fitting = most_elements // (math.prod(lead) * n)
    wanted = max(rows, min(m, _ROWS_PER_COLUMN * n))
    # Whole chunks, where they are put together.
    wanted = -(-wanted // rows) * rows
    return lead, min(m, max(fewest, min(wanted, fitting)))


__all__ = ["QRResult", "qr"]
