"""Elementwise functions of the array API standard.

All broadcast. Element types are what NumPy 2 makes of them, which contains the standard's rules: Python scalars are
weak, so that ``float32_array + 1.0`` is float32; of arrays of different kinds, which the standard leaves open, integers
and floats make floats (``int32 + float32`` is float64). Computing with NaN or infinity, and making them, does not warn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.wrapping import elementwise


def abs(x: Array, /) -> Array:
    """Return the absolute value (of complex numbers, the magnitude)."""
    return elementwise("abs", np.abs, x)


def acos(x: Array, /) -> Array:
    """Return the arc cosine."""
    return elementwise("acos", np.arccos, x)


def acosh(x: Array, /) -> Array:
    """Return the inverse hyperbolic cosine."""
    return elementwise("acosh", np.arccosh, x)


def add(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 + x2``."""
    return elementwise("add", np.add, x1, x2)


def asin(x: Array, /) -> Array:
    """Return the arc sine."""
    return elementwise("asin", np.arcsin, x)


def asinh(x: Array, /) -> Array:
    """Return the inverse hyperbolic sine."""
    return elementwise("asinh", np.arcsinh, x)


def atan(x: Array, /) -> Array:
    """Return the arc tangent."""
    return elementwise("atan", np.arctan, x)


def atan2(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return the angle of the point (x2, x1)."""
    return elementwise("atan2", np.arctan2, x1, x2)


def atanh(x: Array, /) -> Array:
    """Return the inverse hyperbolic tangent."""
    return elementwise("atanh", np.arctanh, x)


def bitwise_and(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 & x2``."""
    return elementwise("bitwise_and", np.bitwise_and, x1, x2)


def bitwise_invert(x: Array, /) -> Array:
    """Return ``~x``."""
    return elementwise("bitwise_invert", np.invert, x)


def bitwise_left_shift(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 << x2``."""
    return elementwise("bitwise_left_shift", np.left_shift, x1, x2)


def bitwise_or(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 | x2``."""
    return elementwise("bitwise_or", np.bitwise_or, x1, x2)


def bitwise_right_shift(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 >> x2``."""
    return elementwise("bitwise_right_shift", np.right_shift, x1, x2)


def bitwise_xor(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 ^ x2``."""
    return elementwise("bitwise_xor", np.bitwise_xor, x1, x2)


def ceil(x: Array, /) -> Array:
    """Return the least integer not below each element; integers stay."""
    return _rounded("ceil", np.ceil, x)


def clip(x: Array, /, min: Array | Any = None, max: Array | Any = None) -> Array:
    """Return ``x`` with what lies below ``min`` set to it, and what lies above ``max``.

    Bounds may be arrays; None is no bound.
    """
    if min is None and max is None:
        return elementwise("positive", np.array, x, dtype=x.dtype)
    if min is None:
        return elementwise("clip", np.minimum, x, max)
    if max is None:
        return elementwise("clip", np.maximum, x, min)
    return elementwise("clip", np.clip, x, min, max)


def conj(x: Array, /) -> Array:
    """Return the complex conjugate."""
    return elementwise("conj", np.conj, x)


def copysign(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return the magnitude of ``x1`` with the sign of ``x2``."""
    return elementwise("copysign", np.copysign, x1, x2)


def cos(x: Array, /) -> Array:
    """Return the cosine."""
    return elementwise("cos", np.cos, x)


def cosh(x: Array, /) -> Array:
    """Return the hyperbolic cosine."""
    return elementwise("cosh", np.cosh, x)


def divide(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 / x2``."""
    return elementwise("divide", np.divide, x1, x2)


def equal(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 == x2``."""
    return elementwise("equal", np.equal, x1, x2)


def exp(x: Array, /) -> Array:
    """Return e to the power of x."""
    return elementwise("exp", np.exp, x)


def expm1(x: Array, /) -> Array:
    """Return ``exp(x) - 1``, exact also near 0."""
    return elementwise("expm1", np.expm1, x)


def floor(x: Array, /) -> Array:
    """Return the greatest integer not above each element; integers stay."""
    return _rounded("floor", np.floor, x)


def floor_divide(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 // x2``."""
    return elementwise("floor_divide", np.floor_divide, x1, x2)


def greater(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 > x2``."""
    return elementwise("greater", np.greater, x1, x2)


def greater_equal(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 >= x2``."""
    return elementwise("greater_equal", np.greater_equal, x1, x2)


def hypot(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``sqrt(x1**2 + x2**2)``."""
    return elementwise("hypot", np.hypot, x1, x2)


def imag(x: Array, /) -> Array:
    """Return the imaginary part."""
    return elementwise("imag", np.imag, x)


def isfinite(x: Array, /) -> Array:
    """Return whether elements are neither infinite nor NaN."""
    return elementwise("isfinite", np.isfinite, x)


def isinf(x: Array, /) -> Array:
    """Return whether elements are infinite."""
    return elementwise("isinf", np.isinf, x)


def isnan(x: Array, /) -> Array:
    """Return whether elements are NaN."""
    return elementwise("isnan", np.isnan, x)


def less(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 < x2``."""
    return elementwise("less", np.less, x1, x2)


def less_equal(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 <= x2``."""
    return elementwise("less_equal", np.less_equal, x1, x2)


def log(x: Array, /) -> Array:
    """Return the natural logarithm."""
    return elementwise("log", np.log, x)


def log1p(x: Array, /) -> Array:
    """Return ``log(1 + x)``, exact also near 0."""
    return elementwise("log1p", np.log1p, x)


def log2(x: Array, /) -> Array:
    """Return the logarithm to base 2."""
    return elementwise("log2", np.log2, x)


def log10(x: Array, /) -> Array:
    """Return the logarithm to base 10."""
    return elementwise("log10", np.log10, x)


def logaddexp(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``log(exp(x1) + exp(x2))``."""
    return elementwise("logaddexp", np.logaddexp, x1, x2)


def logical_and(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return whether both are true."""
    return elementwise("logical_and", np.logical_and, x1, x2)


def logical_not(x: Array, /) -> Array:
    """Return whether elements are false."""
    return elementwise("logical_not", np.logical_not, x)


def logical_or(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return whether one of them is true."""
    return elementwise("logical_or", np.logical_or, x1, x2)


def logical_xor(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return whether exactly one of them is true."""
    return elementwise("logical_xor", np.logical_xor, x1, x2)


def maximum(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return the greater of the two; NaN where one is NaN."""
    return elementwise("maximum", np.maximum, x1, x2)


def minimum(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return the smaller of the two; NaN where one is NaN."""
    return elementwise("minimum", np.minimum, x1, x2)


def multiply(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 * x2``."""
    return elementwise("multiply", np.multiply, x1, x2)


def negative(x: Array, /) -> Array:
    """Return ``-x``."""
    return elementwise("negative", np.negative, x)


def nextafter(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return the next floating-point number after ``x1`` towards ``x2``."""
    return elementwise("nextafter", np.nextafter, x1, x2)


def not_equal(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 != x2``."""
    return elementwise("not_equal", np.not_equal, x1, x2)


def positive(x: Array, /) -> Array:
    """Return ``+x``."""
    return elementwise("positive", np.positive, x)


def pow(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 ** x2``."""
    return elementwise("pow", np.power, x1, x2)


def real(x: Array, /) -> Array:
    """Return the real part."""
    return elementwise("real", np.real, x)


def reciprocal(x: Array, /) -> Array:
    """Return ``1 / x``."""
    return elementwise("reciprocal", np.reciprocal, x)


def remainder(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 % x2``, with the sign of ``x2``."""
    return elementwise("remainder", np.remainder, x1, x2)


def round(x: Array, /) -> Array:
    """Return the nearest integer, halves to the even one; integers stay."""
    return _rounded("round", np.round, x)


def sign(x: Array, /) -> Array:
    """Return -1, 0 or 1 (of complex numbers, ``x / abs(x)``)."""
    return elementwise("sign", np.sign, x)


def signbit(x: Array, /) -> Array:
    """Return whether the sign is negative, also of -0."""
    return elementwise("signbit", np.signbit, x)


def sin(x: Array, /) -> Array:
    """Return the sine."""
    return elementwise("sin", np.sin, x)


def sinh(x: Array, /) -> Array:
    """Return the hyperbolic sine."""
    return elementwise("sinh", np.sinh, x)


def sqrt(x: Array, /) -> Array:
    """Return the square root."""
    return elementwise("sqrt", np.sqrt, x)


def square(x: Array, /) -> Array:
    """Return ``x * x``."""
    return elementwise("square", np.square, x)


def subtract(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1 - x2``."""
    return elementwise("subtract", np.subtract, x1, x2)


def tan(x: Array, /) -> Array:
    """Return the tangent."""
    return elementwise("tan", np.tan, x)


def tanh(x: Array, /) -> Array:
    """Return the hyperbolic tangent."""
    return elementwise("tanh", np.tanh, x)


def trunc(x: Array, /) -> Array:
    """Return the integer part; integers stay."""
    return _rounded("trunc", np.trunc, x)


def _rounded(operation: str, function: Any, x: Array) -> Array:
    # NumPy before 2.1 makes floats of integers here.
    integral = x.dtype.kind in "biu"
    return elementwise(operation, np.positive if integral and x.dtype.kind != "b" else function, x)
