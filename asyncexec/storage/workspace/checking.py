"""The verification of what is stored at a place: every array, and every chunk that is stored.

A place is listed once for the arrays in it, and once for their chunks; then each chunk is read by one of several
threads. What is kept meanwhile is a number for each chunk, and a few names.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from asyncexec.errors import ArrayNotFoundError, CorruptArrayError
from asyncexec.storage.places.concurrently import in_threads
from asyncexec.storage.places.listing import can_list, listed_files
from asyncexec.storage.places.locations import locate
from asyncexec.storage.places.metadata import NAMES, documents, is_array
from asyncexec.storage.places.stamps import stamp_of
from asyncexec.storage.workspace.chunk_check import METADATA, ChunkCheck
from asyncexec.storage.workspace.verification_report import (
    NAMES_KEPT,
    ArrayReport,
    ChunksFound,
    Verification,
)

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location, PlaceLike
    from asyncexec.storage.places.stamps import Stamp

REMOTE_READS = 16
"""The chunks that are read at the same time where each takes a round trip to a remote store."""
MEMORY_BYTES = 256 * 2**20
"""About how much all reads hold at once; of larger chunks, one at a time is read."""

_LEFT = re.compile(r"\.(replaced|new|removed)-[0-9a-f]+(/|$)")
"""The ends of names that runs give to arrays which they replace, make or remove: no arrays of the group."""

type OnProgress = Callable[[str, int, int], None]


def verify(
    place: PlaceLike,
    *,
    storage_options: Mapping[str, Any] | None = None,
    path: str = "",
    dense: bool = False,
    progress: OnProgress | None = None,
) -> Verification:
    """Read every chunk that is stored at ``place``, an array or a group, and return a report; nothing is changed.

    What a run of this package is still writing, or was killed in, is unfinished, and its chunks that are not stored are
    missing. In other arrays a chunk that is not stored reads as the fill value, which is no error.

    >>> import asyncexec.array as xp
    >>> import asyncexec.storage as storage
    >>> xp.to_zarr(xp.ones((4, 4), chunks=(2, 4)), "ones.zarr")
    >>> report = storage.verify("ones.zarr")
    >>> report.ok, report.arrays[0].chunks, report.arrays[0].stored
    (True, 2, 2)

    Parameters
    ----------
    place : path, URL, Zarr store, array or group, or location
    storage_options : mapping, optional
        Keys, tokens, endpoints: whatever the store takes.
    path : str
        The path in ``place`` of what is verified.
    dense : bool
        Whether every chunk must be stored, whoever wrote the array.
    progress : callable, optional
        Called with the name of an array, the number of its chunks that were read, and how many there are.

    Raises
    ------
    ArrayNotFoundError
        If there is neither an array nor a group.
    StorageError
        If the place cannot be listed or read.
    """
    began = time.monotonic()
    root = locate(place, storage_options, path=path)
    found = documents(root)
    if not found:
        raise ArrayNotFoundError(
            f"there is no Zarr array or group at {root}. Check the path and the options"
        )
    progress = progress or _no_progress
    if is_array(found):
        # Over plain HTTP nothing is listed: there each chunk has to be asked for.
        names, listed = [""], can_list(root)
    else:
        names, listed = _arrays_below(root), True
    checks, reports = _opened(root, names)
    stray = _listed(root, checks, names) if listed else ChunksFound()
    for name, (check, stamp) in checks.items():
        reports[name] = _report(name, check, stamp, dense=dense, listed=listed, progress=progress)
    return Verification(
        place=str(root),
        arrays=tuple(reports[name] for name in names),
        stray=stray,
        seconds=time.monotonic() - began,
    )


def _arrays_below(root: Location) -> list[str]:
    """Return the paths of the arrays in a group, sorted."""
    found: dict[str, set[str]] = {}
    for entry in listed_files(root):
        folder, _, name = entry.name.rpartition("/")
        # Arrays that runs have set aside are known by their names, and are no arrays of the group.
        if name in NAMES and not _LEFT.search(folder):
            found.setdefault(folder, set()).add(name)
    nodes = [folder for folder in found if folder]
    return sorted(name for name in nodes if is_array(documents(root.join(name))))


def _opened(
    root: Location, names: Sequence[str]
) -> tuple[dict[str, tuple[ChunkCheck, Stamp | None]], dict[str, ArrayReport]]:
    """Open the arrays called ``names``; return them, and reports on those that cannot be."""
    checks: dict[str, tuple[ChunkCheck, Stamp | None]] = {}
    reports: dict[str, ArrayReport] = {}
    for name in names:
        location = root.join(name) if name else root
        try:
            stamp = stamp_of(documents(location))
            checks[name] = ChunkCheck(location), stamp
        # One that cannot be opened is reported, and does not hide the others.
        except CorruptArrayError as error:
            reports[name] = ArrayReport(name=name, problem=str(error))
    return checks, reports


def _listed(
    root: Location, checks: Mapping[str, tuple[ChunkCheck, Stamp | None]], names: Sequence[str]
) -> ChunksFound:
    """Note with each array what is listed below it, and return what is in none."""
    known, stray = set(names), ChunksFound()
    for entry in listed_files(root):
        name, inner = _split(entry.name, known)
        if name is None:
            if entry.name.rpartition("/")[2] not in METADATA:
                stray = stray.with_one(entry.name)
        elif name in checks:
            checks[name][0].note(inner, entry.nbytes)
    return stray


def _split(name: str, arrays: set[str]) -> tuple[str | None, str]:
    """Return the array that a file is in, and the file's name there; None for one that is in no array."""
    if "" in arrays:
        return "", name
    # From the outermost folder inwards, as no array is inside of another.
    at = name.find("/")
    while at >= 0:
        if name[:at] in arrays:
            return name[:at], name[at + 1 :]
        at = name.find("/", at + 1)
    return None, name


def _report(
    name: str,
    check: ChunkCheck,
    stamp: Stamp | None,
    *,
    dense: bool,
    listed: bool,
    progress: OnProgress,
) -> ArrayReport:
    tally = check.tally
    numbers: Sequence[int] = tally.stored if listed else range(check.chunks)
    absent: list[int] = []
    damaged = ChunksFound()
    for done, (number, problem) in enumerate(_read_all(check, numbers, listed=listed), 1):
        if problem is None:
            absent.append(number)
        elif problem:
            damaged = damaged.with_one(f"{check.key(number)}: {problem}")
        progress(name, done, len(numbers))
    count, missing = check.not_stored() if listed else (len(absent), map(check.key, absent))
    every = dense or stamp is not None
    return ArrayReport(
        name=name,
        chunks=check.chunks,
        stored=check.chunks - count,
        nbytes=tally.nbytes,
        fill=0 if every else count,
        missing=_first(missing, count) if every else ChunksFound(),
        damaged=damaged,
        partial=tally.partial,
        stray=tally.stray,
        staged=tally.staged,
        run=stamp.run if stamp is not None and stamp.unfinished else "",
        plan=stamp.plan if stamp is not None and stamp.unfinished else "",
        unfinished=stamp is not None and stamp.unfinished,
    )


def _read_all(
    check: ChunkCheck, numbers: Sequence[int], *, listed: bool
) -> Iterator[tuple[int, str | None]]:
    """Yield the number of each chunk and what is wrong with it; None where it turns out not to be stored."""

    def one(number: int) -> tuple[int, str | None]:
        if not listed and not check.is_stored(number):
            return number, None
        return number, check.problem(number)

    local = check.location.local_path is not None
    width = min(4, os.cpu_count() or 1) if local else REMOTE_READS
    return in_threads(one, numbers, width=max(1, min(width, MEMORY_BYTES // check.piece_bytes)))


def _first(names: Iterable[str], count: int) -> ChunksFound:
    return ChunksFound(count, tuple(islice(names, NAMES_KEPT)))


def _no_progress(_name: str, _done: int, _of: int) -> None:
    """Do nothing: progress is not shown."""
