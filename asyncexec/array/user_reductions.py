"""Reductions by functions of one's own, in a tree over chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.given_reducer import GivenFunctions, GivenReducer, unpacked
from asyncexec.array.nodes import DType
from asyncexec.array.reducers import Axes
from asyncexec.array.statistical import Axis, reduced
from asyncexec.array.wrapping import as_array
from asyncexec.plan.memory import parse_bytes


def reduction(
    x: Array,
    /,
    chunk: Callable[..., Any],
    aggregate: Callable[..., Any],
    *,
    combine: Callable[..., Any] | None = None,
    axis: Axis = None,
    keepdims: bool = False,
    dtype: Any = None,
    split_every: int | None = None,
    extra_memory: int | str = 0,
) -> Array:
    """Return a reduction of ``x`` along ``axis`` by functions of one's own, as ``dask.array.reduction`` does.

    ``chunk`` reduces each chunk to a partial result, ``combine`` merges partial results that lie side by side, and
    ``aggregate`` makes the result of the last of them. All are called with ``axis=`` (a tuple) and ``keepdims=True``.

    >>> x = xp.asarray([[3.0, 4.0], [0.0, 12.0]], chunks=1)
    >>> def squares(block, axis, keepdims):
    ...     return np.sum(block**2, axis=axis, keepdims=keepdims)
    >>> def root(total, axis, keepdims):
    ...     return np.sqrt(np.sum(total, axis=axis, keepdims=keepdims))
    >>> xp.reduction(x, squares, root, combine=np.sum, axis=1).compute()
    array([ 5., 12.])

    Parameters
    ----------
    x : Array
    chunk : callable
        ``chunk(block, axis=axis, keepdims=True)`` returns an array with length 1 along ``axis``, or a tuple or a
        dictionary of such arrays, where a partial result takes several.
    aggregate : callable
        ``aggregate(parts, axis=axis, keepdims=True)`` gets partial results side by side along ``axis``, in the form
        that ``chunk`` returns, and returns one array.
    combine : callable, optional
        Called as ``aggregate`` is, and returns what ``chunk`` returns; by default ``aggregate`` itself.
    axis : int, sequence of int, optional
    keepdims : bool
        Whether the reduced axes stay, with length 1.
    dtype : dtype, optional
        Of the result; found out by calling the functions with one element if not given.
    split_every : int, optional
        How many partial results a task merges.
    extra_memory : int or str
        What ``chunk`` needs in addition to a block, its result and one temporary of the size of the block, in bytes.

    Raises
    ------
    TypeError
        If the functions fail for one element.
    """
    array = as_array(x, "reduction")
    axes = tuple(sorted(build.normalized_axes(axis, array.ndim)))
    functions = GivenFunctions(chunk, combine or aggregate, aggregate)
    names, partial, found = _tried(functions, array, axes)
    result = found if dtype is None else checked_dtype(dtype, what="the result")
    extra = parse_bytes(extra_memory, what="extra_memory")
    reducer = GivenReducer(functions, names, partial, result, array.itemsize, extra)
    last = replace(reducer, is_last=True)
    name = getattr(chunk, "__name__", "reduction")
    operation = "reduction" if name == "<lambda>" else f"reduction({name})"
    return reduced(
        operation,
        reducer,
        array,
        axes,
        keepdims=keepdims,
        split_every=split_every,
        last_reducer=last,
    )


def _tried(
    functions: GivenFunctions, array: Array, axes: Axes
) -> tuple[tuple[str, ...] | None, tuple[DType, ...], DType]:
    """Return the names and types of the arrays of a partial result, and the type of the result."""
    one = np.ones((1,) * array.ndim, array.dtype)
    try:
        with np.errstate(all="ignore"):
            part = functions.chunk(one, axis=axes, keepdims=True)
            result = np.asarray(functions.aggregate(part, axis=axes, keepdims=True))
    except Exception as error:
        raise TypeError(
            f"the functions of a reduction cannot be called with one element of {array.dtype}, with axis={axes} and "
            f"keepdims=True: {error}"
        ) from error
    names: tuple[str, ...] | None = ()
    if isinstance(part, Mapping):
        names = tuple(part)
    elif isinstance(part, tuple):
        names = None
    parts = unpacked(part, names)
    dtypes = tuple(checked_dtype(np.asarray(p).dtype, what="a partial result") for p in parts)
    return names, dtypes, checked_dtype(result.dtype, what="the result")
