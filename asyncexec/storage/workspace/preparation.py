"""The creation of a run's arrays: all places are checked before anything is created, and creation can be undone."""

from __future__ import annotations

import logging
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from asyncexec.errors import ArrayNotFoundError, OptionError, StorageError
from asyncexec.plan.locality import Locality
from asyncexec.storage.chunks.arrays import StoredArray
from asyncexec.storage.places.creation import check_free, create_array, remove
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.locations import Location, locate
from asyncexec.storage.places.metadata import exists
from asyncexec.storage.places.suitability import check_target, check_travels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from asyncexec.plan.stage import Stage
    from asyncexec.storage.chunks.block_io import BlockIO
    from asyncexec.storage.workspace.journal import Journal

_log = logging.getLogger(__name__)

_AT_ONCE = 16
"""The arrays that are created at the same time where each takes a round trip to a remote store."""


def check_places(
    stages: Sequence[Stage], blocks: Mapping[str, BlockIO], *, locality: Locality
) -> list[StoredArray]:
    """Return the targets: the arrays that ``stages`` write and that stay, after checking all places they read or write.

    Raises
    ------
    ArrayNotFoundError
        If an array to be read is gone.
    OptionError
        If an array is in this process's memory and workers are not, or what is read would be replaced.
    StorageError
        If the store of a target was opened read-only, or cannot do what is needed.
    """
    written = _targets(blocks)
    for ref in written.values():
        check_target(ref.location)
    if locality is not Locality.SAME_PROCESS:
        for ref in [*written.values(), *_sources(blocks)]:
            check_travels(ref.location)
    for stage in stages:
        if stage.name in blocks:
            _check_sources(stage, blocks, written)
    return list(written.values())


def check_targets(
    targets: Sequence[StoredArray], *, overwrite: bool, made: Mapping[str, str]
) -> list[StoredArray]:
    """Return the ``targets`` that an earlier run has ``made`` (stamps by place), which are kept.

    Raises
    ------
    TargetExistsError
        If there is an array at another target's place and not ``overwrite``, or anything else at all.
    """
    kept: list[StoredArray] = []
    for ref in targets:
        ours = made.get(str(ref.location)) == stamp(ref.location)
        if check_free(ref.location, overwrite=overwrite or ours) and ours:
            kept.append(ref)
    return kept


def stamp(location: Location) -> str:
    """Return a stamp that differs from that of an array created later at the same place; ``""`` in remote stores."""
    path = location.local_path
    if path is None:
        return ""
    for name in ("zarr.json", ".zarray"):
        with suppress(OSError):
            status = (path / name).stat()
            return f"{status.st_ino}-{status.st_mtime_ns}"
    return "gone"


class Preparation:
    """The arrays that have been created for a run; :meth:`undo` removes them and restores those they replaced."""

    def __init__(self) -> None:
        self.made: list[Location] = []
        self._aside: list[tuple[Path, Path]] = []

    def make_targets(self, targets: Iterable[StoredArray], journal: Journal | None) -> None:
        """Create ``targets``; arrays at their places are renamed until :meth:`commit`.

        Raises
        ------
        StorageError
            If one cannot be created.
        """
        for ref in targets:
            self._set_aside(ref.location)
            # Before it is created, so that one that fails half-way is removed too.
            self.made.append(ref.location)
            create_array(ref, overwrite=True)
            if journal is not None:
                journal.record(str(ref.location), stamp(ref.location))

    def make_intermediates(self, refs: Sequence[StoredArray]) -> None:
        """Create ``refs``, several at the same time in remote stores.

        Raises
        ------
        StorageError
            If one cannot be created.
        """
        near = [ref for ref in refs if ref.location.local_path is not None]
        far = [ref for ref in refs if ref.location.local_path is None]
        for ref in near:
            _make(ref)
        if far:
            with ThreadPoolExecutor(
                min(_AT_ONCE, len(far)), thread_name_prefix="asyncexec-make"
            ) as pool:
                list(pool.map(_make, far))

    def commit(self) -> None:
        """Remove the arrays that were replaced, as all new ones have been created."""
        for path, aside in self._aside:
            try:
                remove(locate(aside))
            except StorageError as error:
                _log.warning(
                    "what was at %s is now at %s, and cannot be removed: %s", path, aside, error
                )
        self._aside.clear()

    def undo(self) -> None:
        """Remove the new arrays and restore those they replaced, ignoring what cannot be removed."""
        for location in self.made:
            with suppress(StorageError):
                remove(location)
        self.made.clear()
        for path, aside in self._aside:
            with suppress(OSError):
                aside.rename(path)
        self._aside.clear()

    def _set_aside(self, location: Location) -> None:
        path = location.local_path
        if path is None or not exists(location):
            return
        aside = path.with_name(f"{path.name}.replaced-{uuid.uuid4().hex[:8]}")
        try:
            path.rename(aside)
        except OSError as error:
            raise storage_error(error, location, "cannot be replaced") from None
        self._aside.append((path, aside))


def _make(ref: StoredArray) -> None:
    if not exists(ref.location):
        create_array(ref)


def _targets(blocks: Mapping[str, BlockIO]) -> dict[str, StoredArray]:
    written = [target.ref for io in blocks.values() for target in io.targets]
    return {str(ref.location): ref for ref in written if not ref.location.run_scoped}


def _sources(blocks: Mapping[str, BlockIO]) -> list[StoredArray]:
    read = [source.array for io in blocks.values() for source in io.sources]
    found = {
        str(a.location): a for a in read if isinstance(a, StoredArray) and not a.location.run_scoped
    }
    return list(found.values())


def _check_sources(
    stage: Stage, blocks: Mapping[str, BlockIO], written: Mapping[str, StoredArray]
) -> None:
    before = {
        str(t.ref.location)
        for read in stage.reads
        if read.stage in blocks
        for t in blocks[read.stage].targets
    }
    for source in blocks[stage.name].sources:
        ref = source.array
        if (
            not isinstance(ref, StoredArray)
            or ref.location.run_scoped
            or str(ref.location) in before
        ):
            continue
        for target in written.values():
            if _overlap(ref.location, target.location):
                raise OptionError(
                    f"{target.location} would be replaced while stage {stage.name!r} still reads {ref.location}: "
                    f"store the result elsewhere"
                )
        if not exists(ref.location):
            raise ArrayNotFoundError(
                f"there is no Zarr array at {ref.location}, which stage {stage.name!r} reads: somebody removed it"
            )


def _overlap(a: Location, b: Location) -> bool:
    """Return whether one place is the same as the other, or inside of it."""
    if a.store is not b.store and (a.local_path is None or b.local_path is None):
        return False
    first, second = _parts(a), _parts(b)
    shared = min(len(first), len(second))
    return first[:shared] == second[:shared]


def _parts(location: Location) -> tuple[str, ...]:
    path = location.local_path
    if path is not None:
        return Path(os.path.realpath(path)).parts
    return tuple(part for part in str(location).split("/") if part)
