"""Evenly spaced exponents and quotients, as NumPy has them beyond the standard's ``linspace``."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.dtypes import as_element, checked_dtype
from asyncexec.array.generators import Powers, Spaced
from asyncexec.array.integers import integer
from asyncexec.array.operands import chunk_limit
from asyncexec.array.spec import Spec


def geomspace(
    start: float,
    stop: float,
    /,
    num: int = 50,
    *,
    endpoint: bool = True,
    dtype: Any = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return ``num`` values from ``start`` to ``stop`` (left out without ``endpoint``), of equal quotients.

    >>> xp.geomspace(1, 1000, 4).compute()
    array([   1.,   10.,  100., 1000.])

    Raises
    ------
    ValueError
        If one end is 0, they have different signs, or ``num`` is negative.
    """
    first, last = float(start), float(stop)
    if not first * last > 0:
        raise ValueError(
            f"geomspace from {start} to {stop}: ends must not be 0, nor differ in sign"
        )
    ends = math.log10(abs(first)), math.log10(abs(last))
    exact = {num - 1: last} if endpoint and num > 1 else {}
    exact[0] = first
    sign = math.copysign(1.0, first)
    scale = (10.0, sign, exact)
    kind: dict[str, Any] = {"endpoint": endpoint, "dtype": dtype, "chunks": chunks, "spec": spec}
    return _powers("geomspace", ends, num, scale, **kind)


def logspace(
    start: float,
    stop: float,
    /,
    num: int = 50,
    *,
    endpoint: bool = True,
    base: float = 10.0,
    dtype: Any = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return ``base`` to the power of ``num`` evenly spaced values from ``start`` to ``stop``.

    >>> xp.logspace(0, 3, 4, base=2.0).compute()
    array([1., 2., 4., 8.])

    Raises
    ------
    ValueError
        If ``num`` is negative.
    """
    ends = float(start), float(stop)
    scale = (float(base), 1.0, dict[int, float]())
    kind: dict[str, Any] = {"endpoint": endpoint, "dtype": dtype, "chunks": chunks, "spec": spec}
    return _powers("logspace", ends, num, scale, **kind)


def _powers(
    operation: str,
    ends: tuple[float, float],
    num: int,
    scale: tuple[float, float, dict[int, float]],
    *,
    endpoint: bool,
    dtype: Any,
    chunks: ChunksLike,
    spec: Spec | None,
) -> Array:
    count = integer(num, "num")
    if count < 0:
        raise ValueError(f"{operation} of {count} values cannot be")
    wanted = checked_dtype(dtype or np.float64)
    steps = max(count - 1 if endpoint else count, 0)
    exponents = Spaced(*ends, steps, np.dtype(np.float64))
    base, sign, exact = scale
    make = Powers(exponents, base, sign, tuple(exact.items()), wanted)
    if wanted.kind in "iu" and count:
        # Between both ends there is nothing greater; of a negative base, beside one of them.
        greatest = np.unique(np.clip([0, 1, count - 2, count - 1], 0, count - 1))
        for value in replace(make, dtype=exponents.dtype)((greatest,)).tolist():
            as_element(value, wanted, what="the value")
    limit = chunk_limit(spec)
    return Array(build.creation(operation, make, (count,), chunks, wanted, limit=limit), spec)
