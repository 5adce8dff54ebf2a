"""Indexing functions of the array API standard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.advanced_indexing import gathered_by
from asyncexec.array.array import Array
from asyncexec.array.evaluation import evaluated
from asyncexec.array.index_keys import checked_numbers
from asyncexec.array.line_indexing import picked_along
from asyncexec.array.operands import chunk_limit, common_spec, own_source
from asyncexec.array.wrapping import as_array
from asyncexec.plan.masked import unmasked


def take(
    x: Array, indices: Array | np.ndarray[Any, Any] | Sequence[int], /, *, axis: int | None = None
) -> Array:
    """Return the elements of ``x`` at ``indices`` along ``axis``, in that order.

    Each task reads the chunks that hold its own elements, so that nothing has to fit into memory but the indices.

    >>> import asyncexec.array as xp
    >>> xp.take(xp.arange(10, chunks=3), [7, 0, -1]).compute()
    array([7, 0, 9])
    >>> xp.take(xp.asarray([[1, 2], [3, 4]]), [[1, 0]], axis=1).shape
    (2, 1, 2)

    Parameters
    ----------
    x : Array
    indices : Array, NumPy array or sequence of int
        Of any number of axes, which take the place of ``axis``; negative ones count from the end. A lazy array is
        evaluated, at once.
    axis : int, optional
        May be left out where there is one axis only.

    Raises
    ------
    IndexError
        If an index is out of range, or they are no integers.
    ValueError
        If there are several axes and ``axis`` is left out.
    """
    array = as_array(x, "take")
    if axis is None:
        if array.ndim != 1:
            raise ValueError(f"take of {array.ndim} axes (shape {array.shape}): give an axis")
        axis = 0
    place = build.normalized_axis(axis, array.ndim)
    given = evaluated(indices, "take") if isinstance(indices, Array) else indices
    listed = np.asarray(unmasked(given, f"the index along axis {place}"))
    if listed.dtype.kind not in "iu" and listed.size:
        raise IndexError(
            f"{type(indices).__name__} of {listed.dtype} is no index: take() takes integers along an axis; for a "
            f"condition, index by a mask, as in x[mask]"
        )
    numbers = checked_numbers(listed, array.shape[place], place)
    limit = chunk_limit(array.own_spec)
    if numbers.ndim == 1:
        node = build.take_positions(array.own_node, numbers, place, limit=limit)
    else:
        node = gathered_by(array.own_node, {place: numbers}, place, limit=limit)
    return Array(node, array.own_spec)


def take_along_axis(x: Array, indices: Array | np.ndarray[Any, Any], /, *, axis: int = -1) -> Array:
    """Return the elements of ``x`` at ``indices`` along ``axis``, where each line has indices of its own.

    Lines are read whole where a chunk of them fits into memory, and else in parts, one after another.

    >>> x = xp.asarray([[30, 10, 20], [1, 3, 2]])
    >>> xp.take_along_axis(x, xp.asarray([[1, 2], [0, -1]]), axis=1).compute()
    array([[10, 20],
           [ 1,  2]])

    Parameters
    ----------
    x : Array
    indices : Array or NumPy array of int
        With as many axes as ``x``, and broadcastable against it along all but ``axis``; negative ones count from the
        end.
    axis : int

    Raises
    ------
    IndexError
        If an index is out of range: at once where they are a NumPy array, and else in the task that finds it.
    ValueError
        If the shapes do not fit.
    TypeError
        If they are no integers.
    """
    array = as_array(x, "take_along_axis")
    listed = as_array(indices, "take_along_axis")
    if array.ndim != listed.ndim:
        raise ValueError(
            f"take_along_axis takes as many axes of indices as of the array: the array has {array.ndim} axes (shape "
            f"{array.shape}), and indices {listed.ndim} (shape {listed.shape})"
        )
    if listed.dtype.kind not in "iu":
        raise TypeError(f"indices of take_along_axis must be integers, not {listed.dtype}")
    place = build.normalized_axis(axis, array.ndim)
    node = listed.node
    if isinstance(indices, np.ndarray):
        node = own_source(checked_numbers(indices, array.shape[place], place))
    spec = common_spec((array.own_spec, listed.own_spec))
    return Array(picked_along(array.node, node, place, limit=chunk_limit(spec)), spec)
