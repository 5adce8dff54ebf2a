"""Intermediate chunks in memory, for backends that share the driver's: nothing is encoded, written or copied.

What does not fit into the budget is written to the run's directory instead: the newest, because a plan that runs
deepest-first will want the oldest next. A chunk leaves memory when the last task that reads it is complete.
"""

from __future__ import annotations

import threading
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.errors import CorruptArrayError
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.chunks.chunk_slices import assign, chunk_slices, shape_of, within_one_chunk
from asyncexec.storage.places.creation import create_array

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index, Shape
    from asyncexec.storage.chunks.arrays import StoredArray


class MemoryTier:
    """A byte budget that the arrays in it share; thread-safe."""

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._used = 0
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """How much is held now."""
        return self._used

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes, if they are left."""
        with self._lock:
            if self._used + size > self.budget_bytes:
                return False
            self._used += size
            return True

    def give_back(self, size: int) -> None:
        """Return what :meth:`take` reserved."""
        with self._lock:
            self._used -= size


class TierArray:
    """An intermediate array of which each block is in memory, or spilled to the Zarr array ``ref``.

    Parameters
    ----------
    tier : MemoryTier
    ref : StoredArray
        Where blocks are spilled; made when the first one is.
    block : tuple of int
        What is written at once, in elements: the blocks of the stage that writes the array.
    """

    def __init__(self, tier: MemoryTier, ref: StoredArray, block: Shape) -> None:
        self.ref = ref
        self.block = block
        self._tier = tier
        self._held: dict[Index, np.ndarray] = {}
        self._spilled: set[Index] = set()
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._made = False

    @property
    def shape(self) -> Shape:
        """The array's shape."""
        return self.ref.shape

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The element type."""
        return self.ref.numpy_dtype

    def read(self, region: Region) -> np.ndarray:
        """Return what ``region`` takes, read-only; within one block without copying it."""
        pieces = [chunk_slices(along, size) for along, size in zip(region, self.block, strict=True)]
        found: np.ndarray
        if (one := within_one_chunk(pieces)) is not None:
            chunk, inner = one
            found = self._block(chunk)[inner]
        else:
            found = np.empty(shape_of(region), self.numpy_dtype)
            for combination in product(*pieces):
                chunk, inner, outer = zip(*combination, strict=True)
                assign(found, outer, self._block(chunk), inner)
        found.flags.writeable = False
        return found

    def write(self, region: tuple[slice, ...], block: np.ndarray) -> None:
        """Keep ``block``, which is exactly one block of the array, or spill it where the budget is used up."""
        index = tuple(along.start // size for along, size in zip(region, self.block, strict=True))
        size = _size(block)
        if not self._tier.take(size):
            self._spill(index, region, block)
            return
        kept = _own(block)
        with self._lock:
            before = self._held.get(index)
            self._held[index] = kept
        if before is not None:
            self._tier.give_back(_size(before))

    def release(self, indices: Iterable[Index]) -> None:
        """Let go of these blocks: nobody will read them any more."""
        freed = 0
        with self._lock:
            for index in indices:
                held = self._held.pop(index, None)
                if held is not None:
                    freed += _size(held)
                self._spilled.discard(index)
        self._tier.give_back(freed)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            freed = sum(_size(held) for held in self._held.values())
            self._held.clear()
            self._spilled.clear()
        self._tier.give_back(freed)

    def __reduce__(self) -> Any:
        raise TypeError(f"{self.ref} is kept in memory, and cannot be sent to another process")

    def _block(self, index: Index) -> np.ndarray:
        held = self._held.get(index)
        if held is not None:
            return held
        if index in self._spilled:
            return opened(self.ref).read(self._region(index))
        raise CorruptArrayError(
            f"chunk {index} of {self.ref.location} is not there: it was let go of before its last reader was complete"
        )

    def _region(self, index: Index) -> tuple[slice, ...]:
        return tuple(
            slice(i * size, min((i + 1) * size, extent))
            for i, size, extent in zip(index, self.block, self.ref.shape, strict=True)
        )

    def _spill(self, index: Index, region: tuple[slice, ...], block: np.ndarray) -> None:
        with self._making:
            if not self._made:
                create_array(self.ref)
                self._made = True
        opened(self.ref).write(region, block)
        with self._lock:
            self._spilled.add(index)


def _size(block: np.ndarray) -> int:
    """Return how much memory ``block`` takes; one that repeats a single element takes just that."""
    return block.itemsize if _repeats(block) else block.nbytes


def _own(block: np.ndarray) -> np.ndarray:
    """Return ``block`` read-only and holding on to nothing but itself."""
    whole = block.base is None or getattr(block.base, "nbytes", None) == block.nbytes
    kept = block.view() if whole or _repeats(block) else block.copy(order="K")
    kept.flags.writeable = False
    return kept


def _repeats(block: np.ndarray) -> bool:
    return block.size > 1 and not any(block.strides)
