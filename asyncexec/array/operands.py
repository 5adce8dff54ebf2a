"""Operands of expressions: scalars and NumPy arrays as constants or nodes, and the spec that a result has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from asyncexec.array import chunks as chunking
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.nodes import Node
from asyncexec.array.sources import memory_source
from asyncexec.array.spec import Spec
from asyncexec.errors import OptionError

SCALARS = (bool, int, float, complex, np.generic)


def constant_or_node(value: Any) -> Any:
    """Return a scalar as it is, and a NumPy array (or nested sequence) as a node.

    Raises
    ------
    TypeError
        If it is neither.
    """
    if isinstance(value, SCALARS):
        if isinstance(value, np.generic):
            checked_dtype(value.dtype, what=repr(value))
        return value
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
    """
    dtype = checked_dtype(data.dtype)
    if not copy and data.dtype != dtype:
        raise ValueError(
            f"elements of type {data.dtype.str} must be copied, to have this machine's byte order"
        )
    limit = chunk_limit(spec)
    settled = chunking.normalize_chunks(chunks, data.shape, dtype.itemsize, limit=limit)
    kept = np.array(data, dtype=dtype, order="C", copy=True) if copy else data.view()
    kept.setflags(write=False)
    return memory_source(kept, settled)


def chunk_limit(spec: Spec | None) -> int:
    """Return what "auto" chunks aim at, in bytes: a good size, or less where little memory is allowed."""
    free = (spec or Spec()).free_bytes
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
