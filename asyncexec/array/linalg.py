"""Linear algebra functions of the array API standard's extension ``linalg``."""

from __future__ import annotations

import math
from typing import NamedTuple

from asyncexec.array import build, creation
from asyncexec.array.arithmetic import conj
from asyncexec.array.array import Array
from asyncexec.array.dtypes import real_dtype
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.spec import Spec
from asyncexec.array.tall_qr import qr_nodes, wide_itemsize
from asyncexec.array.tall_svd import svd_nodes
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


class SVDResult(NamedTuple):
    """The factors of :func:`svd`."""

    U: Array
    S: Array
    Vh: Array


def qr(x: Array, /, *, mode: str = "reduced") -> QRResult:
    """Return the QR decomposition of a matrix, or of each matrix of a stack: ``Q @ R`` is ``x``.

    Matrices are decomposed block of rows by block of rows, so that tasks hold one block of rows with all columns. This
    is for tall matrices: the factor R, and a matrix that is not tall, must fit into a task's memory.

    >>> x = xp.asarray([[3.0, 1.0], [4.0, 2.0], [0.0, 2.0]], chunks=(2, 2))
    >>> q, r = xp.linalg.qr(x)
    >>> q.shape, r.shape
    ((3, 2), (2, 2))
    >>> np.allclose(q.compute() @ r.compute(), x.compute())
    True

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
    q, r = qr_nodes(_in_row_blocks(array.node, array.spec, most_bytes, "qr"), most_bytes)
    return QRResult(Array(q, array.own_spec), Array(r, array.own_spec))


def svd(x: Array, /, *, full_matrices: bool = True) -> SVDResult:
    """Return the singular value decomposition of a matrix, or of each matrix of a stack.

    ``U * S[..., None, :] @ Vh`` is ``x``. As in :func:`qr`, tasks hold a block of rows of a tall matrix (or a block of
    columns of a wide one), and a square of the shorter side must fit into a task's memory.

    >>> x = xp.asarray([[3.0, 0.0], [4.0, 0.0], [0.0, 2.0]], chunks=(2, 2))
    >>> u, s, vh = xp.linalg.svd(x, full_matrices=False)
    >>> s.compute()
    array([5., 2.])
    >>> u.shape, vh.shape
    ((3, 2), (2, 2))

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, N)``. Where its chunks divide the shorter side, it is rechunked.
    full_matrices : bool
        Must be False unless M and N are equal: U has the shape ``(..., M, K)``, S ``(..., K)`` and Vh ``(..., K, N)``,
        where K is the smaller of M and N.

    Returns
    -------
    SVDResult
        The namedtuple ``(U, S, Vh)``, the singular values S in descending order. Signs are those that the algorithm
        yields.

    Raises
    ------
    TypeError
        If the elements are not of a real or complex floating type of single or double precision.
    ValueError
        If there are fewer than two axes, or with ``full_matrices`` where M and N differ.
    MemoryBudgetError
        If no block of the whole shorter side, with as many rows, fits into memory.

    Examples
    --------
    >>> x = xp.ones((6, 2), chunks=(3, 2))
    >>> u, s, vh = xp.linalg.svd(x, full_matrices=False)
    >>> u.shape, s.shape, vh.shape
    ((6, 2), (2,), (2, 2))
    """
    array = _matrices(x, "svd")
    *lead, m, n = array.shape
    if full_matrices and m != n:
        raise ValueError(
            f"svd() of matrices of shape {(m, n)} with full_matrices=True is not supported, because U or Vh would have "
            f"as many rows and columns as the longer side: use full_matrices=False"
        )
    k = min(m, n)
    if not array.size:
        real = real_dtype(array.dtype)
        return SVDResult(
            creation.zeros((*lead, m, k), dtype=array.dtype, spec=array.own_spec),
            creation.zeros((*lead, k), dtype=real, spec=array.own_spec),
            creation.zeros((*lead, k, n), dtype=array.dtype, spec=array.own_spec),
        )
    if m < n:
        u, s, vh = svd(_adjoint(array), full_matrices=False)
        return SVDResult(_adjoint(vh), s, _adjoint(u))
    most_bytes = chunk_limit(array.own_spec) // 2
    nodes = svd_nodes(_in_row_blocks(array.node, array.spec, most_bytes, "svd"), most_bytes)
    return SVDResult(*(Array(node, array.own_spec) for node in nodes))


def svdvals(x: Array, /) -> Array:
    """Return the singular values of a matrix, or of each matrix of a stack, in descending order.

    See :func:`svd`; neither U nor Vh is stored, and no Q.

    >>> xp.linalg.svdvals(xp.eye(3) * 2).compute()
    array([2., 2., 2.])

    >>> xp.linalg.svdvals(xp.asarray([[3.0, 0.0], [4.0, 0.0], [0.0, 2.0]])).compute()
    array([5., 2.])
    """
    return svd(_matrices(x, "svdvals"), full_matrices=False).S


def _adjoint(array: Array) -> Array:
    return conj(array.mT) if array.dtype.kind == "c" else array.mT


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


def _in_row_blocks(node: Node, spec: Spec, most_bytes: int, operation: str) -> Node:
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
            f"{operation}() of an array of shape {node.shape} in chunks of {node.chunks} decomposes blocks of at least "
            f"{fewest} rows and all {n} columns, for which a task needs {format_bytes(needed)} and may hold "
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


__all__ = ["QRResult", "SVDResult", "qr", "svd", "svdvals"]
