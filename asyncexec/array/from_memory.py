"""Arrays of data that are there: :func:`asarray` of the array API standard, and :func:`from_array`."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.foreign_arrays import foreign_source, is_read_by_part
from asyncexec.array.manipulation import stack
from asyncexec.array.operands import (
    check_device,
    chunk_limit,
    common_spec,
    elements_of,
    own_source,
)
from asyncexec.array.reading import from_zarr
from asyncexec.array.spec import Spec


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
    instead, and must not be changed before everything made of it is computed. Lazy arrays pass through, and nested
    sequences of them, and of numbers, are stacked. An array of Zarr is read chunk by chunk when it is needed, as by
    :func:`from_zarr`, unless ``copy=True`` reads it at once. Lazy arrays of other libraries (Dask's, Cubed's) are
    computed, into memory.

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
        If the elements have an unsupported type, or some are masked (see ``numpy.ma``): fill them before.
    OverflowError
        If a scalar is out of the range of an integer ``dtype``.
    OptionError
        If ``obj`` is an array of another spec.
    """
    check_device(device)
    lazy = _as_lazy(obj, spec, copy=copy)
    if lazy is not None:
        found = lazy if dtype is None else lazy.astype(dtype, copy=False)
        chosen = common_spec((found.own_spec, spec))
        if copy or chosen is not found.own_spec:
            found = Array(found.node, chosen)
        return found if chunks == "auto" else found.rechunk(chunks)
    if copy is False and not isinstance(obj, np.ndarray):
        raise ValueError(f"{type(obj).__name__} must be copied to become an array; use copy=None")
    wanted = None if dtype is None else checked_dtype(dtype)
    data = elements_of(obj, wanted, copy=copy)
    return Array(own_source(data, chunks, spec, copy=copy is not False), spec)


def _as_lazy(obj: Any, spec: Spec | None, *, copy: bool | None) -> Array | None:
    """Return ``obj`` as an array where nothing must be read for it; else None."""
    if isinstance(obj, Array):
        return obj
    if isinstance(obj, list | tuple) and _holds_arrays(obj):
        return _stacked(obj)
    stored: Any = obj
    if not copy and _is_stored(stored):
        return from_zarr(stored.store, path=stored.path, spec=spec)
    return None


def _holds_arrays(nested: list[Any] | tuple[Any, ...]) -> bool:
    """Return True for nested lists of arrays, or of arrays and numbers, of which none is empty."""
    found = False
    left: list[Any] = [nested]
    while left:
        sequence = left.pop()
        kinds = set(map(type, sequence))
        if not kinds:
            return False
        if kinds <= _NUMBERS:
            continue
        for item in sequence:
            if isinstance(item, list | tuple):
                left.append(item)
            elif isinstance(item, Array):
                found = True
            elif type(item) not in _NUMBERS:
                return False
    return found


_NUMBERS = frozenset({bool, int, float, complex})


def _stacked(nested: Any) -> Array:
    """Return nested lists of arrays and numbers as one array, stacked level by level."""
    if isinstance(nested, Array):
        return nested
    if not isinstance(nested, list | tuple):
        return asarray(nested)
    return stack([_stacked(each) for each in nested])


def _is_stored(obj: Any) -> bool:
    """Return True for an array of Zarr that every worker can read."""
    zarr = sys.modules.get("zarr")
    if zarr is None or not isinstance(obj, zarr.Array):
        return False
    return not isinstance(obj.store, zarr.storage.MemoryStore)


def from_array(
    x: Any,
    /,
    chunks: ChunksLike = "auto",
    *,
    copy: bool | None = None,
    spec: Spec | None = None,
) -> Array:
    """Return an array of what ``x`` holds: a NumPy array, or anything with ``shape``, ``dtype`` and ``x[slices]``.

    What is in memory is copied, as by :func:`asarray`. Of more than 1 MB outside of memory (a variable of a netCDF
    file, a dataset of HDF5, an array of Zarr, a lazy adapter) each task reads its part, one at a time in a process, so
    that the file must stay open until everything is computed; "auto" chunks are multiples of its own. Where it cannot
    be pickled, and workers are other processes, it is copied to the run's directory first, chunk by chunk.
    ``copy=True`` reads all of it now.

    >>> x = xp.from_array(np.arange(6.0).reshape(2, 3), chunks=(1, 3))
    >>> x.numblocks
    (2, 1)
    >>> x[1].compute()
    array([3., 4., 5.])

    A masked array (such as of a variable of a netCDF file) is taken where nothing is masked, and refused otherwise:
    fill what is missing, by ``x.filled(np.nan)``, say.

    Raises
    ------
    TypeError
        If elements are masked, or have an unsupported type.
    """
    lazily = not isinstance(x, Array) and not _is_stored(x) and is_read_by_part(x)
    if lazily and not copy:
        return Array(foreign_source(x, chunks, limit=chunk_limit(spec)), spec)
    named = not hasattr(x, "__array__") and hasattr(x, "shape") and hasattr(x, "dtype")
    return asarray(x[...] if named else x, chunks=chunks, copy=copy, spec=spec)
