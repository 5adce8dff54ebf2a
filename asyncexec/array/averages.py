"""Averages, ranges and counts: reductions that NumPy has in addition to the standard's, and ``count_nonzero``."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.dtypes import floating
from asyncexec.array.extreme_reducers import Extent
from asyncexec.array.index_kernels import is_nonzero
from asyncexec.array.logic import not_equal
from asyncexec.array.manipulation import broadcast_to
from asyncexec.array.reducers import Accumulate
from asyncexec.array.statistical import Axis, mean, reduced, sum as sum_of
from asyncexec.array.wrapping import as_array, elementwise

_COUNT = np.dtype(np.int64)


def count_nonzero(x: Array, /, *, axis: Axis = None, keepdims: bool = False) -> Array:
    """Return the number of elements along ``axis`` that are not zero, as int64. NaN is not zero.

    >>> xp.count_nonzero(xp.asarray([[0, 1], [2, 3]]), axis=0).compute()
    array([1, 2])
    """
    array = as_array(x, "count_nonzero")
    if array.dtype.kind == "b":
        truth = array
    elif array.dtype.kind in "iufc":
        truth = not_equal(array, 0)
    else:
        # Text that is not empty, and times and records that are not 0, as numpy.nonzero has it.
        truth = elementwise("is_nonzero", is_nonzero, array, dtype=np.dtype(np.bool_))
    reducer = Accumulate(np.add, _COUNT, _COUNT)
    return reduced("count_nonzero", reducer, truth, axis, keepdims=keepdims)


def ptp(
    x: Array, /, *, axis: Axis = None, keepdims: bool = False, split_every: int | None = None
) -> Array:
    """Return the maximum less the minimum along ``axis``; NaN where there is one.

    >>> xp.ptp(xp.asarray([[3, 9], [1, 5]]), axis=1).compute()
    array([6, 4])

    Raises
    ------
    TypeError
        If the elements are booleans.
    ValueError
        If there are no elements to take it of.
    """
    array = as_array(x, "ptp")
    if array.dtype.kind == "b":
        raise TypeError("ptp takes numbers, and got elements of bool: convert them before")
    if any(array.shape[a] == 0 for a in build.normalized_axes(axis, array.ndim)):
        raise ValueError(f"ptp of no elements: shape {array.shape} along axis {axis}")
    return reduced(
        "ptp", Extent(array.dtype), array, axis, keepdims=keepdims, split_every=split_every
    )


def average(
    x: Array,
    /,
    *,
    axis: Axis = None,
    weights: Any = None,
    returned: bool = False,
    keepdims: bool = False,
) -> Array | tuple[Array, Array]:
    """Return the weighted average along ``axis``: the sum of ``x * weights``, divided by that of the weights.

    It is NaN or infinite where the weights add up to zero.

    >>> x = xp.asarray([[0.0, 1.0], [2.0, 3.0]])
    >>> xp.average(x, axis=0, weights=np.array([1.0, 3.0])).compute()
    array([1.5, 2.5])

    Parameters
    ----------
    x : Array
    axis : int, sequence of int, optional
    weights : Array or NumPy array, optional
        Of the shape of ``x``, or of the lengths of ``axis`` in that order; by default all are 1.
    returned : bool
        Whether to return the sums of weights, too.
    keepdims : bool
        Whether the reduced axes stay, with length 1.

    Returns
    -------
    Array, or tuple of Array
        The average, and with ``returned`` the sums of weights in its shape.

    Raises
    ------
    ValueError
        If the shape of ``weights`` does not fit.
    """
    array = as_array(x, "average")
    axes = build.normalized_axes(axis, array.ndim)
    if weights is None:
        found = mean(array, axis=axes, keepdims=keepdims)
        count = np.prod([array.shape[a] for a in axes], dtype=np.int64)
        scale = elementwise("average", np.full_like, found, count) if returned else found
        return (found, scale) if returned else found
    given = weights if isinstance(weights, Array) else np.asarray(weights)
    weight = _fitting(as_array(given, "average"), array, axes, axis)
    dtype = np.result_type(floating(array.dtype), weight.dtype)
    product = elementwise(
        "average", np.multiply, array, weight, keywords={"dtype": dtype}, dtype=dtype
    )
    total = sum_of(product, axis=axes, dtype=dtype, keepdims=keepdims)
    scale = sum_of(weight, axis=axes, dtype=dtype, keepdims=keepdims)
    found = total / scale
    if returned:
        scale = broadcast_to(scale, found.shape, chunks=found.chunks)
    return (found, scale) if returned else found


def _fitting(weight: Array, array: Array, axes: tuple[int, ...], axis: Axis) -> Array:
    """Return the weights so that they broadcast to ``array``."""
    if weight.shape == array.shape:
        return weight
    lengths = tuple(array.shape[a] for a in axes)
    if axis is None or weight.shape != lengths:
        raise ValueError(
            f"weights of shape {weight.shape} do not fit an array of shape {array.shape} averaged along axis {axis}: "
            f"give them that shape{'' if axis is None else f', or {lengths}'}"
        )
    order = sorted(range(len(axes)), key=lambda k: axes[k])
    node = build.permute(weight.node, order)
    for a in range(array.ndim):
        if a not in axes:
            node = build.insert_axis(node, a)
    return Array(node, weight.own_spec)
