"""The chunks of a target that are not what an earlier run has written: found by reading them all.

Intermediates need no such search, for each chunk of them is checked by the task that reads it. Nothing reads a target
again, so damage there would pass for a complete task.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np

from asyncexec.errors import CorruptChunkError
from asyncexec.plan.lengths import block_at, block_start, blocks_within
from asyncexec.storage.chunks.access import opened
from asyncexec.storage.chunks.written_by import written_by_plan
from asyncexec.storage.places.concurrently import for_each

if TYPE_CHECKING:
    from asyncexec.plan.box import Index
    from asyncexec.storage.chunks.arrays import StoredArray

_log = logging.getLogger(__name__)

_AT_ONCE = 16
"""The chunks that are read at the same time where each takes a round trip to a remote store."""


def damaged_blocks(
    ref: StoredArray, block: tuple[int, ...], present: np.ndarray, stop: Callable[[], None]
) -> list[Index]:
    """Return the blocks among those ``present`` (an array of booleans) that are to be made again.

    A chunk of them cannot be decoded, or somebody else than a run of the plan has written it.

    Parameters
    ----------
    ref : StoredArray
    block : tuple of int
        The length of a block along each axis, in elements.
    present : numpy.ndarray
        By block.
    stop : callable
        Called between blocks; raises to end the search.

    Raises
    ------
    StorageError
        If the store fails.
    """
    if not present.any():
        return []  # Nothing need be asked of the store.
    blocks = (tuple(int(i) for i in index) for index in np.argwhere(present))
    local = ref.location.local_path is not None
    at_once = min(4, os.cpu_count() or 1) if local else _AT_ONCE
    is_of_plan = written_by_plan(ref)
    check = partial(_is_damaged, ref, block, is_of_plan)
    damaged: list[Index] = []
    # Slice by slice, so that a run that is cancelled ends soon, and not when all has been read.
    while some := list(islice(blocks, 4 * at_once)):
        stop()
        bad = for_each(check, some, width=at_once)
        damaged += [block for block, is_bad in zip(some, bad, strict=True) if is_bad]
    return damaged


def _is_damaged(
    ref: StoredArray,
    block: tuple[int, ...],
    is_of_plan: Callable[[Index], bool],
    number: Index,
) -> bool:
    region = tuple(
        slice(block_start(size, i), min(block_start(size, i + 1), n))
        for i, size, n in zip(number, block, ref.shape, strict=True)
    )
    try:
        for part in _parts(region, ref.unit):
            unit = tuple(block_at(u, along.start) for along, u in zip(part, ref.unit, strict=True))
            if not is_of_plan(unit):
                _log.warning(
                    "chunk %s of %s was written by others. It is made again", unit, ref.location
                )
                return True
            opened(ref).read(part)
    except CorruptChunkError as error:
        _log.warning("%s. It is made again", error)
        return True
    return False


def _parts(region: tuple[slice, ...], unit: tuple[int, ...]) -> Iterable[tuple[slice, ...]]:
    """Iterate over a region in pieces of whole units, so that no more than one is in memory."""
    return product(*[_cut(along, size) for along, size in zip(region, unit, strict=True)])


def _cut(along: slice, size: int) -> list[slice]:
    numbers = blocks_within(size, along.start, along.stop)
    return [slice(block_start(size, i), min(block_start(size, i + 1), along.stop)) for i in numbers]
