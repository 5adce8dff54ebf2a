"""Intermediate chunks in memory, for backends that share the driver's: nothing is encoded, written or copied.

Chunks that do not fit into the budget are spilled to the run's directory: the newest, because a plan that runs
deepest-first reads the oldest next. A chunk is freed when the last task that reads it is complete.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from asyncexec.errors import CorruptChunkError
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.places.creation import create_array
from asyncexec.storage.tiers.blocks import (
    block_number,
    block_region,
    held_bytes,
    read_blocks,
    repeats,
    units_of,
)
from asyncexec.storage.tiers.intermediate_codec import intermediate

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncexec.plan.access import Region
    from asyncexec.plan.box import Index, Shape
    from asyncexec.storage.chunks.arrays import CompressorLike, StoredArray


class KeptChunks(Protocol):
    """Chunks in memory that can be read again from elsewhere."""

    def drop(self) -> None:
        """Let all go, and keep none from now on."""
        ...


class MemoryTier:
    """A byte budget that the arrays in memory share; thread-safe.

    Parameters
    ----------
    budget_bytes : int or None
        None where only the tier ``of`` bounds it.
    of : MemoryTier, optional
        The tier that this one is a part of: what is taken here is taken there, too.

    Attributes
    ----------
    used_bytes : int
        The bytes in use now.
    """

    def __init__(self, budget_bytes: int | None, *, of: MemoryTier | None = None) -> None:
        self.budget_bytes = budget_bytes
        self.arrays: list[TierArray] = []
        self._inputs: list[KeptChunks] = []
        self._of = of
        self.used_bytes = 0
        self._lock = threading.Lock()

    def keep(self, chunks: KeptChunks) -> None:
        """Have chunks of an input be let go where intermediates of this tier, or of the whole, need their memory."""
        with self._lock:
            self._inputs.append(chunks)
        if self._of is not None:
            self._of.keep(chunks)

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes, for which inputs that are kept are let go; return False if there are not as many."""
        if self.take_spare(size):
            return True
        self.drop_inputs()
        if self._of is not None:
            self._of.drop_inputs()
        return self.take_spare(size)

    def drop_inputs(self) -> None:
        """Let the chunks of inputs go, which are read again from now on."""
        with self._lock:
            inputs, self._inputs = self._inputs, []
        for chunks in inputs:
            chunks.drop()
            if self._of is not None:
                self._of.forget(chunks)

    def forget(self, chunks: KeptChunks) -> None:
        """Do not ask these chunks any more to be let go."""
        with self._lock, suppress(ValueError):
            self._inputs.remove(chunks)

    def take_spare(self, size: int) -> bool:
        """Reserve ``size`` bytes that nothing else needs; return False if there are not as many."""
        with self._lock:
            if self.budget_bytes is not None and self.used_bytes + size > self.budget_bytes:
                return False
            # Under both locks, always in this order, from the part to the whole.
            if self._of is not None and not self._of.take_spare(size):
                return False
            self.used_bytes += size
            return True

    def spill(self, wanted_bytes: int) -> int:
        """Free so many bytes, or as many as there are: inputs go, then blocks to their disks, the newest first."""
        before = self.used_bytes
        self.drop_inputs()
        for array in reversed(self.arrays):
            array.spill(self.used_bytes - before + wanted_bytes)
        return before - self.used_bytes

    def give_back(self, size: int) -> None:
        """Return what :meth:`take` reserved."""
        with self._lock:
            self.used_bytes -= size
        if self._of is not None:
            self._of.give_back(size)


class TierArray:
    """An intermediate array of which each block is in memory, or spilled to the Zarr array ``ref``.

    Parameters
    ----------
    tier : MemoryTier
    ref : StoredArray
        The array that blocks are spilled to; created with the first of them.
    block : tuple of int
        The shape of the blocks that the stage writes, in elements.
    compressor : optional
        How spilled blocks are compressed; by their place by default.
    """

    def __init__(
        self,
        tier: MemoryTier,
        ref: StoredArray,
        block: Shape,
        compressor: CompressorLike = "auto",
    ) -> None:
        tier.arrays.append(self)
        self._compressor = compressor
        self.ref = ref
        self.block = block
        self.shape = ref.shape
        self.numpy_dtype = ref.numpy_dtype
        self._tier = tier
        self._held: dict[Index, np.ndarray] = {}
        self._spilled: set[Index] = set()
        self._lock = threading.Lock()
        # A lock of its own, as creating the array blocks for long: reads of other blocks must not wait for that.
        self._making = threading.Lock()
        self._made = False

    def read(self, region: Region) -> np.ndarray:
        """Return the elements in ``region``, read-only; within one block without copying it."""
        return read_blocks(region, self.block, self.numpy_dtype, self._block)

    def write(self, region: tuple[slice, ...], block: np.ndarray) -> None:
        """Keep ``block``, which is exactly one block of the array, or spill it where the budget is used up."""
        index = block_number(region, self.block)
        size = held_bytes(block)
        if not self._tier.take(size):
            self._spill(index, region, block)
            return
        kept = _own(block)
        # Another attempt of the task may have written the block before: its bytes are returned.
        with self._lock:
            before = self._held.get(index)
            self._held[index] = kept
        if before is not None:
            self._tier.give_back(held_bytes(before))

    def holds(self, index: Index) -> bool:
        """Return whether a block is in memory, or was spilled."""
        return index in self._held or index in self._spilled

    def release(self, indices: Iterable[Index]) -> None:
        """Free these blocks, which no task will read any more."""
        freed = 0
        with self._lock:
            for index in indices:
                held = self._held.pop(index, None)
                if held is not None:
                    freed += held_bytes(held)
                self._spilled.discard(index)
        self._tier.give_back(freed)

    def spill(self, wanted_bytes: int) -> None:
        """Write blocks to the disk until so many bytes of them are free, the newest first."""
        for index, block in reversed(list(self._held.items())):
            if wanted_bytes <= 0:
                return
            self._spill(index, block_region(index, self.block, self.ref.shape), block)
            wanted_bytes -= held_bytes(block)

    def clear(self) -> None:
        """Free all blocks."""
        with self._lock:
            freed = sum([held_bytes(held) for held in self._held.values()])
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
            return opened(self.ref).read(block_region(index, self.block, self.ref.shape))
        units = units_of(index, self.block, self.ref.unit)
        raise CorruptChunkError(
            f"chunk {index} of {self.ref.location} is not there: it was freed before its last reader was complete",
            array=str(self.ref.location),
            chunks=(units,),
        )

    def _spill(self, index: Index, region: tuple[slice, ...], block: np.ndarray) -> None:
        # Written before it is entered as spilled: a reader meets the block in memory until it is whole on the disk.
        with self._making:
            if not self._made:
                self.ref = intermediate(self.ref, self._compressor)
                create_array(self.ref)
                self._made = True
        opened(self.ref).write(region, block)
        with self._lock:
            self._spilled.add(index)
            # What another attempt of the task has left in memory would be read instead.
            before = self._held.pop(index, None)
        if before is not None:
            self._tier.give_back(held_bytes(before))


def _own(block: np.ndarray) -> np.ndarray:
    """Return ``block`` read-only, copied if it is a view that would keep a larger array alive."""
    whole = block.base is None or getattr(block.base, "nbytes", None) == block.nbytes
    kept = block.view() if whole or repeats(block) else block.copy(order="K")
    kept.flags.writeable = False
    return kept
