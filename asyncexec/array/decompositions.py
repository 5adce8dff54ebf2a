"""Decompositions of rectangular matrices, of the array API standard's extension ``linalg``."""

from __future__ import annotations

import math
from typing import NamedTuple

from asyncexec.array import build, creation
from asyncexec.array.array import Array
from asyncexec.array.block_orthogonal import blocked_qr, panel_width
from asyncexec.array.dtypes import real_dtype
from asyncexec.array.matrix_arguments import adjoint_of, matrices_of
from asyncexec.array.matrix_kernels import complete_qr, full_svd
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.spec import Spec
from asyncexec.array.tall_qr import qr_nodes, wide_itemsize
from asyncexec.array.tall_svd import svd_nodes
from asyncexec.array.whole_matrices import MatrixOutput, in_whole_matrices, several_of_matrices
from asyncexec.errors import MemoryBudgetError
from asyncexec.plan.memory import format_bytes

_QR_COPIES, _SVD_COPIES = 4, 12
"""The number of copies of a square, in double precision, that NumPy makes on the way to all of Q, and of U and Vh."""

_BLOCKS_HELD = 8
"""The number of blocks, in double precision, that a task which decomposes one holds at least."""

_ROWS_PER_COLUMN = 4
"""The fewest rows of a block for each column, where memory allows it: the factors R are that much smaller."""


class QRResult(NamedTuple):
    """The factors of :func:`qr`.

    >>> xp.linalg.qr(xp.ones((6, 2)))._fields
    ('Q', 'R')
    """

    Q: Array
    R: Array


class SVDResult(NamedTuple):
    """The factors of :func:`svd`.

    >>> xp.linalg.svd(xp.ones((6, 2)))._fields
    ('U', 'S', 'Vh')
    """

    U: Array
    S: Array
    Vh: Array


def qr(x: Array, /, *, mode: str = "reduced") -> QRResult:
    """Return the QR decomposition of a matrix, or of each matrix of a stack: ``Q @ R`` is ``x``.

    Matrices are decomposed block of rows by block of rows, so that tasks hold one block of rows with all columns. One
    with too many columns for that is decomposed panel of columns by panel of columns.

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
        ``"complete"``: Q has the shape ``(..., M, M)`` and R ``(..., M, N)``; a task holds a whole matrix then.

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
        If there are fewer than two axes, or for another mode.
    MemoryBudgetError
        With ``"complete"``, if no whole Q fits into memory; otherwise if more than 100 panels would be needed.

    Examples
    --------
    >>> import asyncexec.array as xp
    >>> x = xp.ones((6, 2), chunks=(3, 2))
    >>> q, r = xp.linalg.qr(x)
    >>> q.shape, r.shape
    ((6, 2), (2, 2))
    """
    array = matrices_of(x, "qr")
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr() has no mode {mode!r}: use mode='reduced' or mode='complete'")
    if mode == "complete":
        return _complete_qr(array)
    *lead, m, n = array.shape
    if not array.size:
        k = min(m, n)
        empty = [
            creation.zeros(shape, dtype=array.dtype, spec=array.own_spec)
            for shape in ((*lead, m, k), (*lead, k, n))
        ]
        return QRResult(*empty)
    width = None if _row_block_bytes(array.node) <= array.spec.free_bytes else panel_width(array)
    if width is not None:
        return QRResult(*blocked_qr(array, width, qr))
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
        If False, U has the shape ``(..., M, K)``, S ``(..., K)`` and Vh ``(..., K, N)``, where K is the smaller of M
        and N. If True, U and Vh are square: unless M and N are equal, a task holds whole matrices then.

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
        If there are fewer than two axes.
    MemoryBudgetError
        If no block of the whole shorter side, with as many rows, fits into memory; with ``full_matrices``, if no square
        of the longer side does.

    Examples
    --------
    >>> x = xp.ones((6, 2), chunks=(3, 2))
    >>> u, s, vh = xp.linalg.svd(x, full_matrices=False)
    >>> u.shape, s.shape, vh.shape
    ((6, 2), (2,), (2, 2))
    """
    array = matrices_of(x, "svd")
    *lead, m, n = array.shape
    if full_matrices and m != n:
        return _full_svd(array)
    k = min(m, n)
    if not array.size:
        real = real_dtype(array.dtype)
        return SVDResult(
            creation.zeros((*lead, m, k), dtype=array.dtype, spec=array.own_spec),
            creation.zeros((*lead, k), dtype=real, spec=array.own_spec),
            creation.zeros((*lead, k, n), dtype=array.dtype, spec=array.own_spec),
        )
    if m < n:
        u, s, vh = svd(adjoint_of(array), full_matrices=False)
        return SVDResult(adjoint_of(vh), s, adjoint_of(u))
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
    return svd(matrices_of(x, "svdvals"), full_matrices=False).S


def _complete_qr(array: Array) -> QRResult:
    *lead, m, n = array.shape
    if not array.size:
        return QRResult(
            _identities(array, m),
            creation.zeros((*lead, m, n), dtype=array.dtype, spec=array.own_spec),
        )
    square = m * max(m, n)
    node = in_whole_matrices(
        "qr with mode='complete'", array.node, array.spec, _QR_COPIES, elements=square
    )
    made = [
        MatrixOutput(name="Q", shape=(m, m), dtype=array.dtype),
        MatrixOutput(name="R", shape=(m, n), dtype=array.dtype),
    ]
    nodes = several_of_matrices("qr", node, complete_qr, made, copies=_QR_COPIES, elements=square)
    return QRResult(*(Array(each, array.own_spec) for each in nodes))


def _full_svd(array: Array) -> SVDResult:
    *lead, m, n = array.shape
    k, real = min(m, n), real_dtype(array.dtype)
    if not array.size:
        singular = creation.zeros((*lead, k), dtype=real, spec=array.own_spec)
        return SVDResult(_identities(array, m), singular, _identities(array, n))
    square = max(m, n) ** 2
    node = in_whole_matrices(
        "svd with full_matrices=True", array.node, array.spec, _SVD_COPIES, elements=square
    )
    made = [
        MatrixOutput(name="U", shape=(m, m), dtype=array.dtype),
        MatrixOutput(name="S", shape=(k,), dtype=real),
        MatrixOutput(name="Vh", shape=(n, n), dtype=array.dtype),
    ]
    nodes = several_of_matrices("svd", node, full_svd, made, copies=_SVD_COPIES, elements=square)
    return SVDResult(*(Array(each, array.own_spec) for each in nodes))


def _identities(array: Array, n: int) -> Array:
    """Return a stack of identity matrices for one of matrices without elements."""
    one = creation.eye(n, dtype=array.dtype, spec=array.own_spec)
    limit = chunk_limit(array.own_spec)
    return Array(build.broadcast(one.node, (*array.shape[:-2], n, n), limit=limit), array.own_spec)


def _row_block_bytes(node: Node) -> int:
    """Return what a task needs that decomposes the fewest rows of one matrix that make sense."""
    m, n = node.shape[-2:]
    return _BLOCKS_HELD * min(m, 2 * n) * n * wide_itemsize(node.dtype)


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
