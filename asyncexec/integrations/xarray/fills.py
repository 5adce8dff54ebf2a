"""Filling of missing values from their neighbours along an axis, which xarray offers for NumPy and Dask alone."""

from __future__ import annotations

from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array.array import Array


def filled_forward(x: Array, axis: int, limit: int | None = None) -> Array:
    """Return ``x`` with NaN replaced by the last value before along ``axis``, at most ``limit`` in a row."""
    if x.dtype.kind not in "fc":
        return x
    filled = xp.cumreduction(forward_fill, fill_from_before, np.nan, x, axis=axis, dtype=x.dtype)
    if limit is None:
        return filled
    numbers = xp.arange(x.shape[axis], chunks=x.node.chunks[axis], dtype=xp.int64)
    placed = xp.reshape(numbers, tuple(-1 if a == axis else 1 for a in range(x.ndim)))
    # The number of the last element with a value, so that its distance is known.
    last = xp.cummax(xp.where(xp.isnan(x), -limit - 1, placed), axis=axis)
    return xp.where(placed - last <= limit, filled, xp.asarray(np.asarray(np.nan, x.dtype)))


def forward_fill(block: np.ndarray[Any, Any], axis: int) -> np.ndarray[Any, Any]:
    """Return ``block`` with NaN replaced by the last value before, where there is one."""
    numbers = np.arange(block.shape[axis])
    placed = numbers.reshape([-1 if a == axis else 1 for a in range(block.ndim)])
    known = np.where(np.isnan(block), 0, placed)
    return np.take_along_axis(block, np.maximum.accumulate(known, axis=axis), axis=axis)


def fill_from_before(before: Any, block: Any) -> Any:
    """Return ``block`` with NaN replaced by ``before``."""
    return np.where(np.isnan(block), before, block)
