"""Which blocks of an array are really there: what a journal says is worth only as much as the chunks themselves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from zarr.core.sync import collect_aiterator

from asyncexec.storage.faults import storage_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asyncexec.plan.box import Shape
    from asyncexec.storage.arrays import StoredArray
    from asyncexec.storage.block_io import Target

PREFIX = "c"


def blocks_present(target: Target) -> np.ndarray:
    """Return, for every block of ``target``, whether all its chunks (or shards) are stored: one listing of the array.

    Chunks are always written, also where they hold nothing but the fill value, so one that is absent was not written.
    """
    ref = target.ref
    present = np.zeros(ref.blocks, np.bool_)
    for key in _keys(ref):
        numbers = _numbers(key, ref.blocks)
        if numbers is not None:
            present[numbers] = True
    for axis, (block, unit) in enumerate(zip(target.block, ref.unit, strict=True)):
        if block > unit and present.shape[axis]:
            present = np.logical_and.reduceat(
                present, range(0, present.shape[axis], -(-block // unit)), axis=axis
            )
    return present


def those_present(runs: Sequence[range], present: np.ndarray) -> list[range]:
    """Return which of ``runs`` (flat indices) are ``present``."""
    flat = present.reshape(-1)
    found: list[range] = []
    for run in runs:
        inside = (
            np.flatnonzero(np.diff(flat[run.start : run.stop].astype(np.int8), prepend=0, append=0))
            + run.start
        )
        found.extend(
            range(start, stop)
            for start, stop in zip(inside[::2].tolist(), inside[1::2].tolist(), strict=True)
        )
    return found


def partial_files(root: str) -> Iterator[Path]:
    """Iterate over the chunk files under ``root`` whose writer was killed before it had finished."""
    return (Path(root, key) for key in _files(root) if key.endswith(".partial"))


def _numbers(key: str, grid: Shape) -> Shape | None:
    """Return the chunk that ``key`` (``c/0/1``) names, None where it names none of this grid."""
    first, *rest = key.split("/")
    if first != PREFIX or len(rest) != len(grid) or not all(part.isdecimal() for part in rest):
        return None
    numbers = tuple(int(part) for part in rest)
    return numbers if all(i < n for i, n in zip(numbers, grid, strict=True)) else None


def _keys(ref: StoredArray) -> Iterable[str]:
    path = ref.location.local_path
    if path is not None:
        return _files(str(path))
    try:
        place = ref.location.open(read_only=True)
        prefix = f"{place.path}/" if place.path else ""
        return [
            key.removeprefix(prefix)
            for key in collect_aiterator(place.store.list_prefix(f"{prefix}{PREFIX}"))
        ]
    except Exception as error:  # noqa: BLE001 - as the store puts it
        raise storage_error(error, ref.location, "cannot be listed") from None


def _files(root: str) -> Iterator[str]:
    """Iterate over the chunk files under ``root``, by key."""
    if Path(root, PREFIX).is_file():
        yield PREFIX
    pending = [PREFIX]
    while pending:
        folder = pending.pop()
        try:
            entries = list(os.scandir(f"{root}/{folder}"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            key = f"{folder}/{entry.name}"
            if entry.is_dir():
                pending.append(key)
            else:
                yield key
