"""The chunks that each operation reads of others, where that can be found out safely and at little cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from cubed.primitive.blockwise import BlockwiseSpec

from asyncexec.integrations.cubed.axis_tables import (
    AxisTable,
    Tables,
    calls_for,
    covers_all,
    tables_of,
)
from asyncexec.integrations.cubed.block_relations import chunks_of, edges, edges_of, overlaps
from asyncexec.integrations.cubed.key_functions import (
    UnreadableKeysError,
    captured,
    is_separable,
    keys_read,
)

if TYPE_CHECKING:
    from asyncexec.integrations.cubed.grid import Grid

MOST_CALLS = 20_000
"""The most calls of a key function before anything runs, at some 10 to 100 microseconds each.

An operation that would take more waits for all that it reads."""

# The variable that holds the target chunks of a rechunking, by the function that captured it.
_TARGET_CHUNKS = {
    "_rechunk.<locals>.selection_function": "normalized_copy_chunks",
    "merge_chunks.<locals>.selection_function": "target_chunks",
}


def chunks_read(config: Any, grid: Grid) -> Mapping[str, Tables]:
    """Return the chunks of each array that the tasks of an operation read, by the array's name.

    An array that is missing in it is read in a way that could not be found out.
    """
    if not isinstance(config, BlockwiseSpec):
        return {}
    if grid.from_origin and (rechunked := _rechunk_reads(config, grid)) is not None:
        return rechunked
    read = partial(_read, config, grid)
    separable = is_separable(config.back_key_function)
    if (calls_for(grid.shape) if separable else math.prod(grid.shape)) > MOST_CALLS:
        return {}
    try:
        tables = tables_of(read, grid.shape)
        return tables if separable else covers_all(read, grid.shape, tables)
    except UnreadableKeysError:
        return {}


def _read(config: Any, grid: Grid, index: Any) -> Any:
    return keys_read(config.back_key_function, grid.coordinates(index))


def _rechunk_reads(config: Any, grid: Grid) -> Mapping[str, Tables] | None:
    """Return the reads of a rechunking, by comparing chunk edges: its key function is slow on long axes."""
    select = captured(config.back_key_function).get("selection_function")
    name = getattr(select, "__qualname__", "")
    if select is None or name not in _TARGET_CHUNKS or len(config.reads_map) != 1:
        return None
    chunks = captured(select).get(_TARGET_CHUNKS[name])
    ((source, proxy),) = config.reads_map.items()
    if chunks is None or tuple(map(len, chunks)) != grid.shape:
        return None
    targets, sources = edges(chunks), edges_of(proxy.array, chunks_of(proxy.array))
    return {
        source: tuple(
            AxisTable(axis, tuple(overlaps(target, read)))
            for axis, (target, read) in enumerate(zip(targets, sources, strict=True))
        )
    }


__all__ = ["MOST_CALLS", "chunks_read"]
