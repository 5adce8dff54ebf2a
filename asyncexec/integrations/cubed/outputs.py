"""The arrays that an operation writes, as outputs of its stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from cubed.primitive.blockwise import BlockwiseSpec
from cubed.storage.zarr import LazyZarrArray
from zarr.storage import LocalStore, MemoryStore, ObjectStore

from asyncexec.plan.stage import ChunkedOutput

if TYPE_CHECKING:
    from asyncexec.integrations.cubed.grid import Grid
    from asyncexec.plan.box import Shape

# Stores that replace a chunk as a whole or not at all: plain paths, which Zarr opens itself, and object stores.
_ATOMIC_SCHEMES = frozenset({"", "s3", "gs", "gcs", "az", "abfs", "memory"})


def outputs_of(name: str, config: Any, grid: Grid) -> tuple[ChunkedOutput, ...]:
    """Return the arrays that an operation writes, so that the plan knows their sizes and finds conflicts.

    An operation that writes something else, or part of an array, gets an output of one empty block a task. It must have
    an output: a stage without one returns values to the driver, and Cubed's tasks have none.
    """
    if isinstance(config, BlockwiseSpec) and grid.from_origin:
        found = [_output(proxy) for proxy in config.writes_map.values()]
        known = tuple(output for output in found if output is not None)
        if found and len(known) == len(found) and all(_blocks(o) == grid.shape for o in known):
            return known
    return (empty_blocks(name, grid.shape),)


def empty_blocks(name: str, shape: Shape) -> ChunkedOutput:
    """Return an output with one block of zero bytes for each task."""
    ones = (1,) * len(shape)
    return ChunkedOutput(location=f"cubed://{name}", shape=shape, block=ones, unit=ones, dtype="V0")


def repeatable(config: Any) -> bool:
    """Return whether two attempts of one task may write at the same time, as every write replaces a chunk at once."""
    return isinstance(config, BlockwiseSpec) and all(
        _is_atomic(proxy.array) for proxy in config.writes_map.values()
    )


def _output(proxy: Any) -> ChunkedOutput | None:
    array = proxy.array
    try:
        unit = tuple(getattr(array, "shards", None) or array.chunks)
    except NotImplementedError:  # Zarr's error for chunks of several lengths
        return None
    block = tuple(proxy.chunks)
    if not all(isinstance(n, int) and n > 0 for n in (*unit, *block)):
        return None
    return ChunkedOutput(
        location=_location(array),
        shape=tuple(array.shape),
        block=block,
        unit=unit,
        # Only the item size matters to the plan, and structured types have no name.
        dtype=f"V{np.dtype(array.dtype).itemsize}",
    )


def _blocks(output: ChunkedOutput) -> Shape:
    return tuple(-(-n // b) for n, b in zip(output.shape, output.block, strict=True))


def _location(array: Any) -> str:
    if isinstance(array, LazyZarrArray):
        return f"{array.store}/{array.path}" if array.path else str(array.store)
    return str(array.store_path)


def _is_atomic(array: Any) -> bool:
    store = getattr(array, "store", None)
    if isinstance(store, LocalStore | MemoryStore | ObjectStore):
        return True
    scheme, separator, _ = str(store).partition("://")
    return isinstance(array, LazyZarrArray) and (scheme if separator else "") in _ATOMIC_SCHEMES
