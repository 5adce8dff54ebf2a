"""The functions of NumPy that array modules have as well: names in the standard, and the kinds of elements they take.

Where modules differ from NumPy (division of integers by zero, shifts by more than a number has bits, powers and
rounding of integers), a function is not here, or not with these kinds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_NUMBERS = "iufc"
_INEXACT = "fc"

_BY_KINDS: dict[str, dict[Any, str]] = {
    _NUMBERS: {
        np.abs: "abs",
        np.add: "add",
        np.multiply: "multiply",
        np.negative: "negative",
        np.positive: "positive",
        np.square: "square",
        np.subtract: "subtract",
    },
    _INEXACT: {
        np.arccos: "acos",
        np.arccosh: "acosh",
        np.arcsin: "asin",
        np.arcsinh: "asinh",
        np.arctan: "atan",
        np.arctanh: "atanh",
        np.cos: "cos",
        np.cosh: "cosh",
        np.divide: "divide",
        np.exp: "exp",
        np.expm1: "expm1",
        np.isfinite: "isfinite",
        np.isinf: "isinf",
        np.isnan: "isnan",
        np.log: "log",
        np.log10: "log10",
        np.log1p: "log1p",
        np.log2: "log2",
        np.reciprocal: "reciprocal",
        np.sin: "sin",
        np.sinh: "sinh",
        np.sqrt: "sqrt",
        np.tan: "tan",
        np.tanh: "tanh",
    },
    "f": {
        np.arctan2: "atan2",
        np.copysign: "copysign",
        np.floor_divide: "floor_divide",
        np.hypot: "hypot",
        np.logaddexp: "logaddexp",
        np.nextafter: "nextafter",
        np.power: "pow",
        np.remainder: "remainder",
        np.signbit: "signbit",
    },
    "iuf": {
        np.greater: "greater",
        np.greater_equal: "greater_equal",
        np.less: "less",
        np.less_equal: "less_equal",
        np.maximum: "maximum",
        np.minimum: "minimum",
        np.sign: "sign",
    },
    "c": {np.conj: "conj", np.imag: "imag", np.real: "real"},
    "biu": {
        np.bitwise_and: "bitwise_and",
        np.bitwise_or: "bitwise_or",
        np.bitwise_xor: "bitwise_xor",
        np.invert: "bitwise_invert",
    },
    "biuf": {
        np.logical_and: "logical_and",
        np.logical_not: "logical_not",
        np.logical_or: "logical_or",
        np.logical_xor: "logical_xor",
    },
    "biufc": {np.equal: "equal", np.not_equal: "not_equal", np.where: "where"},
}

STANDARD_FUNCTIONS = {
    function: (name, kinds)
    for kinds, functions in _BY_KINDS.items()
    for function, name in functions.items()
}
"""Functions of elements: the name in the standard, and the kinds of the type in which NumPy computes."""

REDUCTIONS: dict[Any, str] = {
    np.add: "sum",
    np.logical_and: "all",
    np.logical_or: "any",
    np.maximum: "max",
    np.minimum: "min",
    np.multiply: "prod",
}
"""Reductions by the ufunc whose ``reduce`` they are."""
