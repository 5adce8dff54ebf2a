"""Arrays of other libraries that are read part by part: variables of netCDF files, datasets of HDF5, lazy adapters.

Whatever has ``shape``, ``dtype`` and ``__getitem__`` for slices is read by the tasks that need it, chunk by chunk.
Where it cannot be pickled, and workers are other processes, it is copied to the run's directory first, chunk by chunk.
"""

from __future__ import annotations

import math
import pickle
import threading
from dataclasses import dataclass
from hashlib import blake2b
from itertools import product
from typing import Any

import numpy as np

from asyncexec.array import chunks as chunking
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.nodes import ArraySource, Node
from asyncexec.plan.access import Region
from asyncexec.plan.box import Shape
from asyncexec.plan.lengths import block_start
from asyncexec.plan.masked import unmasked
from asyncexec.storage.chunks.block_io import InMemory
from asyncexec.storage.chunks.chunk_slices import chunk_slices, shape_of
from asyncexec.storage.workspace.stage_inputs import TRAVELS_BYTES

_READING = threading.RLock()
"""Held while something is read: libraries of files, HDF5 among them, do not bear several threads."""

_IN_MEMORY = (
    "__array_interface__",
    "__array_ufunc__",
    "__cuda_array_interface__",
    "__dask_graph__",
    "__dlpack__",
)
"""Attributes of what is in memory already, or computes itself."""


def is_read_by_part(obj: Any) -> bool:
    """Return whether ``obj`` is an array outside of memory that is large enough to be read part by part."""
    named = all(hasattr(obj, name) for name in ("shape", "dtype", "__getitem__"))
    if not named or isinstance(obj, str | bytes | type) or any(hasattr(obj, a) for a in _IN_MEMORY):
        return False
    try:
        nbytes: int = math.prod(map(int, obj.shape)) * np.dtype(obj.dtype).itemsize
    except TypeError:
        return False
    return nbytes > TRAVELS_BYTES


def foreign_source(obj: Any, chunks: ChunksLike, *, limit: int) -> Node:
    """Return the node of an array of another library.

    Raises
    ------
    TypeError
        If it has elements of an unsupported type.
    """
    shape = tuple(int(n) for n in obj.shape)
    dtype = checked_dtype(np.dtype(obj.dtype), what=type(obj).__name__)
    own = getattr(obj, "chunks", None)
    if chunks == "auto" and isinstance(own, tuple) and all(isinstance(c, int) for c in own):
        settled = _multiples(own, shape, dtype.itemsize, limit)
    else:
        settled = chunking.normalize_chunks(chunks, shape, dtype.itemsize, limit=limit)
    parts = PartsOf(obj, shape, dtype, settled)
    data: Any = parts
    array: Any = ReadInTasks(parts) if _travels(obj) else ReadHere(data, settled)
    return ArraySource(
        array=array, shape=shape, chunks=settled, dtype=dtype, operation="from_array"
    )


def _multiples(own: Shape, shape: Shape, itemsize: int, limit: int) -> Shape:
    """Return multiples of the chunks in a file that come near the size that "auto" aims at."""
    own = chunking.clipped(own, shape)
    found = list(own)
    for axis in range(len(shape) - 1, -1, -1):
        left = limit // max(chunking.chunk_bytes(shape, tuple(found), itemsize), 1)
        found[axis] = min(own[axis] * max(left, 1), max(shape[axis], 1))
    return tuple(found)


def _travels(obj: Any) -> bool:
    """Return whether ``obj`` can be sent to workers: it can be pickled, and does not bring its elements along."""
    try:
        return len(pickle.dumps(obj)) <= TRAVELS_BYTES
    except Exception:  # noqa: BLE001 - whatever the library raises
        return False


@dataclass(frozen=True, slots=True, eq=False)
class PartsOf:
    """An array of another library, read in chunks of at most ``chunks``.

    Attributes
    ----------
    obj : object
        What has ``__getitem__`` for slices.
    shape, chunks : tuple of int
    dtype : dtype
    """

    obj: Any
    shape: Shape
    dtype: np.dtype[Any]
    chunks: Shape

    @property
    def nbytes(self) -> int:
        """Bytes in all."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, region: Region) -> np.ndarray[Any, Any]:
        """Return what ``region`` takes: slices of any step, or positions."""
        if all(isinstance(a, slice) and a.step in (None, 1) for a in region):
            return self._slices(region)
        found = np.empty(shape_of(region), self.dtype)
        along = [chunk_slices(a, c) for a, c in zip(region, self.chunks, strict=True)]
        for parts in product(*along):
            bounds, within = [], []
            for part, chunk in zip(parts, self.chunks, strict=True):
                bound, inner = _bounded(part.in_chunk, block_start(chunk, part.chunk))
                bounds.append(bound)
                within.append(inner)
            read = self._slices(tuple(bounds))
            for axis, inner in enumerate(within):
                read = read[(slice(None),) * axis + (inner,)]
            places = [
                np.arange(n)[part.in_result] for n, part in zip(found.shape, parts, strict=True)
            ]
            found[np.ix_(*places)] = read
        return found

    def _slices(self, region: Region) -> np.ndarray[Any, Any]:
        with _READING:
            read = self.obj[region]
            read = read if isinstance(read, np.ndarray) else np.asanyarray(read)
        block = np.asarray(unmasked(read, f"{type(self.obj).__name__}"))
        return block.astype(self.dtype, copy=False)

    def identity(self) -> str:
        """Return a hash of the content, which is read part by part."""
        content = blake2b(digest_size=16)
        grid = chunking.grid(self.shape, self.chunks)
        for number in np.ndindex(*grid):
            along = zip(number, self.chunks, self.shape, strict=True)
            ends = [(block_start(c, k), min(block_start(c, k + 1), n)) for k, c, n in along]
            part = self[tuple(slice(*each) for each in ends)]
            content.update(np.ascontiguousarray(part).view(np.uint8).data)
        return f"{self.dtype.str}{self.shape}{self.chunks}{content.hexdigest()}"


def _bounded(along: Any, begin: int) -> tuple[slice, Any]:
    """Return the slice around a part of a chunk that begins at ``begin``, and the part of that slice."""
    if isinstance(along, slice):
        # A slice downwards may end before the first element of the chunk.
        stop = -1 if along.stop is None else along.stop
        positions = np.arange(along.start, stop, along.step or 1)
    else:
        positions = np.asarray(along)
    low, high = int(positions.min()), int(positions.max())
    return slice(begin + low, begin + high + 1), positions - low


@dataclass(frozen=True, eq=False)
class ReadInTasks:
    """An array of another library that is sent to workers, and read there."""

    data: PartsOf

    @property
    def shape(self) -> Shape:
        """The array's shape."""
        return self.data.shape

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The element type."""
        return self.data.dtype

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        """Return what ``region`` takes, read-only."""
        block = self.data[region].view()
        block.flags.writeable = False
        return block


class ReadHere(InMemory):
    """An array of another library that is read in this process, by its tasks or for those of other processes."""

    def read(self, region: Region) -> np.ndarray[Any, Any]:
        block = self.data[region].view()
        block.flags.writeable = False
        return block
