"""Comparisons, tests of truth and operations on bits, of the array API standard.

All broadcast; element types as in :mod:`asyncexec.array.arithmetic`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.wrapping import elementwise


def bitwise_and(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 & x2``.

    >>> xp.bitwise_and(xp.asarray([5, 6]), 3).compute()
    array([1, 2])
    """
    return elementwise("bitwise_and", np.bitwise_and, x1, x2)


def bitwise_invert(x: Array, /) -> Array:
    """Return ``~x``.

    >>> xp.bitwise_invert(xp.asarray([0, 5])).compute()
    array([-1, -6])
    """
    return elementwise("bitwise_invert", np.invert, x)


def bitwise_left_shift(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 << x2``.

    >>> xp.bitwise_left_shift(xp.asarray([1, 3]), 2).compute()
    array([ 4, 12])
    """
    return elementwise("bitwise_left_shift", np.left_shift, x1, x2)


def bitwise_or(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 | x2``.

    >>> xp.bitwise_or(xp.asarray([5, 6]), 3).compute()
    array([7, 7])
    """
    return elementwise("bitwise_or", np.bitwise_or, x1, x2)


def bitwise_right_shift(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 >> x2``.

    >>> xp.bitwise_right_shift(xp.asarray([4, 12]), 2).compute()
    array([1, 3])
    """
    return elementwise("bitwise_right_shift", np.right_shift, x1, x2)


def bitwise_xor(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 ^ x2``.

    >>> xp.bitwise_xor(xp.asarray([5, 6]), 3).compute()
    array([6, 5])
    """
    return elementwise("bitwise_xor", np.bitwise_xor, x1, x2)


def equal(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 == x2``.

    >>> xp.equal(xp.asarray([1, 2, 3]), 2).compute()
    array([False,  True, False])
    """
    return elementwise("equal", np.equal, x1, x2)


def greater(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 > x2``.

    >>> xp.greater(xp.asarray([1, 2, 3]), 2).compute()
    array([False, False,  True])
    """
    return elementwise("greater", np.greater, x1, x2)


def greater_equal(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 >= x2``.

    >>> xp.greater_equal(xp.asarray([1, 2, 3]), 2).compute()
    array([False,  True,  True])
    """
    return elementwise("greater_equal", np.greater_equal, x1, x2)


def isfinite(x: Array, /) -> Array:
    """Return whether elements are neither infinite nor NaN.

    >>> xp.isfinite(xp.asarray([1.0, xp.inf, xp.nan])).compute()
    array([ True, False, False])
    """
    return elementwise("isfinite", np.isfinite, x)


def isinf(x: Array, /) -> Array:
    """Return whether elements are infinite.

    >>> xp.isinf(xp.asarray([1.0, -xp.inf, xp.nan])).compute()
    array([False,  True, False])
    """
    return elementwise("isinf", np.isinf, x)


def isnan(x: Array, /) -> Array:
    """Return whether elements are NaN.

    >>> xp.isnan(xp.asarray([1.0, xp.inf, xp.nan])).compute()
    array([False, False,  True])
    """
    return elementwise("isnan", np.isnan, x)


def less(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 < x2``.

    >>> xp.less(xp.asarray([1, 2, 3]), 2).compute()
    array([ True, False, False])
    """
    return elementwise("less", np.less, x1, x2)


def less_equal(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 <= x2``.

    >>> xp.less_equal(xp.asarray([1, 2, 3]), 2).compute()
    array([ True,  True, False])
    """
    return elementwise("less_equal", np.less_equal, x1, x2)


def logical_and(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return whether both are true.

    >>> xp.logical_and(xp.asarray([True, True]), xp.asarray([True, False])).compute()
    array([ True, False])
    """
    return elementwise("logical_and", np.logical_and, x1, x2)


def logical_not(x: Array, /) -> Array:
    """Return whether elements are false.

    >>> xp.logical_not(xp.asarray([True, False])).compute()
    array([False,  True])
    """
    return elementwise("logical_not", np.logical_not, x)


def logical_or(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return whether one of them is true.

    >>> xp.logical_or(xp.asarray([True, False]), xp.asarray([False, False])).compute()
    array([ True, False])
    """
    return elementwise("logical_or", np.logical_or, x1, x2)


def logical_xor(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return whether exactly one of them is true.

    >>> xp.logical_xor(xp.asarray([True, True]), xp.asarray([True, False])).compute()
    array([False,  True])
    """
    return elementwise("logical_xor", np.logical_xor, x1, x2)


def not_equal(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 != x2``.

    >>> xp.not_equal(xp.asarray([1, 2, 3]), 2).compute()
    array([ True, False,  True])
    """
    return elementwise("not_equal", np.not_equal, x1, x2)
