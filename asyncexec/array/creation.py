"""Creation functions of the array API standard.

All take ``chunks`` (see :func:`rechunk`) and ``spec``. Nothing is made here: blocks are made by the tasks that need
them, and take no memory before.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.generators import Diagonal, Full, Range, Spaced
from asyncexec.array.operands import chunk_limit, common_spec, own_source
from asyncexec.array.spec import Spec
from asyncexec.array.wrapping import as_array


def asarray(
    obj: Any,
    /,
    *,
    dtype: Any = None,
    device: str | None = None,
    copy: bool | None = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return ``obj`` (an array, a NumPy array, a scalar or nested sequences of scalars) as an array.

    Data in memory is copied, so that changing it later changes nothing. With ``copy=False`` a NumPy array is shared
    instead, and must not be changed before everything made of it is computed.

    >>> x = xp.asarray([[1, 2], [3, 4]], dtype=xp.float32)
    >>> x
    <asyncexec.Array shape=(2, 2) dtype=float32 chunks=(2, 2) (16 B)>
    >>> x.compute()
    array([[1., 2.],
           [3., 4.]], dtype=float32)

    Raises
    ------
    ValueError
        For ``copy=False`` where a copy is needed, or a device other than ``"cpu"``.
    TypeError
        If the elements have an unsupported type.
    OptionError
        If ``obj`` is an array of another spec.
    """
    _check_device(device)
    if isinstance(obj, Array):
        found = obj if dtype is None else obj.astype(dtype)
        found = Array(found.node, common_spec((found.own_spec, spec)))
        return found if chunks == "auto" else found.rechunk(chunks)
    if copy is False and not isinstance(obj, np.ndarray):
        raise ValueError(f"{type(obj).__name__} must be copied to become an array; use copy=None")
    wanted = None if dtype is None else checked_dtype(dtype)
    data = np.asarray(obj, dtype=wanted, copy=copy or None)
    return Array(own_source(data, chunks, spec, copy=copy is not False), spec)


def from_array(
    x: Any,
    /,
    chunks: ChunksLike = "auto",
    *,
    copy: bool | None = None,
    spec: Spec | None = None,
) -> Array:
    """Return an array of what ``x`` holds: a NumPy array, or anything that becomes one.

    That is, by ``numpy.asarray`` or by ``x[...]`` (a dataset in a file). All of it is read into memory; what does not
    fit there belongs into Zarr (see :func:`from_zarr`). ``copy`` as for :func:`asarray`.

    >>> x = xp.from_array(np.arange(6.0).reshape(2, 3), chunks=(1, 3))
    >>> x.numblocks
    (2, 1)
    >>> x[1].compute()
    array([3., 4., 5.])
    """
    lazily = not hasattr(x, "__array__") and hasattr(x, "shape") and hasattr(x, "dtype")
    return asarray(np.asarray(x[...]) if lazily else x, chunks=chunks, copy=copy, spec=spec)


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
    """
    _check_device(device)
    value = fill_value.compute()[()] if isinstance(fill_value, Array) else fill_value
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
    _check_device(device)
    return _constant(
        "zeros", shape, 0, dtype=checked_dtype(dtype or np.float64), chunks=chunks, spec=spec
    )


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
    _check_device(device)
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
    _check_device(device)
    return _constant(
        "empty", shape, 0, dtype=checked_dtype(dtype or np.float64), chunks=chunks, spec=spec
    )


def full_like(
    x: Array, /, fill_value: Any, *, dtype: Any = None, device: str | None = None
) -> Array:
    """Return an array of ``fill_value`` in the shape, chunks and (by default) element type of ``x``.

    >>> xp.full_like(xp.asarray([1, 2]), 5).compute()
    array([5, 5])
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
    return full_like(x, 0, dtype=dtype, device=device)


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
    return full_like(x, 0, dtype=dtype, device=device)


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
    """
    _check_device(device)
    first, last = (0, start) if stop is None else (start, stop)
    if step == 0:
        raise ValueError("arange with step=0 would never end")
    length = max(0, math.ceil((last - first) / step))
    whole = all(isinstance(v, int | np.integer) for v in (first, last, step))
    wanted = checked_dtype(dtype or (np.int64 if whole else np.float64))
    if whole:
        first, step = int(first), int(step)
        length = len(range(first, int(last), step))
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
    """
    _check_device(device)
    if num < 0:
        raise ValueError(f"linspace of {num} values cannot be")
    common = np.result_type(np.float64, np.asarray(start).dtype, np.asarray(stop).dtype)
    wanted = checked_dtype(dtype or common)
    steps = num - 1 if endpoint else num
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
    _check_device(device)
    shape = (n_rows, n_rows if n_cols is None else n_cols)
    wanted = checked_dtype(dtype or np.float64)
    node = build.creation(
        "eye", Diagonal(k, wanted), _shape(shape), chunks, wanted, limit=chunk_limit(spec)
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
    if any(a.ndim != 1 for a in arrays):
        raise ValueError("meshgrid takes arrays with one axis")
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        order[:2] = [1, 0]
    lengths = {axis: a.shape[0] for axis, a in zip(order, arrays, strict=True)}
    shape = tuple(lengths[axis] for axis in range(len(arrays)))
    chunks = {axis: a.chunks[0] for axis, a in zip(order, arrays, strict=True)}
    grid = []
    for axis, a in zip(order, arrays, strict=True):
        key = tuple(slice(None) if p == axis else None for p in range(len(arrays)))
        settled = tuple(chunks[p] for p in range(len(arrays)))
        grid.append(Array(build.broadcast(build.index(a.node, key), shape, settled), a.own_spec))
    return tuple(grid)


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
        Full(np.asarray(value).astype(dtype).item(), dtype),
        _shape(shape),
        chunks,
        dtype,
        aliases=True,
        limit=chunk_limit(spec),
    )
    return Array(node, spec)


def _shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    given = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    lengths = tuple(operator.index(n) for n in given)
    if min(lengths, default=0) < 0:
        raise ValueError(f"shape {shape!r} cannot be: lengths are integers from 0")
    return lengths


def _check_device(device: str | None) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f"device {device!r} is not supported: there is 'cpu' alone")
