"""Functions of blocks as xarray hands them over, by ``map_blocks``, ``apply_gufunc``, ``reduction`` and their like."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.integrations.xarray.duck_array import DuckArray
from asyncexec.integrations.xarray.numpy_calls import unwrapped

_NAMES = ("name", "token", "meta", "concatenate", "enforce_ndim")
"""Options that are Dask's alone."""


def without_names(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``keywords`` without those that say how Dask names and assembles its tasks."""
    return {name: value for name, value in keywords.items() if name not in _NAMES}


def mapped(
    function: Callable[..., Any],
    args: Sequence[Any],
    *,
    dtype: Any,
    chunks: Any,
    drop_axis: int | Sequence[int] | None,
    new_axis: int | Sequence[int] | None,
    keywords: Mapping[str, Any],
) -> DuckArray:
    """Return what ``function`` makes of the chunks of ``args``, of which those that are no arrays go as they are."""
    arrays = list(map(unwrapped, args))
    places = [i for i, a in enumerate(arrays) if isinstance(a, Array | np.ndarray) and np.ndim(a)]
    others = {i: a for i, a in enumerate(arrays) if i not in places}
    called = _WithConstants(function, tuple(sorted(others.items())))
    return DuckArray(
        xp.map_blocks(
            called,
            *(arrays[i] for i in places),
            dtype=dtype,
            chunks=chunks,
            drop_axis=() if drop_axis is None else drop_axis,
            new_axis=() if new_axis is None else new_axis,
            **without_names(keywords),
        )
    )


class _WithConstants:
    """A function with some of its arguments given, by their places; as one of ours it gets NumPy's arrays.

    xarray's functions take no others, whatever array module a spec names.
    """

    __slots__ = ("_constants", "_function")

    def __init__(
        self, function: Callable[..., Any], constants: tuple[tuple[int, Any], ...]
    ) -> None:
        self._function = function
        self._constants = constants

    @property
    def __name__(self) -> str:
        # What messages and plans call it.
        return getattr(self._function, "__name__", "the function")

    def __call__(self, *blocks: Any, **keywords: Any) -> Any:
        arguments = list(blocks)
        for place, value in self._constants:
            arguments.insert(place, value)
        return self._function(*arguments, **keywords)


def with_core_axes(
    function: Callable[..., Any], signature: str, args: Sequence[Any], options: Mapping[str, Any]
) -> Any:
    """Return what a generalised ufunc makes of ``args``: a lazy array, or a tuple of them."""
    given = {name: value for name, value in without_names(options).items() if value is not None}
    arrays = list(map(unwrapped, args))
    found = xp.apply_gufunc(function, signature, *arrays, **given)
    return tuple(map(DuckArray, found)) if isinstance(found, tuple) else DuckArray(found)


def scanned(
    function: Callable[..., Any],
    binop: Callable[..., Any],
    ident: Any,
    array: Array,
    *,
    axis: int | None,
    dtype: Any,
    **options: Any,
) -> Array:
    """Return the scan of ``array`` along ``axis``; options as for Dask's ``cumreduction``."""
    return xp.cumreduction(function, binop, ident, array, axis, dtype, **without_names(options))


def common_lengths(arrays: Sequence[tuple[Array, tuple[Any, ...]]]) -> dict[Any, tuple[int, int]]:
    """Return the length and the chunk length along each dimension: the chunks of the largest array that has it."""
    found: dict[Any, tuple[int, int]] = {}
    for array, dims in sorted(arrays, key=lambda pair: -pair[0].nbytes):
        for dim, n, c in zip(dims, array.shape, array.own_node.chunks, strict=True):
            found.setdefault(dim, (n, c))
    return found
