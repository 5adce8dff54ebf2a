"""Reductions that leave out NaN, named as NumPy's.

Integers and booleans have no NaN: they are reduced as by the functions without ``nan`` in their name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from asyncexec.array import build, statistical
from asyncexec.array.array import Array
from asyncexec.array.comparison_kernels import numbers_for_nan
from asyncexec.array.dtypes import (
    accumulator,
    checked_dtype,
    floating,
    real_dtype,
    warn_of_discarded,
)
from asyncexec.array.extreme_reducers import ArgExtreme
from asyncexec.array.nan_reducers import NanMean, NanVariance
from asyncexec.array.reducers import Accumulate, Variance
from asyncexec.array.statistical import Axis, reduced
from asyncexec.array.wrapping import as_array, elementwise


def nansum(
    x: Array,
    /,
    *,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Return the sum along ``axis`` of what is not NaN; 0 of NaN alone. Parameters as for :func:`sum`.

    >>> xp.nansum(xp.asarray([[1.0, np.nan], [2.0, 3.0]]), axis=0).compute()
    array([3., 3.])
    """
    return _without_nan(
        "nansum", np.add, x, axis=axis, dtype=dtype, keepdims=keepdims, split_every=split_every
    )


def nanprod(
    x: Array,
    /,
    *,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Return the product along ``axis`` of what is not NaN; 1 of NaN alone. Parameters as for :func:`sum`.

    >>> xp.nanprod(xp.asarray([2.0, np.nan, 4.0])).compute()
    array(8.)
    """
    return _without_nan(
        "nanprod",
        np.multiply,
        x,
        axis=axis,
        dtype=dtype,
        keepdims=keepdims,
        split_every=split_every,
    )


def nanmean(
    x: Array, /, *, axis: Axis = None, keepdims: bool = False, split_every: int | None = None
) -> Array:
    """Return the mean along ``axis`` of what is not NaN; NaN of NaN alone.

    >>> xp.nanmean(xp.asarray([1.0, np.nan, 5.0])).compute()
    array(3.)
    """
    array = as_array(x, "nanmean")
    if array.dtype.kind not in "fc":
        return statistical.mean(array, axis=axis, keepdims=keepdims, split_every=split_every)
    reducer = NanMean(accumulator(array.dtype), array.dtype)
    return reduced("nanmean", reducer, array, axis, keepdims=keepdims, split_every=split_every)


def nanvar(
    x: Array,
    /,
    *,
    axis: Axis = None,
    correction: float = 0.0,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Return the variance along ``axis`` of what is not NaN: squared deviations, divided by number less ``correction``.

    It is NaN where not more than ``correction`` elements are left.

    >>> xp.nanvar(xp.asarray([1.0, np.nan, 3.0])).compute()
    array(1.)
    """
    return _nan_variance(
        "nanvar", x, axis=axis, correction=correction, keepdims=keepdims, split_every=split_every
    )


def nanstd(
    x: Array,
    /,
    *,
    axis: Axis = None,
    correction: float = 0.0,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Return the standard deviation along ``axis`` of what is not NaN: the root of :func:`nanvar`.

    >>> xp.nanstd(xp.asarray([1.0, np.nan, 3.0]), correction=0).compute()
    array(1.)
    """
    return _nan_variance(
        "nanstd", x, axis=axis, correction=correction, keepdims=keepdims, split_every=split_every
    )


def nanmax(
    x: Array, /, *, axis: Axis = None, keepdims: bool = False, split_every: int | None = None
) -> Array:
    """Return the maximum along ``axis`` of what is not NaN; NaN of NaN alone, without a warning.

    >>> xp.nanmax(xp.asarray([[1.0, np.nan], [np.nan, np.nan]]), axis=1).compute()
    array([ 1., nan])

    Raises
    ------
    ValueError
        If there are no elements to take it of.
    """
    return _nan_extreme("nanmax", np.fmax, x, axis, keepdims=keepdims, split_every=split_every)


def nanmin(
    x: Array, /, *, axis: Axis = None, keepdims: bool = False, split_every: int | None = None
) -> Array:
    """Return the minimum along ``axis`` of what is not NaN; NaN of NaN alone, without a warning.

    >>> xp.nanmin(xp.asarray([4.0, np.nan, 2.0])).compute()
    array(2.)

    Raises
    ------
    ValueError
        If there are no elements to take it of.
    """
    return _nan_extreme("nanmin", np.fmin, x, axis, keepdims=keepdims, split_every=split_every)


def nanargmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return the number of the first maximum of what is not NaN along ``axis``, or in the array read in C order.

    Where all elements are NaN, the computation fails with a ValueError, as NumPy's function does.

    >>> xp.nanargmax(xp.asarray([1.0, np.nan, 5.0])).compute()
    array(2)

    Raises
    ------
    ValueError
        If there are no elements to choose from.
    """
    return _nan_position("nanargmax", x, axis, largest=True, keepdims=keepdims)


def nanargmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return the number of the first minimum of what is not NaN along ``axis``, or in the array read in C order.

    Where all elements are NaN, the computation fails with a ValueError, as NumPy's function does.

    >>> xp.nanargmin(xp.asarray([np.nan, 4.0, 1.0])).compute()
    array(2)

    Raises
    ------
    ValueError
        If there are no elements to choose from.
    """
    return _nan_position("nanargmin", x, axis, largest=False, keepdims=keepdims)


def _without_nan(
    operation: str,
    ufunc: np.ufunc,
    x: Array,
    *,
    axis: Axis,
    dtype: Any,
    keepdims: bool,
    split_every: int | None,
) -> Array:
    array = as_array(x, operation)
    result = None if dtype is None else checked_dtype(dtype, what="the result")
    floats = array.dtype.kind in "fc"
    if not floats or (result is not None and result.kind not in "fc"):
        plain: Callable[..., Array] = statistical.sum if ufunc is np.add else statistical.prod
        filled = _filled(operation, array, ufunc.identity) if floats else array
        return plain(filled, axis=axis, dtype=result, keepdims=keepdims, split_every=split_every)
    kept = result or array.dtype
    if array.dtype.kind == "c" and kept.kind == "f":
        warn_of_discarded(array.dtype, kept)
        array = elementwise(operation, np.real, array)
    reducer = Accumulate(ufunc, accumulator(kept), kept, skips_nan=True)
    return reduced(operation, reducer, array, axis, keepdims=keepdims, split_every=split_every)


def _filled(operation: str, array: Array, value: float) -> Array:
    """Return ``array`` with NaN replaced, before elements lose what makes them NaN."""
    keywords = {"nan": value, "posinf": np.inf, "neginf": -np.inf}
    return elementwise(operation, numbers_for_nan, array, keywords=keywords, dtype=array.dtype)


def _nan_variance(
    operation: str,
    x: Array,
    *,
    axis: Axis,
    correction: float,
    keepdims: bool,
    split_every: int | None,
) -> Array:
    array = as_array(x, operation)
    own = floating(array.dtype)
    # Without NaN it is the variance, which differs from this in what it makes of too few elements.
    of = NanVariance if array.dtype.kind in "fc" else Variance
    reducer = of(
        real_dtype(own), float(correction), root=operation == "nanstd", through=accumulator(own)
    )
    return reduced(operation, reducer, array, axis, keepdims=keepdims, split_every=split_every)


def _nan_extreme(
    operation: str,
    ufunc: np.ufunc,
    x: Array,
    axis: Axis,
    *,
    keepdims: bool,
    split_every: int | None,
) -> Array:
    array = as_array(x, operation)
    _check_elements(operation, array, axis)
    reducer = Accumulate(ufunc, array.dtype, array.dtype)
    return reduced(operation, reducer, array, axis, keepdims=keepdims, split_every=split_every)


def _nan_position(
    operation: str, x: Array, axis: int | None, *, largest: bool, keepdims: bool
) -> Array:
    array = as_array(x, operation)
    _check_elements(operation, array, axis)
    reducer = ArgExtreme(array.dtype, array.shape, largest, skips_nan=True)
    return reduced(operation, reducer, array, axis, keepdims=keepdims)


def _check_elements(operation: str, array: Array, axis: Axis) -> None:
    if any(array.shape[a] == 0 for a in build.normalized_axes(axis, array.ndim)):
        raise ValueError(f"{operation} of no elements: shape {array.shape} along axis {axis}")
