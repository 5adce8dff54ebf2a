"""Arrays that are there already, as nodes: Zarr arrays, and arrays in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array.chunks import clipped
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.nodes import ArraySource, Node
from asyncexec.storage.chunks.array_traits import ArrayTraits
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.chunks.block_io import InMemory


def stored_source(array: StoredArray, traits: ArrayTraits | None = None) -> Node:
    """Return the node of a Zarr array, whose metadata say ``traits`` besides."""
    dtype = checked_dtype(array.numpy_dtype, what=str(array.location))
    return ArraySource(
        array=array,
        shape=array.shape,
        chunks=clipped(array.unit, array.shape),
        dtype=dtype,
        traits=traits,
        operation="from_zarr",
    )


def memory_source(data: np.ndarray[Any, Any], chunks: tuple[int, ...]) -> Node:
    """Return the node of an array in memory, which must not change any more."""
    return ArraySource(
        array=InMemory(data, chunks),
        shape=data.shape,
        chunks=chunks,
        dtype=data.dtype,
        operation="from_array",
    )
