"""Triangles and diagonals of matrices: the standard's ``tril`` and ``triu``, and what NumPy has beyond."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.creation import eye
from asyncexec.array.diagonals import diagonal
from asyncexec.array.dtypes import checked_dtype, zero_of
from asyncexec.array.generators import Diagonal, Triangle
from asyncexec.array.integers import as_shape, integer
from asyncexec.array.operands import chunk_limit
from asyncexec.array.padding import pad
from asyncexec.array.spec import Spec
from asyncexec.array.wrapping import as_array


def tril(x: Array, /, *, k: int = 0) -> Array:
    """Return ``x`` with zeros above the ``k``-th diagonal of each matrix (the last two axes).

    >>> xp.tril(xp.ones((3, 3), dtype=xp.int8)).compute()
    array([[1, 0, 0],
           [1, 1, 0],
           [1, 1, 1]], dtype=int8)

    Raises
    ------
    ValueError
        If there are fewer than two axes.
    """
    return _triangular("tril", x, integer(k, "k"), lower=True)


def triu(x: Array, /, *, k: int = 0) -> Array:
    """Return ``x`` with zeros below the ``k``-th diagonal of each matrix (the last two axes).

    >>> xp.triu(xp.ones((3, 3), dtype=xp.int8), k=1).compute()
    array([[0, 1, 1],
           [0, 0, 1],
           [0, 0, 0]], dtype=int8)

    Raises
    ------
    ValueError
        If there are fewer than two axes.
    """
    return _triangular("triu", x, integer(k, "k") - 1, lower=False)


def _triangular(operation: str, x: Array, k: int, *, lower: bool) -> Array:
    array = as_array(x, operation)
    if array.ndim < 2:
        raise ValueError(f"{operation} takes matrices, and the array has the shape {array.shape}")
    mask = build.creation(
        operation, Triangle(k), array.shape[-2:], array.node.chunks[-2:], np.dtype(np.bool_)
    )
    zero = array.dtype.type(0)
    chosen = (mask, array.node, zero) if lower else (mask, zero, array.node)
    node = build.apply_elementwise(operation, np.where, chosen, limit=chunk_limit(array.own_spec))
    return Array(node, array.own_spec)


def tri(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: Any = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return a matrix with ones on and below the ``k``-th diagonal, zeros above.

    >>> xp.tri(2, 3, dtype=xp.int8).compute()
    array([[1, 0, 0],
           [1, 1, 0]], dtype=int8)
    """
    shape = as_shape((n_rows, n_rows if n_cols is None else n_cols))
    wanted = checked_dtype(dtype or np.float64)
    limit = chunk_limit(spec)
    settled = chunking.normalize_chunks(chunks, shape, wanted.itemsize, limit=limit)
    node = build.creation("tri", Triangle(integer(k, "k")), shape, settled, np.dtype(np.bool_))
    return Array(build.cast(node, wanted), spec)


def diag(v: Array, /, *, k: int = 0) -> Array:
    """Return a matrix with ``v`` on the ``k``-th diagonal, zeros elsewhere; of a matrix, its ``k``-th diagonal.

    >>> xp.diag(xp.asarray([1, 2]), k=1).compute()
    array([[0, 1, 0],
           [0, 0, 2],
           [0, 0, 0]])

    Raises
    ------
    ValueError
        If there are neither one nor two axes.
    """
    array = as_array(v, "diag")
    offset = integer(k, "k")
    if array.ndim == 2:
        return diagonal(array, offset=offset)
    if array.ndim != 1:
        raise ValueError(f"diag takes one axis or two, and the array has the shape {array.shape}")
    n = array.shape[0] + abs(offset)
    zero = zero_of(array.dtype)
    longer = pad(array, (0, abs(offset)), constant_values=zero)
    values = longer[:, None] if offset >= 0 else longer[None, :]
    limit = chunk_limit(array.own_spec)
    chunks = chunking.shortened((array.node.chunks[0],) * 2, (n, n), array.itemsize, limit)
    mask = build.creation(
        "diag", Diagonal(offset, np.dtype(np.bool_)), (n, n), chunks, np.dtype(np.bool_)
    )
    chosen = (mask, values.node, zero)
    return Array(build.apply_elementwise("diag", np.where, chosen, limit=limit), array.own_spec)


def identity(n: int, /, *, dtype: Any = None, chunks: ChunksLike = "auto") -> Array:
    """Return the square matrix of ``n`` rows with ones on the diagonal, zeros elsewhere.

    >>> xp.identity(2).compute()
    array([[1., 0.],
           [0., 1.]])
    """
    return eye(n, dtype=dtype, chunks=chunks)
