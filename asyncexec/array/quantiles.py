"""Quantiles, percentiles and medians, exact along axes of any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build, creation
from asyncexec.array.array import Array
from asyncexec.array.manipulation import reshape
from asyncexec.array.quantile_kernels import MEDIAN, METHODS
from asyncexec.array.quantile_nodes import WantedQuantiles, quantile_node
from asyncexec.array.wrapping import as_array

type Axis = int | Sequence[int] | None


def quantile(
    x: Array, /, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False
) -> Array:
    """Return the quantiles ``q`` along ``axis`` (one, several, or all), exactly as ``numpy.quantile``.

    Tasks hold whole lines where these fit into memory. Longer lines are sorted as in :func:`sort`, and the elements
    that quantiles lie between are picked. A line with NaN has NaN.

    >>> x = xp.asarray([[1.0, 2.0, 3.0, 4.0], [5.0, 7.0, 6.0, 9.0]], chunks=2)
    >>> xp.quantile(x, [0.25, 0.5], axis=1).compute()
    array([[1.75, 5.75],
           [2.5 , 6.5 ]])

    Parameters
    ----------
    x : Array
        Of real numbers.
    q : float or nested sequence of float
        From 0 to 1. The result begins with the axes of a sequence.
    axis : int, sequence of int, optional
    method : str
        How to choose between two elements: "linear", "lower", "higher", "midpoint", "nearest", or another of NumPy's.
    keepdims : bool
        Whether the reduced axes stay, with length 1.

    Raises
    ------
    ValueError
        If ``q`` is out of range, there is no such method, or there are no elements.
    TypeError
        If elements are complex, or booleans and the method computes with them.
    """
    return _quantiles("quantile", x, q, axis, method=method, keepdims=keepdims)


def percentile(
    x: Array, /, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False
) -> Array:
    """Return the percentiles ``q``, from 0 to 100; all else is as for :func:`quantile`.

    >>> xp.percentile(xp.arange(11, chunks=4), 30).compute()
    array(3.)
    """
    return _quantiles("percentile", x, q, axis, method=method, keepdims=keepdims)


def nanquantile(
    x: Array, /, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False
) -> Array:
    """Return the quantiles ``q`` of what is not NaN; all else is as for :func:`quantile`.

    >>> xp.nanquantile(xp.asarray([1.0, np.nan, 3.0]), 0.5).compute()
    array(2.)
    """
    return _quantiles("nanquantile", x, q, axis, method=method, keepdims=keepdims)


def nanpercentile(
    x: Array, /, q: Any, axis: Axis = None, *, method: str = "linear", keepdims: bool = False
) -> Array:
    """Return the percentiles ``q``, from 0 to 100, of what is not NaN; all else is as for :func:`quantile`.

    >>> xp.nanpercentile(xp.asarray([1.0, np.nan, 3.0]), [0, 100]).compute()
    array([1., 3.])
    """
    return _quantiles("nanpercentile", x, q, axis, method=method, keepdims=keepdims)


def median(x: Array, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """Return the median along ``axis`` (one, several, or all); of no elements, or where there is NaN, it is NaN.

    Memory and algorithm are as for :func:`quantile`.

    >>> xp.median(xp.asarray([[3, 1, 2], [7, 9, 8]]), axis=1).compute()
    array([2., 8.])
    """
    return _medians("median", x, axis, keepdims=keepdims)


def nanmedian(x: Array, /, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """Return the median of what is not NaN; all else is as for :func:`median`.

    >>> xp.nanmedian(xp.asarray([1.0, np.nan, 3.0, 8.0])).compute()
    array(3.)
    """
    return _medians("nanmedian", x, axis, keepdims=keepdims)


def _quantiles(
    operation: str, x: Array, q: Any, axis: Axis, *, method: str, keepdims: bool
) -> Array:
    array = as_array(x, operation)
    if method not in METHODS:
        raise ValueError(
            f"{operation}(method={method!r}): use one of {', '.join(map(repr, METHODS))}"
        )
    if array.dtype.kind == "c":
        raise TypeError(f"{operation}() takes real numbers, and got {array.dtype}")
    most = 100 if "percentile" in operation else 1
    given = _given(q, operation)
    if not ((given >= 0) & (given <= most)).all():
        raise ValueError(f"{operation}(x, q) takes a q from 0 to {most}, and got {q!r}")
    if most != 1:
        given = np.true_divide(given, array.dtype.type(most) if array.dtype.kind == "f" else most)
    whole = np.asarray(q).dtype.kind in "iu" and array.dtype.kind not in "SUT"
    if method == "linear" and most == 1 and whole:
        # Of whole numbers, which are 0 and 1, NumPy returns elements as they are.
        method = "lower"
    weak = type(q) in (int, float)
    named: Any = method
    try:
        probe = np.zeros(1, array.dtype)
        dtype = np.quantile(
            probe, 0.5 if weak else np.array([0.5], given.dtype), method=named
        ).dtype
    except TypeError:
        raise TypeError(
            f"{operation}(method={method!r}) computes with elements, which {array.dtype} has no subtraction for: "
            f"convert them, such as by .astype('int8'), or use method='lower'"
        ) from None
    if dtype.kind in "SU":
        # Text is as long as the elements are; NumPy's is as long as those of the probe.
        dtype = array.dtype
    wanted = WantedQuantiles(
        operation=operation,
        method=method,
        q=given.reshape(-1),
        weak=weak,
        dtype=dtype,
        without_nan=operation.startswith("nan") and array.dtype.kind in "fmM",
    )
    axes = _axes(array, axis)
    if operation in ("quantile", "percentile") and any(array.shape[a] == 0 for a in axes):
        raise ValueError(f"{operation} of no elements: shape {array.shape} along axis {axis}")
    found = _wrapped(array, axes, wanted, single=not given.ndim, keepdims=keepdims)
    return found if given.ndim < 2 else reshape(found, (*given.shape, *found.shape[1:]))


def _given(q: Any, operation: str) -> np.ndarray[Any, Any]:
    if isinstance(q, Array):
        raise TypeError(f"{operation}(x, q) takes a q in memory: compute it before")
    given = np.array(q)
    return given if given.dtype.kind == "f" else given.astype(np.float64)


def _medians(operation: str, x: Array, axis: Axis, *, keepdims: bool) -> Array:
    array = as_array(x, operation)
    wanted = WantedQuantiles(
        operation=operation,
        method=MEDIAN,
        q=np.array([0.5]),
        weak=True,
        dtype=np.median(np.zeros(1, array.dtype)).dtype,
        without_nan=operation == "nanmedian" and array.dtype.kind in "fcmM",
    )
    return _wrapped(array, _axes(array, axis), wanted, single=True, keepdims=keepdims)


def _axes(array: Array, axis: Axis) -> tuple[int, ...]:
    return tuple(sorted(build.normalized_axes(axis, array.ndim)))


def _wrapped(
    array: Array, axes: tuple[int, ...], wanted: WantedQuantiles, *, single: bool, keepdims: bool
) -> Array:
    shape = tuple(n for a, n in enumerate(array.shape) if a not in axes)
    if array.size:
        # Without an axis, each element is a line of its own.
        node = array.node if axes else build.insert_axis(array.node, array.ndim)
        node = quantile_node(node, axes or (array.ndim,), wanted, array.spec)
    else:
        value = np.nan if wanted.dtype.kind in "fc" else 0
        node = creation.full((len(wanted.q), *shape), value, dtype=wanted.dtype).node
    if keepdims:
        for axis in axes:
            node = build.insert_axis(node, axis + 1)
    return Array(build.drop_axes(node, (0,)) if single else node, array.own_spec)


__all__ = ["median", "nanmedian", "nanpercentile", "nanquantile", "percentile", "quantile"]
