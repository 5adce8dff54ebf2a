"""The writing of one block, as tasks do it."""

from __future__ import annotations

import uuid
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asyncexec.plan.box import Index, Shape

_SHARED_STORES = ("LocalStore", "FsspecStore", "ObjectStore")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBlock:
    """Writes a block into its place in ``target``, and returns how many elements it has.

    Attributes
    ----------
    target : Zarr array, or what takes ``target[slices] = block``
    begin : tuple of int
        The element of the target that the first of the array becomes.
    chunks : tuple of int
        The chunk lengths of the array.
    lock : lock or None
        Held meanwhile.
    here : bool
        Whether this process has to write it.
    run : str
        Another one for each writing, so that none is taken for another that is complete.
    """

    target: Any
    begin: Shape
    chunks: Shape
    lock: Any = None
    here: bool = False
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self, block: Any, *, block_id: Index) -> Any:
        key = tuple(
            slice(b + i * c, b + i * c + n)
            for b, i, c, n in zip(self.begin, block_id, self.chunks, block.shape, strict=True)
        )
        with self.lock or nullcontext():
            self.target[key or ...] = block
        return np.full((1,) * block.ndim, block.size, np.int64)

    def __reduce__(self) -> tuple[Any, ...]:
        if self.here:
            raise TypeError(
                "what is written is a file with one writer, or in the memory of this process, which workers elsewhere "
                "do not reach: use the executor 'threads'"
            )
        return _write_block, (self.target, self.begin, self.chunks, self.lock, self.run)


def is_shared(target: Any) -> bool:
    """Return whether other processes reach ``target``: a Zarr array in files or in an object store."""
    store = getattr(target, "store", None)
    if type(store).__name__ not in _SHARED_STORES:
        return False
    inner = getattr(store, "fs", None) or getattr(store, "store", None)
    return "memory" not in type(inner).__name__.lower()


def _write_block(target: Any, begin: Shape, chunks: Shape, lock: Any, run: str) -> WriteBlock:
    return WriteBlock(target=target, begin=begin, chunks=chunks, lock=lock, run=run)
