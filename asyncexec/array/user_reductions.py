"""Reductions by functions of one's own, in a tree over chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.nodes import DType
from asyncexec.array.reducers import Axes, MergedInPairs, Part
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
    functions = _Functions(chunk, combine or aggregate, aggregate)
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


@dataclass(frozen=True, slots=True)
class _Functions:
    """The three functions of a user."""

    chunk: Callable[..., Any]
    combine: Callable[..., Any]
    aggregate: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class GivenReducer(MergedInPairs):
    """A reduction by a user's functions; its last pass makes the result itself.

    Attributes
    ----------
    names : tuple or None
        Of the arrays of a partial result, where it is a dictionary; empty of one array, None of a tuple.
    partial_dtypes : tuple of dtype
        Element types of these arrays.
    itemsize : int
        Bytes of an element that is reduced.
    """

    functions: _Functions
    names: tuple[str, ...] | None
    partial_dtypes: tuple[DType, ...]
    result_dtype: DType
    itemsize: int
    extra_bytes: int
    is_last: bool = False

    def start(self, block: Part, axes: Axes, origin: tuple[int, ...]) -> tuple[Part, ...]:
        found = self.functions.chunk(block, axis=axes, keepdims=True)
        if self.is_last:
            return (self._aggregated(found, axes, block.shape),)
        return self._parts(found, axes, block.shape)

    def merge(self, parts: Sequence[Part], axes: Axes, counts: Part) -> tuple[Part, ...]:
        shape = parts[0].shape
        given = _packed(parts, self.names)
        if self.is_last:
            return (self._aggregated(given, axes, shape),)
        return self._parts(self.functions.combine(given, axis=axes, keepdims=True), axes, shape)

    def finish(self, parts: Sequence[Part], count: int) -> Part:
        return parts[0]

    def working_bytes(self, elements: int) -> int:
        return elements * self.itemsize + self.extra_bytes

    def _aggregated(self, given: Any, axes: Axes, shape: tuple[int, ...]) -> Part:
        found = self.functions.aggregate(given, axis=axes, keepdims=True)
        return _checked(found, axes, shape, "aggregate").astype(self.result_dtype, copy=False)

    def _parts(self, found: Any, axes: Axes, shape: tuple[int, ...]) -> tuple[Part, ...]:
        arrays = _unpacked(found, self.names)
        pairs = zip(arrays, self.partial_dtypes, strict=True)
        return tuple(
            _checked(part, axes, shape, "chunk or combine").astype(dtype, copy=False)
            for part, dtype in pairs
        )


def _packed(parts: Sequence[Part], names: tuple[str, ...] | None) -> Any:
    if names is None:
        return tuple(parts)
    return dict(zip(names, parts, strict=True)) if names else parts[0]


def _unpacked(found: Any, names: tuple[str, ...] | None) -> Sequence[Any]:
    if names is None:
        return tuple(found)
    return [found[name] for name in names] if names else (found,)


def _checked(found: Any, axes: Axes, shape: tuple[int, ...], name: str) -> Part:
    """Return a function's result with length 1 along ``axes``, also where the function has dropped them."""
    part = np.asarray(found)
    wanted = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    dropped = tuple(n for axis, n in enumerate(shape) if axis not in axes)
    if part.shape not in (wanted, dropped):
        raise ValueError(
            f"{name} of a reduction returned the shape {part.shape} for a block of shape {shape}, and {wanted} was "
            f"expected: the reduced axes {axes} stay, with length 1"
        )
    return part.reshape(wanted)


def _tried(
    functions: _Functions, array: Array, axes: Axes
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
    parts = _unpacked(part, names)
    dtypes = tuple(checked_dtype(np.asarray(p).dtype, what="a partial result") for p in parts)
    return names, dtypes, checked_dtype(result.dtype, what="the result")
