"""Utility functions of the array API standard."""

from __future__ import annotations

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.reducers import Accumulate
from asyncexec.array.statistical import Axis, reduced
from asyncexec.array.wrapping import as_array


def all(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return whether all elements along ``axis`` are true.

    >>> xp.all(xp.asarray([[True, False], [True, True]]), axis=1).compute()
    array([False,  True])
    """
    return _tested("all", np.logical_and, x, axis, keepdims=keepdims)


def any(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return whether any element along ``axis`` is true.

    >>> xp.any(xp.asarray([[False, False], [True, False]]), axis=1).compute()
    array([False,  True])
    """
    return _tested("any", np.logical_or, x, axis, keepdims=keepdims)


def _tested(operation: str, ufunc: np.ufunc, x: Array, axis: Axis, *, keepdims: bool) -> Array:
    truth = np.dtype(np.bool_)
    reducer = Accumulate(ufunc, truth, truth)
    return reduced(operation, reducer, as_array(x, operation), axis, keepdims=keepdims)
