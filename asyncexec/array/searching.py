"""Searching functions of the array API standard."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.reducers import ArgExtreme
from asyncexec.array.statistical import reduced
from asyncexec.array.wrapping import as_array, elementwise


def where(condition: Array, x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1`` where ``condition`` is true, else ``x2``.

    >>> xp.where(xp.asarray([True, False]), xp.asarray([1, 2]), 0).compute()
    array([1, 0])
    """
    return elementwise("where", np.where, condition, x1, x2)


def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return the number of the first maximum along ``axis``, or in the array read in C order.

    >>> xp.argmax(xp.asarray([[3, 9], [9, 5]])).compute()
    array(1)

    Raises
    ------
    ValueError
        If there are no elements to choose from.
    """
    return _found("argmax", x, axis, largest=True, keepdims=keepdims)


def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return the number of the first minimum along ``axis``, or in the array read in C order.

    >>> xp.argmin(xp.asarray([[3, 9], [1, 5]]), axis=0).compute()
    array([1, 1])

    Raises
    ------
    ValueError
        If there are no elements to choose from.
    """
    return _found("argmin", x, axis, largest=False, keepdims=keepdims)


def _found(operation: str, x: Array, axis: int | None, *, largest: bool, keepdims: bool) -> Array:
    array = as_array(x, operation)
    if any(array.shape[a] == 0 for a in build.normalized_axes(axis, array.ndim)):
        raise ValueError(f"{operation} of no elements: shape {array.shape} along axis {axis}")
    reducer = ArgExtreme(array.dtype, array.shape, largest)
    return reduced(operation, reducer, array, axis, keepdims=keepdims)
