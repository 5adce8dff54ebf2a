"""Comparisons of whole arrays, and replacement of NaN, named as NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array import creation
from asyncexec.array.array import Array
from asyncexec.array.comparison_kernels import close, numbers_for_nan, same
from asyncexec.array.dtypes import check_numbers
from asyncexec.array.operands import common_spec
from asyncexec.array.utility import all as all_of
from asyncexec.array.wrapping import as_array, elementwise

_TRUTH = np.dtype(np.bool_)


def nan_to_num(
    x: Array,
    /,
    *,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Array:
    """Return ``x`` with NaN and infinities replaced; by default by 0 and by the largest numbers of the type.

    >>> xp.nan_to_num(xp.asarray([1.0, np.nan, -np.inf]), neginf=-1.0).compute()
    array([ 1.,  0., -1.])
    """
    array = as_array(x, "nan_to_num")
    if array.dtype.kind not in "fc":
        return array
    keywords = {"nan": nan, "posinf": posinf, "neginf": neginf}
    return elementwise("nan_to_num", numbers_for_nan, array, keywords=keywords, dtype=array.dtype)


def isclose(
    x1: Array | Any,
    x2: Array | Any,
    /,
    *,
    rtol: Array | Any = 1e-5,
    atol: Array | Any = 1e-8,
    equal_nan: bool = False,
) -> Array:
    """Return whether elements differ by no more than ``atol + rtol * abs(x2)``, element by element.

    >>> xp.isclose(xp.asarray([1.0, 2.0]), xp.asarray([1.0 + 1e-9, 2.1])).compute()
    array([ True, False])

    Parameters
    ----------
    x1, x2 : Array
        Broadcast against each other; one may be a scalar.
    rtol, atol : float or Array
        Tolerances, for all elements or broadcast against them; the relative one is that of ``x2``.
    equal_nan : bool
        Whether NaN is close to NaN.

    Raises
    ------
    TypeError
        If an operand or a tolerance has elements that are no numbers.
    """
    operands = (x1, x2, rtol, atol)
    for operand in operands:
        known = isinstance(operand, Array | np.ndarray)
        check_numbers("isclose", operand.dtype if known else np.asarray(operand).dtype)
    keywords = {"equal_nan": equal_nan}
    return elementwise("isclose", close, *operands, keywords=keywords, dtype=_TRUTH)


def allclose(
    x1: Array | Any,
    x2: Array | Any,
    /,
    *,
    rtol: Array | Any = 1e-5,
    atol: Array | Any = 1e-8,
    equal_nan: bool = False,
) -> Array:
    """Return whether all elements are close, as an array without axes; parameters as for :func:`isclose`.

    >>> bool(xp.allclose(xp.asarray([1.0, 2.0]), xp.asarray([1.0, 2.0 + 1e-9])))
    True
    """
    return all_of(isclose(x1, x2, rtol=rtol, atol=atol, equal_nan=equal_nan))


def array_equal(x1: Array, x2: Array, /, *, equal_nan: bool = False) -> Array:
    """Return whether two arrays have the same shape and equal elements, as an array without axes.

    >>> xp.array_equal(xp.asarray([1, 2]), xp.asarray([1, 2])).compute()
    array(True)
    >>> bool(xp.array_equal(xp.asarray([1, 2]), xp.asarray([1, 2, 3])))
    False
    """
    first, second = as_array(x1, "array_equal"), as_array(x2, "array_equal")
    if first.shape != second.shape:
        spec = common_spec((first.own_spec, second.own_spec))
        return creation.full((), fill_value=False, dtype=_TRUTH, spec=spec)
    compared = same if equal_nan else np.equal
    return all_of(elementwise("array_equal", compared, first, second, dtype=_TRUTH))
