"""Indexing functions of the array API standard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.operands import chunk_limit
from asyncexec.array.wrapping import as_array


def take(
    x: Array, indices: Array | np.ndarray[Any, Any] | Sequence[int], /, *, axis: int | None = None
) -> Array:
    """Return the elements of ``x`` at ``indices`` along ``axis``, in that order.

    Each task reads the chunks that hold its own elements, so that nothing has to fit into memory but the indices.

    >>> import asyncexec.array as xp
    >>> xp.take(xp.arange(10, chunks=3), [7, 0, -1]).compute()
    array([7, 0, 9])

    Parameters
    ----------
    x : Array
    indices : Array, NumPy array or sequence of int
        One-dimensional; negative ones count from the end. A lazy array is computed first.
    axis : int, optional
        May be left out where there is one axis only.

    Raises
    ------
    IndexError
        If an index is out of range, or they are no integers along one axis.
    ValueError
        If there are several axes and ``axis`` is left out.
    """
    array = as_array(x, "take")
    if axis is None:
        if array.ndim != 1:
            raise ValueError(f"take of {array.ndim} axes (shape {array.shape}): give an axis")
        axis = 0
    place = build.normalized_axis(axis, array.ndim)
    return Array(
        build.take_positions(array.node, indices, place, limit=chunk_limit(array.own_spec)),
        array.own_spec,
    )
