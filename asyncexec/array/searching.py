"""Searching functions of the array API standard."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.dtypes import as_element
from asyncexec.array.reducers import ArgExtreme
from asyncexec.array.statistical import reduced
from asyncexec.array.wrapping import as_array, elementwise


def where(condition: Array, x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1`` where ``condition`` is true, else ``x2``.

    >>> xp.where(xp.asarray([True, False]), xp.asarray([1, 2]), 0).compute()
    array([1, 0])

    Raises
    ------
    OverflowError
        If a Python integer is out of the range of the result's type.
    """
    operands = (x1, x2)
    if not all(_weak(x) or isinstance(getattr(x, "dtype", None), np.dtype) for x in operands):
        return elementwise("where", np.where, condition, x1, x2)
    # NumPy's own would wrap around a Python integer that is out of range.
    dtype = np.result_type(*(x if _weak(x) else x.dtype for x in operands))
    fitting = [as_element(x, dtype, what="an operand") if _weak(x) else x for x in operands]
    return elementwise("where", np.where, condition, *fitting, dtype=dtype)


def _weak(operand: Any) -> bool:
    """Return True for a Python number: it takes the type of the other operand."""
    return isinstance(operand, int | float | complex) and not isinstance(operand, np.generic)


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
