"""The blocks of an array that are complete, by their chunks.

The chunks themselves show which tasks are complete: each appears whole or not at all, is always written (also where it
holds nothing but the fill value), and is written by one task of one plan. So nothing is recorded for a task, and a
driver that is killed loses no chunk that was written. The chunks do not show which plan wrote them: the place of
intermediates does, which has the plan's fingerprint in its name, and the stamp of targets
(:mod:`asyncexec.storage.places.stamps`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from asyncexec.plan.box import ravel
from asyncexec.plan.lengths import block_at, block_start, count_blocks
from asyncexec.plan.written import axes_written
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.objects import objects_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncexec.plan.box import Index, Shape
    from asyncexec.storage.chunks.arrays import StoredArray
    from asyncexec.storage.chunks.block_io import TaskOutput

PREFIX = "c"


def blocks_present(target: TaskOutput) -> np.ndarray:
    """Return, for every block of ``target``, whether all its chunks (or shards) are stored, by listing the array once.

    Chunks of nothing but fill values are written too, so a missing chunk means that its task is not complete.
    """
    ref = target.ref
    present = np.zeros(ref.blocks, np.bool_)
    for key in _keys(ref):
        numbers = ref.keys.index(key, ref.blocks)
        if numbers is not None:
            present[numbers] = True
    for axis, (block, unit) in enumerate(zip(target.block, ref.unit, strict=True)):
        # A block of several chunks is there when all of them are.
        blocks = count_blocks(ref.shape[axis], block)
        if blocks != present.shape[axis]:
            starts = [block_at(unit, block_start(block, number)) for number in range(blocks)]
            present = np.logical_and.reduceat(present, starts, axis=axis)
    return present


def by_task(target: TaskOutput, stage: Shape, blocks: np.ndarray) -> np.ndarray:
    """Return ``blocks`` (an item for each block of ``target``) by the tasks of the index space ``stage``."""
    if target.access is None:
        return blocks
    # Axes that follow no stage axis have one block, and stage axes that nothing follows have one task.
    order = [axis for axis in axes_written(target, stage) if axis is not None]
    rest = [axis for axis in range(blocks.ndim) if axis not in order]
    return blocks.transpose(*order, *rest).reshape(stage)


def writers_of(target: TaskOutput, stage: Shape, chunks: Iterable[Index]) -> Iterator[int]:
    """Iterate over the tasks of the index space ``stage`` (flat) that write these chunks (or shards) of ``target``."""
    axes = axes_written(target, stage)
    for chunk in chunks:
        steps = zip(chunk, target.ref.unit, target.block, strict=True)
        block = tuple(block_at(size, block_start(unit, number)) for number, unit, size in steps)
        yield ravel(tuple(0 if axis is None else block[axis] for axis in axes), stage)


def runs(present: np.ndarray) -> list[range]:
    """Return the flat indices that are ``present``, as ranges."""
    edges = np.flatnonzero(np.diff(present.reshape(-1).astype(np.int8), prepend=0, append=0))
    return [
        range(start, stop)
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
    ]


def partial_files(root: str) -> Iterator[Path]:
    """Yield the chunk files under ``root`` whose writer was killed before it had finished."""
    return Path(root, PREFIX).rglob("*.partial")


def _keys(ref: StoredArray) -> Iterable[str]:
    """Return the keys of what is stored below ``ref`` and may be chunks."""
    path = ref.location.local_path
    if path is not None:
        nested = ref.ndim and ref.keys.separator == "/"
        return _files(str(path), ref.keys.prefix) if nested else _files_in(str(path))
    try:
        return objects_at(ref.location, read_only=True).names(ref.keys.prefix if ref.ndim else "")
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, ref.location, "cannot be listed") from None


def _files_in(root: str) -> Iterator[str]:
    """Yield the names of the files in the folder ``root`` that have something in them."""
    for entry in os.scandir(root):
        if entry.is_file() and entry.stat().st_size:
            yield entry.name


def _files(root: str, prefix: str) -> Iterator[str]:
    """Yield the keys of the files below ``root`` that begin with ``prefix``, which is a folder or nothing."""
    pending = [prefix]
    while pending:
        above = pending.pop()
        try:
            entries = list(os.scandir(f"{root}/{above}"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            key = f"{above}{entry.name}"
            if entry.is_dir():
                pending.append(f"{key}/")
            elif entry.stat().st_size:
                # After a power failure a file may have its name and no data: an empty one does not count.
                yield key
