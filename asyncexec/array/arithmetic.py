"""Arithmetic functions of the array API standard: sums, products, powers, rounding, signs and complex numbers.

All broadcast. Element types are what NumPy 2 makes of them, which contains the standard's rules: Python scalars are
weak, so that ``float32_array + 1.0`` is float32; of arrays of different kinds, which the standard leaves open, integers
and floats make floats (``int32 + float32`` is float64). Computing with NaN or infinity, and making them, does not warn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.integers import integer
from asyncexec.array.kernels import clip_above, clip_below
from asyncexec.array.wrapping import as_array, elementwise


def abs(x: Array, /) -> Array:
    """Return the absolute value (of complex numbers, the magnitude).

    >>> xp.abs(xp.asarray([-2.5, 3 + 4j])).compute()
    array([2.5, 5. ])
    """
    return elementwise("abs", np.abs, x)


def add(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 + x2``.

    >>> xp.add(xp.asarray([1, 2]), 0.5).compute()
    array([1.5, 2.5])
    """
    return elementwise("add", np.add, x1, x2)


def ceil(x: Array, /) -> Array:
    """Return the least integer not below each element; integers stay.

    >>> xp.ceil(xp.asarray([1.2, -1.2])).compute()
    array([ 2., -1.])
    """
    return _rounded("ceil", np.ceil, x)


def clip(x: Array, /, min: Array | Any = None, max: Array | Any = None) -> Array:
    """Return ``x`` with what lies below ``min`` set to it, and what lies above ``max``.

    Bounds may be arrays; None is no bound.

    >>> xp.clip(xp.arange(6), 1, 4).compute()
    array([1, 1, 2, 3, 4, 4])
    """
    if min is None and max is None:
        return elementwise("positive", np.array, x, dtype=x.dtype)
    if min is None:
        return elementwise("clip", clip_above, x, max)
    if max is None:
        return elementwise("clip", clip_below, x, min)
    return elementwise("clip", np.clip, x, min, max)


def conj(x: Array, /) -> Array:
    """Return the complex conjugate.

    >>> xp.conj(xp.asarray([1 + 2j])).compute()
    array([1.-2.j])
    """
    return elementwise("conj", np.conj, x)


def copysign(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return the magnitude of ``x1`` with the sign of ``x2``.

    >>> xp.copysign(xp.asarray([1.0, 2.0]), xp.asarray([-0.0, 3.0])).compute()
    array([-1.,  2.])
    """
    return elementwise("copysign", np.copysign, x1, x2)


def divide(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 / x2``, floating also for integers; infinity or NaN for a divisor of 0.

    >>> xp.divide(xp.asarray([1, 2]), xp.asarray([2, 0])).compute()
    array([0.5, inf])
    """
    return elementwise("divide", np.divide, x1, x2)


def floor(x: Array, /) -> Array:
    """Return the greatest integer not above each element; integers stay.

    >>> xp.floor(xp.asarray([1.8, -1.2])).compute()
    array([ 1., -2.])
    """
    return _rounded("floor", np.floor, x)


def floor_divide(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 // x2``, rounded down.

    >>> xp.floor_divide(xp.asarray([7, -7]), 2).compute()
    array([ 3, -4])
    """
    return elementwise("floor_divide", np.floor_divide, x1, x2)


def hypot(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``sqrt(x1**2 + x2**2)``.

    >>> xp.hypot(xp.asarray([3.0]), xp.asarray([4.0])).compute()
    array([5.])
    """
    return elementwise("hypot", np.hypot, x1, x2)


def imag(x: Array, /) -> Array:
    """Return the imaginary part of complex numbers.

    >>> xp.imag(xp.asarray([1 + 2j])).compute()
    array([2.])
    """
    return elementwise("imag", np.imag, x)


def maximum(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return the greater of the two; NaN where one is NaN.

    >>> xp.maximum(xp.asarray([1, 5]), xp.asarray([3, 2])).compute()
    array([3, 5])
    """
    return elementwise("maximum", np.maximum, x1, x2)


def minimum(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return the smaller of the two; NaN where one is NaN.

    >>> xp.minimum(xp.asarray([1, 5]), xp.asarray([3, 2])).compute()
    array([1, 2])
    """
    return elementwise("minimum", np.minimum, x1, x2)


def multiply(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 * x2``; both are broadcast to one shape.

    >>> xp.multiply(xp.asarray([[1], [2]]), xp.asarray([3, 4])).compute()
    array([[3, 4],
           [6, 8]])
    """
    return elementwise("multiply", np.multiply, x1, x2)


def negative(x: Array, /) -> Array:
    """Return ``-x``.

    >>> xp.negative(xp.asarray([1, -2])).compute()
    array([-1,  2])
    """
    return elementwise("negative", np.negative, x)


def nextafter(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return the next floating-point number after ``x1`` towards ``x2``.

    >>> xp.nextafter(xp.asarray([1.0]), xp.asarray([2.0])).compute() - 1
    array([2.22044605e-16])
    """
    return elementwise("nextafter", np.nextafter, x1, x2)


def positive(x: Array, /) -> Array:
    """Return ``+x``.

    >>> xp.positive(xp.asarray([1, -2])).compute()
    array([ 1, -2])
    """
    return elementwise("positive", np.positive, x)


def pow(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 ** x2``.

    >>> xp.pow(xp.asarray([2, 3]), 2).compute()
    array([4, 9])
    """
    return elementwise("pow", np.power, x1, x2)


def real(x: Array, /) -> Array:
    """Return the real part of complex numbers.

    >>> xp.real(xp.asarray([1 + 2j])).compute()
    array([1.])
    """
    return elementwise("real", np.real, x)


def reciprocal(x: Array, /) -> Array:
    """Return ``1 / x``, of floating-point numbers.

    >>> xp.reciprocal(xp.asarray([2.0, 4.0])).compute()
    array([0.5 , 0.25])
    """
    return elementwise("reciprocal", np.reciprocal, x)


def remainder(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 % x2``, with the sign of ``x2``.

    >>> xp.remainder(xp.asarray([7, -7]), 3).compute()
    array([1, 2])
    """
    return elementwise("remainder", np.remainder, x1, x2)


def round(x: Array, /, *, decimals: int = 0) -> Array:
    """Return the nearest integer, halves to the even one; integers stay.

    >>> xp.round(xp.asarray([0.5, 1.5, 2.4])).compute()
    array([0., 2., 2.])
    >>> xp.round(xp.asarray([1.234, 5.678]), decimals=1).compute()
    array([1.2, 5.7])

    Parameters
    ----------
    x : Array
    decimals : int
        Places after the point that are kept; negative ones count before it.
    """
    if decimals:
        return elementwise(
            "round", np.round, x, keywords={"decimals": integer(decimals, "decimals")}
        )
    return _rounded("round", np.round, x)


def sign(x: Array, /) -> Array:
    """Return -1, 0 or 1, in the type of ``x`` (of complex numbers, ``x / abs(x)``).

    >>> xp.sign(xp.asarray([-3.0, 0.0, 2.0])).compute()
    array([-1.,  0.,  1.])
    """
    return elementwise("sign", np.sign, x)


def signbit(x: Array, /) -> Array:
    """Return whether the sign is negative, also of -0.

    >>> xp.signbit(xp.asarray([-0.0, 0.0])).compute()
    array([ True, False])
    """
    return elementwise("signbit", np.signbit, x)


def sqrt(x: Array, /) -> Array:
    """Return the square root; NaN of negative numbers.

    >>> xp.sqrt(xp.asarray([4.0, -1.0])).compute()
    array([ 2., nan])
    """
    return elementwise("sqrt", np.sqrt, x)


def square(x: Array, /) -> Array:
    """Return ``x * x``.

    >>> xp.square(xp.asarray([2, -3])).compute()
    array([4, 9])
    """
    return elementwise("square", np.square, x)


def subtract(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 - x2``.

    >>> xp.subtract(10, xp.asarray([1, 2])).compute()
    array([9, 8])
    """
    return elementwise("subtract", np.subtract, x1, x2)


def trunc(x: Array, /) -> Array:
    """Return the integer part; integers stay.

    >>> xp.trunc(xp.asarray([1.8, -1.8])).compute()
    array([ 1., -1.])
    """
    return _rounded("trunc", np.trunc, x)


def _rounded(operation: str, function: Any, x: Array) -> Array:
    array = as_array(x, operation)
    # NumPy before 2.1 makes floats of integers here.
    return elementwise(operation, np.positive if array.dtype.kind in "iu" else function, array)
