"""Data that xarray chunks, as arrays: in memory, or opened and not read."""

from __future__ import annotations

from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.array.dtypes import KINDS
from asyncexec.array.operands import chunk_limit
from asyncexec.array.spec import Spec
from asyncexec.integrations.xarray.chunk_tuples import settled_chunks
from asyncexec.integrations.xarray.duck_array import DuckArray
from asyncexec.integrations.xarray.lazy_sources import is_lazily_indexed, lazily_read


def from_data(data: Any, chunks: Any, spec: Spec | None) -> Any:
    """Return ``data`` as a lazy array in ``chunks``; as it is, where its elements are times, strings or objects."""
    if isinstance(data, Array):
        return DuckArray(data).rechunk(chunks)
    dtype = data.dtype
    if not isinstance(dtype, np.dtype) or (
        dtype.name not in KINDS["numeric"] and dtype.kind != "b"
    ):
        return getattr(data, "array", data) if is_lazily_indexed(data) else data
    settled = settled_chunks(chunks, data.shape, dtype.itemsize, limit=chunk_limit(spec))
    if is_lazily_indexed(data):
        return DuckArray(lazily_read(data, settled, spec))
    return DuckArray(xp.from_array(np.asarray(data), settled, spec=spec))
