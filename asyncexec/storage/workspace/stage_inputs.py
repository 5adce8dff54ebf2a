"""Staging of arrays in the driver's memory for workers that do not share it.

A small array is sent with the program. A large one would be sent to every worker and kept there as a whole; it is
written to the run's directory instead, so that each task reads its part only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from asyncexec.storage.chunks.access import write
from asyncexec.storage.chunks.arrays import CompressorLike, StoredArray, planned_array
from asyncexec.storage.chunks.block_io import BlockIO, InMemory, TaskInput
from asyncexec.storage.places.creation import renew_array
from asyncexec.storage.tiers.intermediate_codec import intermediate

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.workspace.work_dir import WorkPlace

TRAVELS_BYTES = 1_000_000
"""Up to this size an array is sent with the program."""


def stage_inputs(
    blocks: Mapping[str, BlockIO],
    place: WorkPlace,
    name: str = "from-memory",
    *,
    stop: Callable[[], None] = lambda: None,
    compressor: CompressorLike = "auto",
) -> dict[str, BlockIO]:
    """Return ``blocks`` (by stage) with large arrays in memory written to ``place``, each once.

    Their names there begin with ``name``, and they are compressed as intermediates are.
    ``stop`` is called before each chunk, and raises once the run was cancelled.

    Raises
    ------
    StorageError
        If one cannot be written.
    """
    written: dict[int, StoredArray] = {}

    def staged(source: TaskInput) -> TaskInput:
        array = source.array
        if not isinstance(array, InMemory) or array.data.nbytes <= TRAVELS_BYTES:
            return source
        # By identity: several stages may read the same array, which is written once.
        key = id(array.data)
        if key not in written:
            written[key] = _written(
                array, place.location.join(f"{name}-{len(written)}"), compressor, stop
            )
        return replace(source, array=written[key])

    return {
        stage: replace(io, sources=tuple(map(staged, io.sources))) for stage, io in blocks.items()
    }


def _written(
    array: InMemory, location: Location, compressor: CompressorLike, stop: Callable[[], None]
) -> StoredArray:
    data, chunks = array.data, _chunks(array)
    planned = planned_array(
        location, shape=data.shape, dtype=data.dtype, chunks=chunks, checksum=True
    )
    ref = intermediate(planned, compressor)
    # The run that is resumed may have written it in part, or have been killed while it removed it.
    renew_array(ref)
    for first in product(*(range(0, n, c) for n, c in zip(data.shape, chunks, strict=True))):
        region = tuple(
            slice(start, min(start + c, n))
            for start, c, n in zip(first, chunks, data.shape, strict=True)
        )
        stop()
        write(ref, region, data[region])
    return ref


def _chunks(array: InMemory) -> Shape:
    return array.chunks or tuple(max(n, 1) for n in array.shape)
