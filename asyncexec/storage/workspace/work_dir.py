"""The directory of a run's intermediates: created when the run begins, removed when it ends."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncexec.errors import AsyncexecError, WorkDirError
from asyncexec.plan.locality import Locality
from asyncexec.storage.places.errors import safe_message
from asyncexec.storage.places.folder_locks import lock_file, lock_folder
from asyncexec.storage.places.identity import contains, overlaps
from asyncexec.storage.places.locations import Location, PlaceLike, locate
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.removal import remove
from asyncexec.storage.places.sharing import check_shared
from asyncexec.storage.places.suitability import check_target
from asyncexec.storage.workspace.leases import MARKER, Hold, Lease, LeaseTakenError, mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asyncexec.plan.workspace import Opening

PREFIX = "asyncexec-"
_REMOVALS = 5
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class WorkPlace:
    """A run's own directory (or key prefix).

    Attributes
    ----------
    location : Location
    found : bool
        Whether it existed already, from an earlier run of the same plan.
    hold : Hold or None
        Says, while the run lasts, that the place is in use.
    """

    location: Location
    found: bool = False
    hold: Hold | None = None

    def bind(self, location: Location) -> Location:
        """Return the real place of a run-scoped location; others are returned unchanged."""
        if not location.run_scoped:
            return location
        return self.location.join(location.url.partition("://")[2])

    def release(self) -> None:
        """Release the place, so that another run may use or remove it."""
        if self.hold is not None:
            self.hold.close()

    def remove(self) -> None:
        """Remove the directory and everything in it.

        Raises
        ------
        StorageError
            If it cannot be removed.
        """
        self.release()
        # In an object store, requests are repeated where that helps, and nothing keeps a folder from going.
        for _ in range(_REMOVALS if self.location.local_path is not None else 0):
            try:
                return remove(self.location)
            except AsyncexecError:
                # An attempt that was abandoned may still be writing a chunk there.
                time.sleep(_PAUSE_SECONDS)
        return remove(self.location)


def make_work_place(
    work_dir: PlaceLike | None,
    storage_options: Mapping[str, Any] | None,
    opening: Opening,
    *,
    kind: str = "",
    arrays: Iterable[Location] = (),
    made: list[WorkPlace] | None = None,
) -> WorkPlace:
    """Create the directory of a run under ``work_dir`` (by default, that for temporary files), and check it by a write.

    Its name begins with ``asyncexec-`` and the ``kind`` of what is in it.

    With ``resume``, the directory is named by the plan's fingerprint, so that the next run finds it; without, its name
    is unique. ``arrays`` are the places of what the run reads and of its targets. What is returned is added to ``made``
    before anything else can go wrong.

    Raises
    ------
    WorkDirError
        If it cannot be made or written to, or would be inside of an array, or have one inside of it.
    """
    parent = locate(tempfile.gettempdir() if work_dir is None else work_dir, storage_options)
    place = parent.join(f"{PREFIX}{kind}{_name(opening)}")
    _check_apart(parent, place, arrays)
    try:
        check_target(parent)
        if opening.locality is not Locality.SAME_PROCESS:
            check_shared([parent])
    except AsyncexecError as error:
        raise WorkDirError(f"work_dir {error}") from None
    try:
        path = place.local_path
        if path is None:
            found, hold = _make_prefix(place, opening.execution)
        else:
            found = _make_directory(path, keep=opening.resume)
            # Only a folder that is named by its plan can be another run's as well.
            hold = _locked(path) if opening.resume else lock_folder(path)
    except AsyncexecError:
        raise
    except Exception as error:  # noqa: BLE001 - as the store puts it
        message = safe_message(error, parent)
        raise WorkDirError(
            f"work_dir {parent} cannot be written: {type(error).__name__}: {message}. "
            f"Give another work_dir, or the rights"
        ) from None
    work = WorkPlace(place, found, hold)
    if made is not None:
        made.append(work)
    return work


def _check_apart(parent: Location, place: Location, arrays: Iterable[Location]) -> None:
    for array in arrays:
        if contains(array, parent):
            raise WorkDirError(
                f"work_dir {parent.spelling} is at the array {array.spelling}, or inside of it: give another work_dir"
            )
        if overlaps(place, array):
            raise WorkDirError(
                f"{array.spelling} is inside of {place}, which is the run's own and is removed when it ends: give "
                f"another work_dir, or store elsewhere"
            )


def _name(opening: Opening) -> str:
    if opening.resume:
        return opening.fingerprint[:32]
    # The name of the run for people, and something random behind it, as names of runs come again.
    readable = re.sub(r"[^A-Za-z0-9._-]+", "-", opening.execution)[:60]
    return f"{readable}-{uuid.uuid4().hex[:8]}"


def _make_directory(path: Path, *, keep: bool) -> bool:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir(mode=0o700)
        found = False
    except FileExistsError:
        if not keep or path.is_symlink() or not path.is_dir():
            raise
        check_owner(path)
        found = True
    try:
        # A write tells what rights do not: a full disk, or a file system that is mounted read-only.
        probe = path / f".probe-{uuid.uuid4().hex}"
        probe.write_bytes(b"asyncexec")
        probe.unlink()
    except OSError:
        if not found:
            shutil.rmtree(path, ignore_errors=True)
        raise
    return found


def _locked(path: Path) -> Hold:
    """Return a lock that keeps out other runs of the same plan, as long as this process lives."""
    lock = lock_file(path)
    if lock is None:
        raise WorkDirError(
            f"another run of the same plan with resume=True is using {path}: wait for it, or give another work_dir"
        )
    return lock


def check_owner(path: Path) -> None:
    """Raise WorkDirError for a directory of another user."""
    # Its name is predictable: in a directory that everybody can write to, another user may have made it.
    if path.stat().st_uid != os.getuid():
        raise WorkDirError(f"{path} belongs to somebody else: give another work_dir")


def _make_prefix(place: Location, run: str) -> tuple[bool, Hold | None]:
    objects = objects_at(place)
    found = objects.get(MARKER) is not None
    if place.process_bound:
        mark(objects)
        return found, None
    try:
        return found, Lease(objects, run=run)
    except LeaseTakenError as error:
        raise WorkDirError(
            f"another run of the same plan with resume=True is using {place}: {error.holder}. Wait for it, or give "
            f"another work_dir"
        ) from None
