"""Operands of expressions: scalars and NumPy arrays as constants or nodes, and the spec that a result has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np

from asyncexec.array import chunks as chunking
from asyncexec.array.dtypes import as_element, checked_dtype
from asyncexec.array.nodes import Node
from asyncexec.array.sources import memory_source
from asyncexec.array.spec import Spec, free_bytes_of
from asyncexec.errors import OptionError
from asyncexec.plan.masked import unmasked

_PLAIN = frozenset((bool, int, float, complex))
SCALARS = (bool, int, float, complex, str, bytes, date, timedelta, np.generic)


def constant_or_node(value: Any) -> Any:
    """Return a scalar as it is, and a NumPy array (or nested sequence) as a node.

    Raises
    ------
    TypeError
        If it is neither, or masked.
    """
    if isinstance(value, SCALARS):
        if isinstance(value, np.generic) and value.dtype.kind not in "mM":
            checked_dtype(value.dtype, what=repr(value))
        if isinstance(value, date):
            return np.datetime64(value)
        return np.timedelta64(value) if isinstance(value, timedelta) else value
    if isinstance(value, np.ndarray):
        return own_source(value)
    raise TypeError(
        f"{type(value).__name__} cannot stand beside an array: use arrays, NumPy arrays or scalars"
    )


def own_source(
    data: np.ndarray[Any, Any],
    chunks: Any = "auto",
    spec: Spec | None = None,
    *,
    copy: bool = True,
) -> Node:
    """Return a node of ``data``; it is copied, so that changing it later changes nothing here.

    Raises
    ------
    ValueError
        If it must not be copied, and has to be.
    TypeError
        If it has masked elements, or elements of an unsupported type.
    """
    dtype = checked_dtype(unmasked(data, "the array").dtype)
    if not copy and data.dtype != dtype:
        raise ValueError(
            f"elements of type {data.dtype.str} must be copied, to have this machine's byte order"
        )
    limit = chunk_limit(spec)
    settled = chunking.normalize_chunks(chunks, data.shape, dtype.itemsize, limit=limit)
    kept = np.array(data, dtype=dtype, order="C", copy=True) if copy else data.view()
    kept.setflags(write=False)
    return memory_source(kept, settled)


def elements_of(obj: Any, dtype: np.dtype[Any] | None, *, copy: bool | None) -> Any:
    """Return a scalar, nested sequences, or what becomes a NumPy array, as one, with elements of ``dtype``.

    Raises
    ------
    OverflowError, ValueError
        If a scalar (by itself, or in a sequence) is no value of an integer ``dtype``, or a value of another library's
        array is missing, and ``dtype`` has none for that.
    TypeError
        If something is masked, also on its way through ``__array__`` or within a sequence.
    """
    unmasked(obj, "the array")
    if dtype is None and isinstance(obj, int) and not -(2**63) <= obj < 2**64:
        raise OverflowError(f"{obj} is out of range for integers of 64 bits: give a floating dtype")
    for value in _numpy_values(obj):
        unmasked(value, "the array")
        if dtype is not None and not value.ndim and value.dtype.kind in "biufc":
            as_element(value, dtype, what="the value")
    if not isinstance(obj, list | tuple | np.ndarray) and hasattr(obj, "__array__"):
        obj = _foreign_elements(obj, dtype)
    return np.asarray(obj, dtype=dtype, copy=copy or None)


def _foreign_elements(obj: Any, dtype: np.dtype[Any] | None) -> np.ndarray[Any, Any]:
    """Return the elements of another library's array, after checking that none is missing that ``dtype`` cannot hold.

    Such a library says by NaN what is missing among its integers.
    """
    what = f"the array of {type(obj).__name__}"
    # Dask strips by itself what it has computed of its mask.
    lazy = hasattr(obj, "__dask_graph__") and hasattr(obj, "compute")
    # What becomes an array may become a masked one, which numpy.asarray strips of its mask.
    found: np.ndarray[Any, Any] = unmasked(np.asanyarray(obj.compute() if lazy else obj), what)
    whole = dtype is not None and dtype.kind in "biu" and found.dtype.kind in "fc"
    if whole and np.isnan(found).any():
        raise ValueError(
            f"{what} has missing values (NaN), for which {dtype} has no value: fill them before, or use a floating type"
        )
    return found


def _numpy_values(obj: Any) -> Iterator[Any]:
    """Iterate over NumPy's scalars and arrays in nested sequences, of which there may be many plain elements.

    What becomes an array by itself is one there, too.
    """
    left: list[Sequence[Any]] = [(obj,)] if _is_nested(obj) or isinstance(obj, np.generic) else []
    while left:
        sequence = left.pop()
        if _PLAIN.issuperset(map(type, sequence)):
            continue
        for item in sequence:
            if _is_nested(item):
                left.append(item)
            elif isinstance(item, np.generic | np.ndarray):
                yield item
            elif hasattr(item, "__array__"):
                yield np.asanyarray(item)


def _is_nested(value: Any) -> bool:
    """Return whether ``value`` is a sequence of elements, such as NumPy takes: a list, tuple, deque, and their like."""
    if isinstance(value, list | tuple):
        return True
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | range | memoryview)


def check_device(device: str | None) -> None:
    """Check the name of a device.

    Raises
    ------
    ValueError
        If it is not ``"cpu"``.
    """
    if device not in (None, "cpu"):
        raise ValueError(f"device {device!r} is not supported: there is 'cpu' alone")


def chunk_limit(spec: Spec | None) -> int:
    """Return what "auto" chunks aim at, in bytes: a good size, or less where little memory is allowed."""
    free = free_bytes_of(spec)
    return max(1, min(chunking.PREFERRED_BYTES, free // 10))


def common_spec(specs: Iterable[Spec | None]) -> Spec | None:
    """Return the spec that all arrays of an expression share; None where none of them has one.

    Raises
    ------
    OptionError
        If they differ.
    """
    found: Spec | None = None
    for spec in specs:
        if spec is None or spec is found:
            continue
        if found is not None and spec != found:
            raise OptionError(
                f"arrays of different specs cannot be put together: {found} and {spec}; make them with one spec"
            )
        found = found or spec
    return found
