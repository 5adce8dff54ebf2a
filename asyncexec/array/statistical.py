"""Statistical functions of the array API standard, as trees of partial results.

What is floating is accumulated in double precision, whatever its own: sums of float32 are as exact as of float64, and
then rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.dtypes import (
    accumulator,
    checked_dtype,
    floating,
    real_dtype,
    sum_dtype,
    warn_of_discarded,
)
from asyncexec.array.reducers import Accumulate, Reducer, Variance, check_reducible
from asyncexec.array.wrapping import as_array
from asyncexec.errors import OptionError
from asyncexec.plan.given_numbers import as_whole_number

type Axis = int | Sequence[int] | None


def sum(
    x: Array,
    /,
    *,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Return the sum along ``axis`` (one, several, or all).

    >>> x = xp.ones((4, 6), chunks=(2, 3), dtype=xp.int8)
    >>> xp.sum(x, axis=0).compute()
    array([4, 4, 4, 4, 4, 4])
    >>> xp.sum(x, axis=(0, 1), keepdims=True).shape
    (1, 1)

    Parameters
    ----------
    x : Array
    axis : int, sequence of int, optional
    dtype : dtype, optional
        Of the result; by default floating types stay, and integers and booleans become 64 bits wide. Elements become
        this type first, and are added then: of floats that become integers, fractions are cut off one by one.
    keepdims : bool
        Whether the reduced axes stay, with length 1.
    split_every : int, optional
        How many partial results a task merges.
    """
    return _accumulated(
        "sum", np.add, x, axis=axis, dtype=dtype, keepdims=keepdims, split_every=split_every
    )


def prod(
    x: Array,
    /,
    *,
    axis: Axis = None,
    dtype: Any = None,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Return the product along ``axis``; parameters as for :func:`sum`.

    >>> xp.prod(xp.asarray([1, 2, 3, 4])).compute()
    array(24)
    """
    return _accumulated(
        "prod", np.multiply, x, axis=axis, dtype=dtype, keepdims=keepdims, split_every=split_every
    )


def mean(
    x: Array, /, *, axis: Axis = None, keepdims: bool = False, split_every: int | None = None
) -> Array:
    """Return the arithmetic mean along ``axis``; of integers as float64.

    >>> xp.mean(xp.arange(10, chunks=4)).compute()
    array(4.5)
    """
    array = as_array(x, "mean")
    result = floating(array.dtype)
    reducer = Accumulate(np.add, accumulator(result), result, mean=True)
    return reduced("mean", reducer, array, axis, keepdims=keepdims, split_every=split_every)


def min(
    x: Array, /, *, axis: Axis = None, keepdims: bool = False, split_every: int | None = None
) -> Array:
    """Return the minimum along ``axis``; NaN where there is one.

    >>> xp.min(xp.asarray([[3, 1], [2, 5]]), axis=1).compute()
    array([1, 2])

    Raises
    ------
    ValueError
        If there are no elements to take it of.
    """
    return _extreme("min", np.minimum, x, axis=axis, keepdims=keepdims, split_every=split_every)


def max(
    x: Array, /, *, axis: Axis = None, keepdims: bool = False, split_every: int | None = None
) -> Array:
    """Return the maximum along ``axis``; NaN where there is one.

    >>> xp.max(xp.asarray([[3, 1], [2, 5]]), axis=1).compute()
    array([3, 5])

    Raises
    ------
    ValueError
        If there are no elements to take it of.
    """
    return _extreme("max", np.maximum, x, axis=axis, keepdims=keepdims, split_every=split_every)


def var(
    x: Array,
    /,
    *,
    axis: Axis = None,
    correction: float = 0.0,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Return the variance along ``axis``: squared deviations, divided by the number of elements less ``correction``.

    Partial results are merged as in Chan, Golub, LeVeque (1983), so that no precision is lost where the mean is large;
    integers make float64. The deviation of a complex number is its distance from the mean, and the result is real.
    Other parameters as for :func:`sum`.

    >>> xp.var(xp.asarray([1.0, 2.0, 3.0])).compute()
    array(0.66666667)
    >>> xp.var(xp.asarray([1.0, 2.0, 3.0]), correction=1).compute()
    array(1.)
    >>> xp.var(xp.asarray([1 + 1j, 1 - 1j])).compute()
    array(1.)
    """
    return _variance(
        "var", x, axis=axis, correction=correction, keepdims=keepdims, split_every=split_every
    )


def std(
    x: Array,
    /,
    *,
    axis: Axis = None,
    correction: float = 0.0,
    keepdims: bool = False,
    split_every: int | None = None,
) -> Array:
    """Return the standard deviation along ``axis``: the root of :func:`var`, with its parameters.

    >>> xp.std(xp.asarray([1.0, 2.0, 3.0, 4.0, 5.0]), correction=0).compute()
    array(1.41421356)
    """
    return _variance(
        "std", x, axis=axis, correction=correction, keepdims=keepdims, split_every=split_every
    )


def reduced(
    operation: str,
    reducer: Reducer,
    x: Array,
    axis: Axis,
    *,
    keepdims: bool,
    split_every: int | None = None,
    last_reducer: Reducer | None = None,
) -> Array:
    """Return the reduction of ``x`` along ``axis`` by ``reducer``, in its last pass by ``last_reducer`` if given.

    Raises
    ------
    OptionError
        If ``split_every`` is below 2.
    TypeError
        If elements of this type are nothing that it reduces.
    """
    check_reducible(operation, reducer, x.dtype, x.ndim)
    merged = as_whole_number(split_every)
    if split_every is not None and (merged is None or merged < 2):
        raise OptionError(
            f"split_every={split_every!r}: a task must merge at least 2 partial results"
        )
    axes = build.normalized_axes(axis, x.ndim)
    node = build.reduce(
        operation,
        reducer,
        x.own_node,
        axes,
        keepdims=keepdims,
        split_every=merged,
        last_reducer=last_reducer,
    )
    return Array(node, x.own_spec)


def _accumulated(
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
    result = sum_dtype(array.dtype) if dtype is None else checked_dtype(dtype, what="the result")
    warn_of_discarded(array.dtype, result)
    # Elements become the result's type first, also where that rounds them; sums are kept in a wider one.
    direct = accumulator(result) == result or np.can_cast(array.dtype, result)
    reducer = Accumulate(ufunc, accumulator(result), result, first=None if direct else result)
    return reduced(operation, reducer, array, axis, keepdims=keepdims, split_every=split_every)


def _extreme(
    operation: str,
    ufunc: np.ufunc,
    x: Array,
    *,
    axis: Axis,
    keepdims: bool,
    split_every: int | None,
) -> Array:
    array = as_array(x, operation)
    if any(array.shape[a] == 0 for a in build.normalized_axes(axis, array.ndim)):
        raise ValueError(f"{operation} of no elements: shape {array.shape} along axis {axis}")
    reducer = Accumulate(ufunc, array.dtype, array.dtype)
    return reduced(operation, reducer, array, axis, keepdims=keepdims, split_every=split_every)


def _variance(
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
    reducer = Variance(
        real_dtype(own), float(correction), root=operation == "std", through=accumulator(own)
    )
    return reduced(operation, reducer, array, axis, keepdims=keepdims, split_every=split_every)
