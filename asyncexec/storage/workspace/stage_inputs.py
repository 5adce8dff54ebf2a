"""Staging of arrays in the driver's memory for workers that do not share it.

A small array is sent with the program. A large one would be sent to every worker and kept there as a whole; it is
handed over as intermediates are instead, so that each task reads its part only: in memory that workers share, as far as
there is room, and else in the run's directory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, TypeGuard

from asyncexec.storage.chunks.access import write
from asyncexec.storage.chunks.arrays import CompressorLike, StoredArray, planned_array
from asyncexec.storage.chunks.block_io import BlockIO, InMemory, TaskInput
from asyncexec.storage.places.creation import renew_array
from asyncexec.storage.tiers.intermediate_codec import intermediate
from asyncexec.storage.tiers.shared_array import SharedArray
from asyncexec.storage.tiers.shared_memory import SharedRun

if TYPE_CHECKING:
    import numpy as np

    from asyncexec.plan.box import Shape
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.workspace.binding import Tier
    from asyncexec.storage.workspace.work_dir import WorkPlace

TRAVELS_BYTES = 1_000_000
"""Up to this size an array is sent with the program."""


def stage_inputs(
    blocks: Mapping[str, BlockIO],
    place: WorkPlace,
    name: str = "from-memory",
    *,
    tier: Tier | None = None,
    stop: Callable[[], None] = lambda: None,
    compressor: CompressorLike = "auto",
) -> dict[str, BlockIO]:
    """Return ``blocks`` (by stage) with large arrays in memory written to ``tier`` or ``place``, each once.

    In ``place``, their names begin with ``name``, and they are compressed as intermediates are.
    ``stop`` is called before each chunk, and raises once the run was cancelled.

    Raises
    ------
    StorageError
        If one cannot be written.
    """
    written: dict[int, StoredArray | SharedArray] = {}

    def staged(source: TaskInput) -> TaskInput:
        array = source.array
        if not isinstance(array, InMemory) or not is_staged(array):
            return source
        # By identity: several stages may read the same array, which is written once.
        key = id(array.data)
        if key not in written:
            location = place.location.join(f"{name}-{len(written)}")
            made = intermediate(_planned(array, location), compressor)
            # The run that is resumed may have written it in part, or have been killed while it removed it.
            renew_array(made)
            shared = tier.array(made, made.chunks) if _is_shared(tier, made) else None
            put = partial(write, made) if shared is None else shared.write
            _copy(array.data, made.chunks, put, stop)
            written[key] = shared or made
        return replace(source, array=written[key])

    return {
        stage: replace(io, sources=tuple(map(staged, io.sources))) for stage, io in blocks.items()
    }


def is_staged(array: InMemory) -> bool:
    """Return whether ``array`` is too large to be sent with every program."""
    return array.data.nbytes > TRAVELS_BYTES


def _is_shared(tier: Tier | None, ref: StoredArray) -> TypeGuard[SharedRun]:
    return isinstance(tier, SharedRun) and tier.takes(ref)


def _planned(array: InMemory, location: Location) -> StoredArray:
    data = array.data
    chunks = array.chunks or tuple(max(n, 1) for n in array.shape)
    return planned_array(location, shape=data.shape, dtype=data.dtype, chunks=chunks, checksum=True)


def _copy(
    data: np.ndarray,
    chunks: Shape,
    put: Callable[[tuple[slice, ...], np.ndarray], None],
    stop: Callable[[], None],
) -> None:
    for first in product(*(range(0, n, c) for n, c in zip(data.shape, chunks, strict=True))):
        region = tuple(
            slice(start, min(start + c, n))
            for start, c, n in zip(first, chunks, data.shape, strict=True)
        )
        # Gigabytes may be copied here before the first task: a cancelled run need not wait for that.
        stop()
        put(region, data[region])
