"""The arrays of which several tasks of a stage need the same chunks, and what these tasks read them through."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from asyncexec.plan.access_map import ReadRegion
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.chunks.block_io import BlockIO
from asyncexec.storage.tiers.chunk_uses import may_read_again
from asyncexec.storage.tiers.kept_inputs import KeptInput
from asyncexec.storage.tiers.process import MemoryTier
from asyncexec.storage.tiers.shared_memory import fits_files

if TYPE_CHECKING:
    from asyncexec.plan.access_map import AccessMap
    from asyncexec.plan.box import Shape
    from asyncexec.storage.chunks.block_io import TaskInput
    from asyncexec.storage.tiers.shared_inputs import SharedInput
    from asyncexec.storage.workspace.binding import Tier

LEAST_BYTES = 2**20
"""Smaller arrays are read again: what is to be found out first would take as long."""
LEAST_SHARED_CHUNK = 2**18
"""The least bytes of a chunk that processes share: to hand over a smaller one takes as long as to decode it."""


def keep_inputs(io: BlockIO, shape: Shape, tier: Tier) -> BlockIO:
    """Return what the tasks of a stage of ``shape`` read and write, with chunks kept that are read several times."""
    grid = _grid(io, shape)
    found = repeated_reads(io, shape, shared=not isinstance(tier, MemoryTier))
    if not found:
        return io
    kept = {ref: _kept(ref, accesses, grid, tier) for ref, accesses in found.items()}
    sources = [
        s if (pair := _in_chunks(s)) is None else replace(s, kept=kept.get(pair[0]))
        for s in io.sources
    ]
    return replace(io, sources=tuple(sources))


def repeated_reads(
    io: BlockIO, shape: Shape, *, shared: bool
) -> dict[StoredArray, list[AccessMap]]:
    """Return the arrays of which tasks may need a chunk again, with what each of the stage's inputs reads of them.

    ``shared`` says whether it is by files that tasks share chunks.
    """
    grid = _grid(io, shape)
    if math.prod(grid) < 2:
        return {}
    accesses: dict[StoredArray, list[AccessMap]] = {}
    for source in io.sources:
        if (pair := _in_chunks(source)) is not None:
            accesses.setdefault(pair[0], []).append(pair[1])
    return {
        ref: each
        for ref, each in accesses.items()
        if (len(each) > 1 or may_read_again(each[0], grid, ref.chunks))
        and (not shared or _may_be_shared(ref))
    }


def _kept(
    ref: StoredArray, accesses: list[AccessMap], grid: Shape, tier: Tier
) -> KeptInput | SharedInput:
    if not isinstance(tier, MemoryTier):
        return tier.input(ref, accesses, grid)
    kept = KeptInput(tier, ref, accesses, grid)
    tier.keep(kept)
    return kept


def _grid(io: BlockIO, shape: Shape) -> Shape:
    return shape if io.pieces is None else io.pieces.grid


def _in_chunks(source: TaskInput) -> tuple[StoredArray, AccessMap] | None:
    """Return the stored array that is read chunk by chunk, and its access; else None."""
    ref, select = source.array, source.select
    if not isinstance(ref, StoredArray) or not isinstance(select, ReadRegion):
        return None
    if ref.nbytes < LEAST_BYTES or ref.shards is not None or ref.part is not None:
        return None
    return ref, select.access


def _may_be_shared(ref: StoredArray) -> bool:
    nbytes = math.prod(ref.chunks) * ref.numpy_dtype.itemsize
    return fits_files(ref) and nbytes >= LEAST_SHARED_CHUNK
