"""Indexing as NumPy does it, by what arrays here offer: slices, numbers, and lists along each axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.array.wrapping import elementwise
from asyncexec.integrations.xarray.numpy_calls import unwrapped


@dataclass(frozen=True, slots=True, eq=False)
class ElementsAt:
    """The elements of an array in memory at given positions."""

    elements: np.ndarray[Any, Any]

    def __call__(self, positions: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        found: np.ndarray[Any, Any] = self.elements[positions]
        return found


def selected(x: Array, key: Any) -> Array:
    """Return ``x[key]`` with NumPy's meaning.

    xarray writes an outer selection (rows by columns) as index arrays that are broadcast against each other, each
    along an axis of its own, as ``numpy.ix_`` does. That is recognised, and read axis by axis. Lazy indices along an
    axis are computed now, as xarray wants to know how many elements there are; positions in a coordinate stay lazy.
    """
    found = _looked_up(x, key[0] if isinstance(key, tuple) and len(key) == 1 else key)
    if found is not None:
        return found
    parts = _expanded(key if isinstance(key, tuple) else (key,), x.ndim)
    arrays = {i: p for i, p in enumerate(parts) if isinstance(p, np.ndarray)}
    if not arrays:
        return x[tuple(parts)]
    if any(p.dtype.kind == "b" and p.ndim > 1 for p in arrays.values()) or any(
        p is None for p in parts
    ):
        return x[tuple(parts)]
    arrays = {i: np.flatnonzero(p) if p.dtype.kind == "b" else p for i, p in arrays.items()}
    numbers = {i: p for i, p in enumerate(parts) if isinstance(p, int | np.integer)}
    indexed = sorted(arrays | numbers)
    together = np.broadcast_shapes(*(p.shape for p in arrays.values()))
    along = _own_axes(arrays, len(together))
    if along is None:
        return x[tuple(arrays.get(i, p) for i, p in enumerate(parts))]
    found = x[tuple(slice(None) if i in arrays else p for i, p in enumerate(parts))]
    kept = [i for i in range(x.ndim) if i not in numbers]
    for i, p in arrays.items():
        found = xp.take(found, p.reshape(-1), axis=kept.index(i))
    # The axes of the index arrays stand together: at the place of the first, or in front if something lies between.
    slices = [i for i in kept if i not in arrays]
    neighbours = indexed == list(range(indexed[0], indexed[-1] + 1))
    before = [i for i in slices if neighbours and i < indexed[0]]
    owner = {axis: i for i, axis in along.items() if axis is not None}
    middle = [owner[axis] for axis in sorted(owner)]
    gone = [i for i, axis in along.items() if axis is None]
    order = [*gone, *before, *middle, *(i for i in slices if i not in before)]
    found = xp.permute_dims(found, tuple(kept.index(i) for i in order))
    found = found[(0,) * len(gone)] if gone else found
    new = [len(before) + axis for axis in range(len(together)) if axis not in owner]
    return xp.expand_dims(found, tuple(new)) if new else found


def _looked_up(x: Array, key: Any) -> Array | None:
    """Return elements of a coordinate, which is in memory, at lazy positions; None where it is another selection."""
    positions = unwrapped(key)
    if not isinstance(positions, Array) or positions.dtype.kind not in "iu" or x.ndim != 1:
        return None
    data = getattr(getattr(x.own_node, "array", None), "data", None)
    if not isinstance(data, np.ndarray):
        return None
    return elementwise("take", ElementsAt(data), positions, dtype=x.dtype)


def _expanded(key: tuple[Any, ...], ndim: int) -> list[Any]:
    """Return ``key`` with one entry for each axis, and lists as index arrays."""
    parts = [_known(p) for p in key]
    parts = [p[()] if isinstance(p, np.ndarray) and p.ndim == 0 else p for p in parts]
    used = sum(p.ndim if _is_mask(p) else p is not None and p is not ... for p in parts)
    rest = [slice(None)] * (ndim - used)
    places = [i for i, p in enumerate(parts) if p is ...]
    at = places[0] if places else len(parts)
    return [*parts[:at], *rest, *(p for p in parts[at:] if p is not ...)]


def _known(part: Any) -> Any:
    """Return lists as arrays, and computed what is lazy and varies along one axis."""
    if isinstance(part, list):
        return np.asarray(part)
    lazy = unwrapped(part)
    along_one = isinstance(lazy, Array) and lazy.ndim and lazy.size == max(lazy.shape)
    return lazy.compute() if along_one else lazy


def _is_mask(part: Any) -> bool:
    return isinstance(part, np.ndarray) and part.dtype.kind == "b"


def _own_axes(arrays: dict[int, np.ndarray[Any, Any]], ndim: int) -> dict[int, int | None] | None:
    """Return the axis of the broadcast index that each array varies along; None if two share one, or one has two."""
    found: dict[int, int | None] = {}
    for i, p in arrays.items():
        long = [axis + ndim - p.ndim for axis, n in enumerate(p.shape) if n != 1]
        if len(long) > 1 or (long and long[0] in found.values()):
            return None
        found[i] = long[0] if long else None
    if len(arrays) == 1 and next(iter(found.values())) is None and ndim:
        # One position, in a list: its axis stays, with one element.
        return {next(iter(arrays)): ndim - 1} if ndim == 1 else found
    return found
