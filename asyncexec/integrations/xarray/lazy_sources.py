"""Variables that xarray has opened, but not read, as arrays: each task reads what it needs.

A Zarr array is read by this package itself (as ``from_zarr`` does), and what xarray would apply when it is read, such
as scale, offset and missing values, is applied chunk by chunk. Anything else, such as a variable of a netCDF file, is
read through xarray, slice by slice.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from xarray.backends.zarr import ZarrArrayWrapper
from xarray.coding.common import _ElementwiseFunctionArray
from xarray.core import indexing

import asyncexec.array as xp
from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.spec import Spec
from asyncexec.array.wrapping import elementwise
from asyncexec.errors import OptionError
from asyncexec.integrations.xarray.selection import selected
from asyncexec.plan.box import Shape

_WRAPPERS = (
    indexing.ImplicitToExplicitIndexingAdapter,
    indexing.CopyOnWriteArray,
    indexing.MemoryCachedArray,
)


def is_lazily_indexed(data: Any) -> bool:
    """Return True for what xarray has opened and not read."""
    return isinstance(
        data, (indexing.ImplicitToExplicitIndexingAdapter, indexing.ExplicitlyIndexed)
    )


def lazily_read(data: Any, chunks: Shape, spec: Spec | None) -> Array:
    """Return the array of what xarray has opened, in ``chunks``; nothing is read."""
    found = _from_zarr(data, spec)
    if found is not None:
        return found.rechunk(chunks)
    dtype = np.dtype(data.dtype)
    node = build.creation("from_xarray", ReadSlices(data), data.shape, chunks, dtype)
    return Array(node, spec)


@dataclass(frozen=True, slots=True)
class ReadSlices:
    """Reads a block of what xarray has opened, by the numbers of its elements along each axis."""

    data: Any
    # What is in the file may change: nothing that was read by another plan stands for it.
    opened: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self, positions: tuple[np.ndarray[Any, Any], ...]) -> np.ndarray[Any, Any]:
        key = tuple(map(_as_slice, positions))
        if isinstance(self.data, indexing.ImplicitToExplicitIndexingAdapter):
            return np.asarray(self.data[key])
        return np.asarray(
            indexing.ImplicitToExplicitIndexingAdapter(self.data, indexing.OuterIndexer)[key]
        )


def _as_slice(numbers: np.ndarray[Any, Any]) -> Any:
    """Return the slice of ``numbers``, where they are at equal distances, upwards."""
    if not numbers.size:
        return slice(0, 0)
    first, last = int(numbers[0]), int(numbers[-1])
    step = int(numbers[1]) - first if numbers.size > 1 else 1
    regular = step > 0 and last == first + step * (numbers.size - 1)
    if regular and (numbers.size < 3 or bool((np.diff(numbers) == step).all())):
        return slice(first, last + 1, step)
    return numbers


def _from_zarr(data: Any, spec: Spec | None) -> Array | None:
    """Return a Zarr array, as it is decoded and indexed by xarray; None if there is another thing below."""
    if isinstance(data, _WRAPPERS):
        return _from_zarr(data.array, spec)
    if isinstance(data, ZarrArrayWrapper):
        return _stored(data._array, spec)  # noqa: SLF001 - what get_array() returns, which has no types
    if isinstance(data, indexing.LazilyIndexedArray):
        below = _from_zarr(data.array, spec)
        return None if below is None else _indexed(below, data.key)
    if isinstance(data, _ElementwiseFunctionArray):
        below = _from_zarr(data.array, spec)
        return None if below is None else _decoded(below, data.func, data.dtype)
    return None


def _stored(array: Any, spec: Spec | None) -> Array | None:
    try:
        return xp.from_zarr(array.store, path=array.path, spec=spec)
    except (OptionError, TypeError):
        # A kind of store or of elements that only Zarr itself reads.
        return None


def _indexed(array: Array, key: Any) -> Array | None:
    if not isinstance(key, indexing.BasicIndexer | indexing.OuterIndexer):
        return None
    found = array
    axis = 0
    for part in key.tuple:
        if isinstance(part, int | np.integer):
            found = selected(found, (*(slice(None),) * axis, int(part)))
            continue
        if not (isinstance(part, slice) and part == slice(None)):
            found = selected(found, (*(slice(None),) * axis, part))
        axis += 1
    return found


def _decoded(array: Array, function: Callable[..., Any], dtype: np.dtype[Any]) -> Array:
    return elementwise("decode", function, array, dtype=dtype)
