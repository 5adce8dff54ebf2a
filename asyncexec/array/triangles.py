"""Triangles of matrices: the creation functions of the array API standard that take an array."""

from __future__ import annotations

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.generators import Triangle
from asyncexec.array.integers import integer
from asyncexec.array.operands import chunk_limit
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
        operation, Triangle(k), array.shape[-2:], array.chunks[-2:], np.dtype(np.bool_)
    )
    zero = array.dtype.type(0)
    chosen = (mask, array.node, zero) if lower else (mask, zero, array.node)
    node = build.apply_elementwise(operation, np.where, chosen, limit=chunk_limit(array.own_spec))
    return Array(node, array.own_spec)
