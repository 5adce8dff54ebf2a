"""Functions whose results have as many elements as are selected: by a mask, or because they are not zero.

How many these are is evaluated when the function is called: one number for each chunk, or, of up to a million elements,
the mask itself. The elements themselves are computed later, with everything else; a mask that is costly to compute is
better stored before.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.evaluation import evaluated
from asyncexec.array.index_kernels import is_nonzero
from asyncexec.array.index_keys import WideMask
from asyncexec.array.mask_selection import counted, numbers_of_true
from asyncexec.array.operands import chunk_limit, common_spec
from asyncexec.array.reshaping import raveled
from asyncexec.array.wrapping import as_array, elementwise

_COUNT = np.dtype(np.int64)


def nonzero(x: Array, /) -> tuple[Array, ...]:
    """Return the places of the elements that are not zero: one array of numbers for each axis, in C order.

    The counts per chunk are evaluated, at once.

    >>> rows, columns = xp.nonzero(xp.asarray([[3, 0], [0, 4], [5, 0]]))
    >>> rows.compute(), columns.compute()
    (array([0, 1, 2]), array([0, 1, 0]))

    Raises
    ------
    ValueError
        If the array has no axes.
    """
    array = as_array(x, "nonzero")
    if not array.ndim:
        raise ValueError(
            "nonzero of an array without axes: make it one of one element, as in x[None]"
        )
    flat = flatnonzero(array)
    if array.ndim == 1:
        return (flat,)
    strides = [math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim)]
    return tuple(
        flat // max(stride, 1) % max(n, 1) if axis else flat // max(stride, 1)
        for axis, (stride, n) in enumerate(zip(strides, array.shape, strict=True))
    )


def flatnonzero(x: Array, /) -> Array:
    """Return the numbers of the elements that are not zero, in the array read in C order.

    The counts per chunk are evaluated, at once.

    >>> xp.flatnonzero(xp.asarray([[3, 0], [0, 4]])).compute()
    array([0, 3])
    """
    array = as_array(x, "flatnonzero")
    spec, limit = array.own_spec, chunk_limit(array.own_spec)
    mask = _truth(array)
    flat = raveled(mask.node, limit=limit, operation="nonzero")

    def evaluate(node: Any) -> np.ndarray[Any, Any]:
        return evaluated(Array(node, spec), "nonzero")

    # Numbers take eight times the bytes of the mask.
    chunk = max(1, min(flat.chunks[0], limit // _COUNT.itemsize))
    known = counted(WideMask(elements=flat, axis=0), chunk, evaluate, limit=limit)
    return Array(numbers_of_true(known, limit=limit), spec)


def argwhere(x: Array, /) -> Array:
    """Return the places of the elements that are not zero, one row for each: as NumPy's.

    The counts per chunk are evaluated, at once.

    >>> xp.argwhere(xp.asarray([[3, 0], [0, 4]])).compute()
    array([[0, 0],
           [1, 1]])
    """
    array = as_array(x, "argwhere")
    if not array.ndim:
        return flatnonzero(array)[:, None][:, :0]
    columns = [build.insert_axis(found.node, 1) for found in nonzero(array)]
    return Array(build.concatenate(columns, 1, _COUNT, "argwhere"), array.own_spec)


def compress(condition: Any, x: Array, /, *, axis: int | None = None) -> Array:
    """Return the parts of ``x`` along ``axis`` for which ``condition`` is true: as NumPy's.

    The condition, or its counts per chunk, are evaluated, at once.

    >>> xp.compress([True, False, True], xp.asarray([[1, 2, 3], [4, 5, 6]]), axis=1).compute()
    array([[1, 3],
           [4, 6]])

    Parameters
    ----------
    condition : Array, NumPy array or sequence of bool
        Along one axis; not longer than ``x``. Behind its end nothing is selected.
    x : Array
    axis : int, optional
        By default, the array is read in C order.

    Raises
    ------
    ValueError
        If the condition has not one axis, or is longer than the axis.
    """
    array = as_array(x, "compress")
    mask = condition if isinstance(condition, Array) else np.asarray(condition)
    if axis is None:
        flat = raveled(array.node, limit=chunk_limit(array.own_spec))
        return compress(mask, Array(flat, array.own_spec), axis=0)
    place = build.normalized_axis(axis, array.ndim)
    n = array.shape[place]
    if mask.ndim != 1 or mask.shape[0] > n:
        raise ValueError(
            f"compress takes a condition along one axis, of at most {n} elements (axis {place} of shape "
            f"{array.shape}), not one of shape {mask.shape}"
        )
    chosen = _truth(mask) if isinstance(mask, Array) else mask.astype(np.bool_)
    lead = (slice(None),) * place
    return array[(*lead, slice(0, mask.shape[0]))][(*lead, chosen)]


def extract(condition: Any, x: Array, /) -> Array:
    """Return the elements of ``x``, read in C order, for which ``condition`` is true: as NumPy's.

    The condition, or its counts per chunk, are evaluated, at once.

    >>> x = xp.asarray([[1, 5], [7, 2]])
    >>> xp.extract(x > 4, x).compute()
    array([5, 7])

    Parameters
    ----------
    condition : Array or NumPy array
        As many elements as ``x``; not zero is true.
    x : Array

    Raises
    ------
    ValueError
        If it has another number of elements.
    """
    array, mask = as_array(x, "extract"), as_array(condition, "extract")
    if mask.size != array.size:
        raise ValueError(
            f"extract takes a condition of as many elements as the array, {array.size} (shape {array.shape}), not "
            f"{mask.size} (shape {mask.shape})"
        )
    spec = common_spec((array.own_spec, mask.own_spec))
    if mask.shape != array.shape or not array.ndim:
        array, mask = (Array(raveled(a.node, limit=chunk_limit(spec)), spec) for a in (array, mask))
    return array[_truth(mask)]


def _truth(array: Array) -> Array:
    """Return which elements are not zero."""
    if array.dtype.kind == "b":
        return array
    return elementwise("is_nonzero", is_nonzero, array, dtype=np.dtype(np.bool_))
