"""Creation functions of the array API standard.

All take ``chunks`` (see :func:`rechunk`) and ``spec``. Nothing is made here: blocks are made by the tasks that need
them, and take no memory before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.blocking import run
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.dtypes import as_element, checked_dtype, zero_of
from asyncexec.array.generators import Diagonal, Full, Range, Spaced
from asyncexec.array.integers import as_shape, integer
from asyncexec.array.operands import check_device, chunk_limit
from asyncexec.array.spec import Spec
from asyncexec.array.wrapping import as_array
from asyncexec.plan.masked import unmasked


def full(
    shape: int | Sequence[int],
    fill_value: Any,
    *,
    dtype: Any = None,
    device: str | None = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return an array of ``fill_value``; the element type is by default that of the value.

    >>> xp.full((2, 3), 7, chunks=(1, 3)).compute()
    array([[7, 7, 7],
           [7, 7, 7]])

    Raises
    ------
    OverflowError
        If the value is out of the range of an integer type.
    ValueError
        If it is NaN for an integer type, or no single value.
    TypeError
        If it is complex, and the type is real.
    """
    check_device(device)
    value = _computed(fill_value) if isinstance(fill_value, Array) else fill_value
    wanted = checked_dtype(np.asarray(value).dtype if dtype is None else dtype)
    return _constant("full", shape, value, dtype=wanted, chunks=chunks, spec=spec)


def zeros(
    shape: int | Sequence[int],
    *,
    dtype: Any = None,
    device: str | None = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return an array of zeros, float64 by default.

    >>> xp.zeros(3).compute()
    array([0., 0., 0.])
    >>> xp.zeros((100_000, 100_000), dtype=xp.int8).chunks
    (8192, 8192)
    """
    check_device(device)
    wanted = checked_dtype(dtype or np.float64)
    return _constant("zeros", shape, zero_of(wanted), dtype=wanted, chunks=chunks, spec=spec)


def ones(
    shape: int | Sequence[int],
    *,
    dtype: Any = None,
    device: str | None = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return an array of ones, float64 by default.

    >>> xp.ones((2, 2), dtype=xp.int16).compute()
    array([[1, 1],
           [1, 1]], dtype=int16)
    """
    check_device(device)
    return _constant(
        "ones", shape, 1, dtype=checked_dtype(dtype or np.float64), chunks=chunks, spec=spec
    )


def empty(
    shape: int | Sequence[int],
    *,
    dtype: Any = None,
    device: str | None = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return an array of any content (zeros, here).

    >>> xp.empty((2, 3)).shape
    (2, 3)
    """
    check_device(device)
    wanted = checked_dtype(dtype or np.float64)
    return _constant("empty", shape, zero_of(wanted), dtype=wanted, chunks=chunks, spec=spec)


def full_like(
    x: Array, /, fill_value: Any, *, dtype: Any = None, device: str | None = None
) -> Array:
    """Return an array of ``fill_value`` in the shape, chunks and (by default) element type of ``x``.

    >>> xp.full_like(xp.asarray([1, 2]), 5).compute()
    array([5, 5])

    Raises
    ------
    OverflowError, ValueError, TypeError
        As :func:`full` does.
    """
    like = as_array(x, "full_like")
    return full(
        like.shape,
        fill_value,
        dtype=dtype or like.dtype,
        device=device,
        chunks=like.chunks,
        spec=like.own_spec,
    )


def zeros_like(x: Array, /, *, dtype: Any = None, device: str | None = None) -> Array:
    """Return an array of zeros in the shape, chunks and (by default) element type of ``x``.

    >>> xp.zeros_like(xp.asarray([1.5, 2.5])).compute()
    array([0., 0.])
    """
    wanted = np.dtype(dtype or as_array(x, "zeros_like").dtype)
    return full_like(x, zero_of(wanted), dtype=wanted, device=device)


def ones_like(x: Array, /, *, dtype: Any = None, device: str | None = None) -> Array:
    """Return an array of ones in the shape, chunks and (by default) element type of ``x``.

    >>> xp.ones_like(xp.asarray([1.5, 2.5])).compute()
    array([1., 1.])
    """
    return full_like(x, 1, dtype=dtype, device=device)


def empty_like(x: Array, /, *, dtype: Any = None, device: str | None = None) -> Array:
    """Return an array of any content in the shape, chunks and (by default) element type of ``x``.

    >>> xp.empty_like(xp.ones((4, 6), chunks=(2, 3))).chunks
    (2, 3)
    """
    wanted = np.dtype(dtype or as_array(x, "empty_like").dtype)
    return full_like(x, zero_of(wanted), dtype=wanted, device=device)


def arange(
    start: float,
    /,
    stop: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: str | None = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return evenly spaced values from ``start`` (0 where only one bound is given) to before ``stop``.

    >>> xp.arange(5).compute()
    array([0, 1, 2, 3, 4])
    >>> xp.arange(1, 2, 0.25).compute()
    array([1.  , 1.25, 1.5 , 1.75])

    Raises
    ------
    ValueError
        If ``step`` is 0.
    OverflowError
        If a value is out of the range of an integer type.
    """
    check_device(device)
    first, last = (0, start) if stop is None else (start, stop)
    if step == 0:
        raise ValueError("arange with step=0 would never end")
    # NumPy's numbers would wrap around in their own types.
    first, last, step = (_plain(v) for v in (first, last, step))
    whole = all(isinstance(v, int) for v in (first, last, step))
    length = max(0, math.ceil((last - first) / step))
    wanted = checked_dtype(dtype or (np.int64 if whole else np.float64))
    if whole:
        length = len(range(int(first), int(last), int(step)))
        if wanted.kind not in "iu" and max(abs(first), abs(first + length * step)) >= 2**63:
            first, step = float(first), float(step)
    for value in (first, first + (length - 1) * step) if length else ():
        as_element(value, wanted, what="the value")
    node = build.creation(
        "arange", Range(first, step, wanted), (length,), chunks, wanted, limit=chunk_limit(spec)
    )
    return Array(node, spec)


def linspace(
    start: complex,
    stop: complex,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: str | None = None,
    endpoint: bool = True,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return ``num`` evenly spaced values from ``start`` to ``stop`` (left out without ``endpoint``).

    >>> xp.linspace(0, 1, 5).compute()
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    >>> xp.linspace(0, 1, 4, endpoint=False).compute()
    array([0.  , 0.25, 0.5 , 0.75])

    Raises
    ------
    ValueError
        If ``num`` is negative.
    OverflowError, TypeError
        If a value is out of the range of an integer type, or complex for a real one.
    """
    check_device(device)
    num = integer(num, "num")
    if num < 0:
        raise ValueError(f"linspace of {num} values cannot be")
    common = np.result_type(np.float64, np.asarray(start).dtype, np.asarray(stop).dtype)
    wanted = checked_dtype(dtype or common)
    steps = num - 1 if endpoint else num
    for value in (start, stop)[:num]:
        # Integers are rounded down, also below zero.
        whole = wanted.kind in "iu" and not np.iscomplexobj(value)
        as_element(np.floor(value) if whole else value, wanted, what="the value")
    make = Spaced(common.type(start).item(), common.type(stop).item(), max(steps, 0), wanted)
    return Array(
        build.creation("linspace", make, (num,), chunks, wanted, limit=chunk_limit(spec)), spec
    )


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: Any = None,
    device: str | None = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return a matrix with ones on the ``k``-th diagonal, zeros elsewhere.

    >>> xp.eye(2, 3, k=1).compute()
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    check_device(device)
    shape = as_shape((n_rows, n_rows if n_cols is None else n_cols))
    wanted = checked_dtype(dtype or np.float64)
    node = build.creation(
        "eye",
        Diagonal(max(-shape[0], min(integer(k, "k"), shape[1])), wanted),
        shape,
        chunks,
        wanted,
        limit=chunk_limit(spec),
    )
    return Array(node, spec)


def meshgrid(*arrays: Array, indexing: str = "xy") -> tuple[Array, ...]:
    """Return coordinate arrays of one-dimensional coordinates, by broadcasting.

    >>> rows, columns = xp.meshgrid(xp.arange(2), xp.arange(3), indexing="ij")
    >>> (rows * 10 + columns).compute()
    array([[ 0,  1,  2],
           [10, 11, 12]])

    Raises
    ------
    ValueError
        If ``indexing`` is neither ``"xy"`` nor ``"ij"``, or an array has not one axis.
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"indexing={indexing!r}: use 'xy' or 'ij'")
    given = [as_array(a, "meshgrid") for a in arrays]
    if any(a.ndim != 1 for a in given):
        raise ValueError("meshgrid takes arrays with one axis")
    order = list(range(len(given)))
    if indexing == "xy" and len(given) > 1:
        order[:2] = [1, 0]
    lengths = {axis: a.shape[0] for axis, a in zip(order, given, strict=True)}
    shape = tuple(lengths[axis] for axis in range(len(given)))
    chunks = {axis: a.node.chunks[0] for axis, a in zip(order, given, strict=True)}
    grid = []
    for axis, a in zip(order, given, strict=True):
        key = tuple(slice(None) if p == axis else None for p in range(len(given)))
        settled = tuple(chunks[p] for p in range(len(given)))
        grid.append(Array(build.broadcast(build.index(a.node, key), shape, settled), a.own_spec))
    return tuple(grid)


def _computed(fill_value: Array) -> Any:
    instead = "(value,) = await ax.compute(x), and then xp.full(shape, value)"
    return run(fill_value, {}, called="xp.full(shape, x)", instead=instead)[()]


def _constant(
    operation: str,
    shape: int | Sequence[int],
    value: Any,
    *,
    dtype: np.dtype[Any],
    chunks: ChunksLike,
    spec: Spec | None,
) -> Array:
    node = build.creation(
        operation,
        Full(as_element(value, dtype, what="fill_value"), dtype),
        as_shape(shape),
        chunks,
        dtype,
        aliases=True,
        limit=chunk_limit(spec),
    )
    return Array(node, spec)


def _plain(value: Any) -> Any:
    number = isinstance(value, np.generic | np.ndarray)
    return unmasked(value, "a bound").item() if number else value
