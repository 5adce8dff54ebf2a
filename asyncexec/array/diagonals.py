"""Diagonals and traces of matrices, of the array API standard's extension ``linalg``."""

from __future__ import annotations

from typing import Any

from asyncexec.array.array import Array
from asyncexec.array.diagonal_nodes import diagonal_of
from asyncexec.array.integers import integer
from asyncexec.array.operands import chunk_limit
from asyncexec.array.statistical import sum
from asyncexec.array.wrapping import as_array


def diagonal(x: Array, /, *, offset: int = 0) -> Array:
    """Return a diagonal of a matrix, or of each matrix of a stack (the last two axes).

    >>> xp.linalg.diagonal(xp.asarray([[1, 2, 3], [4, 5, 6]])).compute()
    array([1, 5])
    >>> xp.linalg.diagonal(xp.asarray([[1, 2, 3], [4, 5, 6]]), offset=1).compute()
    array([2, 6])

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, N)``.
    offset : int
        How far above the main diagonal (negative: below) it lies. One outside of the matrix has no elements.

    Raises
    ------
    ValueError
        If there are fewer than two axes.

    Notes
    -----
    Only squares around the diagonal are read.
    """
    return _diagonal("diagonal", x, offset)


def trace(x: Array, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """Return the sum of a diagonal of a matrix, or of each matrix of a stack; see :func:`diagonal`.

    >>> xp.linalg.trace(xp.asarray([[1, 2], [3, 4]])).compute()
    array(5)

    Parameters
    ----------
    x : Array
    offset : int
    dtype : dtype, optional
        Of the result; by default that of :func:`sum`.

    Raises
    ------
    ValueError
        If there are fewer than two axes.
    """
    return sum(_diagonal("trace", x, offset), axis=-1, dtype=dtype)


def _diagonal(operation: str, x: Array, offset: int) -> Array:
    array = as_array(x, operation)
    if array.ndim < 2:
        raise ValueError(
            f"{operation}() takes a matrix or a stack of matrices, and got an array of {array.ndim} axes"
        )
    above = integer(offset, "offset")
    node = diagonal_of(
        array.node,
        row=max(0, -above),
        column=max(0, above),
        limit=chunk_limit(array.own_spec),
    )
    return Array(node, array.own_spec)
