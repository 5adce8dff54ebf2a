"""Norms of vectors and matrices, of the array API standard's extension ``linalg``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build, creation
from asyncexec.array.arithmetic import abs, imag, pow, real, sqrt, square
from asyncexec.array.array import Array
from asyncexec.array.data_types import astype
from asyncexec.array.decompositions import svdvals
from asyncexec.array.dtypes import real_dtype
from asyncexec.array.manipulation import expand_dims
from asyncexec.array.matrix_arguments import floating_array, matrices_of
from asyncexec.array.statistical import max, min, sum

_ROWS, _COLUMNS = -1, -2
_ORDERS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)


def vector_norm(
    x: Array,
    /,
    *,
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
    ord: float = 2,
) -> Array:
    """Return the norm of vectors along ``axis`` (one, several together, or all).

    >>> xp.linalg.vector_norm(xp.asarray([3.0, 4.0])).compute()
    array(5.)
    >>> xp.linalg.vector_norm(xp.asarray([[3.0, 4.0], [6.0, 8.0]]), axis=1, ord=1).compute()
    array([ 7., 14.])

    Parameters
    ----------
    x : Array
    axis : int or sequence of int, optional
    keepdims : bool
        Whether these axes stay, with length 1.
    ord : float
        The order p of ``sum(abs(x) ** p) ** (1 / p)``; infinity is the largest magnitude, minus infinity the smallest,
        and 0 counts what is not zero.

    Returns
    -------
    Array
        Of real elements of the precision of ``x``.

    Raises
    ------
    TypeError
        If the elements are not of a real or complex floating type of single or double precision.
    ValueError
        If the smallest of no elements is asked for.
    """
    array = floating_array(x, "vector_norm")
    ord = ord.item() if isinstance(ord, np.generic | np.ndarray) and ord.ndim == 0 else ord
    if not isinstance(ord, int | float):
        raise TypeError(f"ord of vector_norm() is a number, not {ord!r}")
    lengths = [array.shape[a] for a in build.normalized_axes(axis, array.ndim)]
    # The largest of no magnitudes is 0, as their sum is.
    if ord == math.inf and all(lengths):
        return max(abs(array), axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return min(abs(array), axis=axis, keepdims=keepdims)
    if ord == 2:
        return sqrt(sum(_squares(array), axis=axis, keepdims=keepdims))
    if ord == 0:
        count = astype(array != 0, real_dtype(array.dtype))
        return sum(count, axis=axis, keepdims=keepdims)
    if ord in (1, math.inf):
        return sum(abs(array), axis=axis, keepdims=keepdims)
    power: Any = float(ord)
    return pow(sum(pow(abs(array), power), axis=axis, keepdims=keepdims), 1 / power)


def matrix_norm(x: Array, /, *, keepdims: bool = False, ord: float | str | None = "fro") -> Array:
    """Return the norm of a matrix, or of each matrix of a stack.

    >>> x = xp.asarray([[1.0, -2.0], [3.0, 4.0]])
    >>> xp.linalg.matrix_norm(x, ord=1).compute(), xp.linalg.matrix_norm(x, ord=xp.inf).compute()
    (array(6.), array(7.))

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, N)``.
    keepdims : bool
        Whether the last two axes stay, with length 1.
    ord : float or str, optional
        ``"fro"`` (or None) is the root of the sum of squared magnitudes, ``"nuc"`` the sum of the singular values, 1
        the largest sum of magnitudes of a column, infinity that of a row, 2 the largest singular value. The smallest
        of these are -1, minus infinity and -2.

    Returns
    -------
    Array
        Of real elements of the precision of ``x``.

    Raises
    ------
    TypeError
        If the elements are not of a real or complex floating type of single or double precision.
    ValueError
        If there are fewer than two axes, the order is another, or the smallest of nothing is asked for.
    MemoryBudgetError
        As :func:`svdvals`, for those that are made of singular values.
    """
    array = matrices_of(x, "matrix_norm")
    if ord is not None and ord not in _ORDERS:
        raise ValueError(f"matrix_norm() has no ord={ord!r}: use {', '.join(map(repr, _ORDERS))}")
    if not array.size and 0 in array.shape[-2:] and ord in (1, 2, math.inf):
        tail = (1, 1) if keepdims else ()
        shape = (*array.shape[:-2], *tail)
        return creation.zeros(shape, dtype=real_dtype(array.dtype), spec=array.own_spec)
    if ord is None or ord == "fro":
        return sqrt(sum(_squares(array), axis=(-2, -1), keepdims=keepdims))
    if isinstance(ord, str) or ord in (2, -2):
        found = _of_singular_values(svdvals(array), ord)
    else:
        along = _COLUMNS if ord in (1, -1) else _ROWS
        sums = sum(abs(array), axis=along)
        found = max(sums, axis=-1) if ord > 0 else min(sums, axis=-1)
    return expand_dims(found, axis=(-2, -1)) if keepdims else found


def _of_singular_values(values: Array, ord: float | str) -> Array:
    if isinstance(ord, str):
        return sum(values, axis=-1)
    return max(values, axis=-1) if ord > 0 else min(values, axis=-1)


def _squares(array: Array) -> Array:
    """Return the squared magnitudes of elements."""
    if array.dtype.kind == "c":
        return square(real(array)) + square(imag(array))
    return square(array)
