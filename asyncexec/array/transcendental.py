"""Exponential, logarithmic, trigonometric and hyperbolic functions of the array API standard. Angles are in radians.

All broadcast; element types as in :mod:`asyncexec.array.arithmetic`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.wrapping import elementwise


def acos(x: Array, /) -> Array:
    """Return the arc cosine, from 0 to pi.

    >>> xp.acos(xp.asarray([1.0, 0.0])).compute()
    array([0.        , 1.57079633])
    """
    return elementwise("acos", np.arccos, x)


def acosh(x: Array, /) -> Array:
    """Return the inverse hyperbolic cosine.

    >>> xp.acosh(xp.asarray([1.0, 2.0])).compute()
    array([0.       , 1.3169579])
    """
    return elementwise("acosh", np.arccosh, x)


def asin(x: Array, /) -> Array:
    """Return the arc sine, from -pi/2 to pi/2.

    >>> xp.asin(xp.asarray([0.0, 1.0])).compute()
    array([0.        , 1.57079633])
    """
    return elementwise("asin", np.arcsin, x)


def asinh(x: Array, /) -> Array:
    """Return the inverse hyperbolic sine.

    >>> xp.asinh(xp.asarray([0.0, 1.0])).compute()
    array([0.        , 0.88137359])
    """
    return elementwise("asinh", np.arcsinh, x)


def atan(x: Array, /) -> Array:
    """Return the arc tangent, from -pi/2 to pi/2.

    >>> xp.atan(xp.asarray([0.0, 1.0])).compute()
    array([0.        , 0.78539816])
    """
    return elementwise("atan", np.arctan, x)


def atan2(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return the angle of the point (x2, x1), from -pi to pi.

    >>> xp.atan2(xp.asarray([1.0, -1.0]), xp.asarray([0.0, -1.0])).compute()
    array([ 1.57079633, -2.35619449])
    """
    return elementwise("atan2", np.arctan2, x1, x2)


def atanh(x: Array, /) -> Array:
    """Return the inverse hyperbolic tangent.

    >>> xp.atanh(xp.asarray([0.0, 0.5])).compute()
    array([0.        , 0.54930614])
    """
    return elementwise("atanh", np.arctanh, x)


def cos(x: Array, /) -> Array:
    """Return the cosine.

    >>> xp.cos(xp.asarray([0.0, xp.pi])).compute()
    array([ 1., -1.])
    """
    return elementwise("cos", np.cos, x)


def cosh(x: Array, /) -> Array:
    """Return the hyperbolic cosine.

    >>> xp.cosh(xp.asarray([0.0, 1.0])).compute()
    array([1.        , 1.54308063])
    """
    return elementwise("cosh", np.cosh, x)


def exp(x: Array, /) -> Array:
    """Return e to the power of ``x``.

    >>> xp.exp(xp.asarray([0.0, 1.0])).compute()
    array([1.        , 2.71828183])
    """
    return elementwise("exp", np.exp, x)


def expm1(x: Array, /) -> Array:
    """Return ``exp(x) - 1``, exact also near 0.

    >>> xp.expm1(xp.asarray([0.0, 1e-12])).compute()
    array([0.e+00, 1.e-12])
    """
    return elementwise("expm1", np.expm1, x)


def log(x: Array, /) -> Array:
    """Return the natural logarithm.

    >>> xp.log(xp.asarray([1.0, xp.e, 0.0])).compute()
    array([  0.,   1., -inf])
    """
    return elementwise("log", np.log, x)


def log1p(x: Array, /) -> Array:
    """Return ``log(1 + x)``, exact also near 0.

    >>> xp.log1p(xp.asarray([0.0, 1e-12])).compute()
    array([0.e+00, 1.e-12])
    """
    return elementwise("log1p", np.log1p, x)


def log2(x: Array, /) -> Array:
    """Return the logarithm to base 2.

    >>> xp.log2(xp.asarray([1.0, 8.0])).compute()
    array([0., 3.])
    """
    return elementwise("log2", np.log2, x)


def log10(x: Array, /) -> Array:
    """Return the logarithm to base 10.

    >>> xp.log10(xp.asarray([1.0, 1000.0])).compute()
    array([0., 3.])
    """
    return elementwise("log10", np.log10, x)


def logaddexp(x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``log(exp(x1) + exp(x2))``.

    >>> xp.logaddexp(xp.asarray([0.0]), xp.asarray([0.0])).compute()
    array([0.69314718])
    """
    return elementwise("logaddexp", np.logaddexp, x1, x2)


def sin(x: Array, /) -> Array:
    """Return the sine.

    >>> xp.sin(xp.asarray([0.0, xp.pi / 2])).compute()
    array([0., 1.])
    """
    return elementwise("sin", np.sin, x)


def sinh(x: Array, /) -> Array:
    """Return the hyperbolic sine.

    >>> xp.sinh(xp.asarray([0.0, 1.0])).compute()
    array([0.        , 1.17520119])
    """
    return elementwise("sinh", np.sinh, x)


def tan(x: Array, /) -> Array:
    """Return the tangent.

    >>> xp.tan(xp.asarray([0.0, xp.pi / 4])).compute()
    array([0., 1.])
    """
    return elementwise("tan", np.tan, x)


def tanh(x: Array, /) -> Array:
    """Return the hyperbolic tangent.

    >>> xp.tanh(xp.asarray([0.0, 1.0])).compute()
    array([0.        , 0.76159416])
    """
    return elementwise("tanh", np.tanh, x)
