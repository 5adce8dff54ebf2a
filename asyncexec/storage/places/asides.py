"""Arrays that replace others on a disk: made next to them under another name, and exchanged when they are complete.

What is left of a driver that was killed is known by its name. ``NAME.new-…`` is a new array that is not complete, or
the old one after the exchange: the array that is called ``NAME`` is whole in both cases. ``NAME.replaced-…`` is the old
array where a file system cannot exchange two names at once: it is put back if there is no other. ``NAME.removed-…`` is
being removed.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asyncexec.errors import StorageError
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.exchange import exchange
from asyncexec.storage.places.folder_locks import lock_folder
from asyncexec.storage.places.metadata import documents, exists
from asyncexec.storage.places.removal import REMOVED, discard, remove_partial
from asyncexec.storage.places.stamps import stamp_of

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.places.stamps import Stamp

NEW = "new"
REPLACED = "replaced"
LEFT = re.compile(rf"(.+)\.({NEW}|{REPLACED}|{REMOVED})-([0-9a-f]{{16,}})")
"""The names of what a killed run may have left next to an array: the array's, what it is, and the run's or plan's."""


def next_to(location: Location, stamp: Stamp) -> Location | None:
    """Return the place for an array that is to replace the one at ``location``; None in other stores than a disk.

    A run that can be resumed finds it again by its plan.
    """
    path = location.local_path
    if path is None:
        return None
    name = f"{path.name}.{NEW}-{stamp.plan[:16] or stamp.run}"
    return replace(location, url=str(path.with_name(name)), inner="")


def check_can_be_exchanged(location: Location) -> None:
    """Check that the array at ``location`` can be exchanged for another one at the end of a run.

    Raises
    ------
    StorageError
        If not, as far as that is known before it is done.
    """
    path = location.local_path
    if path is None:
        return
    why = ""
    if not os.access(path.parent, os.W_OK | os.X_OK):
        why = "there is no right to write to the folder that it is in"
    elif path.is_mount():
        why = "a file system is mounted there"
    elif _is_guarded(path):
        why = "it belongs to somebody else, in a folder where only owners may rename"
    if why:
        raise StorageError(f"{location} cannot be replaced, and is kept: {why}. Store elsewhere")


def _is_guarded(path: Path) -> bool:
    """Return whether a folder's sticky bit keeps this user from renaming ``path`` in it."""
    folder = path.parent.stat()
    return bool(folder.st_mode & stat.S_ISVTX) and os.geteuid() not in (
        0,
        folder.st_uid,
        path.lstat().st_uid,
    )


def put_in_place(location: Location, new: Location, run: str) -> None:
    """Give the array at ``new`` the name of the one at ``location``, which has that of ``new`` from then on.

    Where the file system cannot exchange them at once, the one that was at ``location`` is set aside first.

    Raises
    ------
    StorageError
        If they cannot be renamed; then everything is as it was.
    """
    path, other = _paths(location, new)
    try:
        if exchange(path, other):
            return
        # Between the two renames there is nothing at the place: `recover` knows what to do from this name.
        aside = _aside_of(path, run)
        path.rename(aside)
        try:
            other.rename(path)
        except BaseException:
            aside.rename(path)
            raise
        aside.rename(other)
    except OSError as error:
        raise storage_error(error, location, "cannot be replaced") from None


def recover(location: Location) -> None:
    """Put back the array that a killed run had set aside at ``location``, before its own was there."""
    path = location.local_path
    if path is None:
        return
    for aside, kind, _ in _left_at(path):
        if kind == REPLACED and not exists(location) and not _in_use(aside):
            _clear_begun(path)
            with suppress(OSError):
                # An empty folder gives way to a directory, anything else does not.
                aside.rename(path)


def sweep(location: Location, *, but: Location) -> None:
    """Remove what killed runs have left next to ``location``, except for the array ``but``, which is gone on with."""
    path = location.local_path
    if path is None:
        return
    for left, kind, run in _left_at(path):
        if left == but.local_path:
            continue
        if kind == REMOVED:
            shutil.rmtree(left, ignore_errors=True)
        elif kind == NEW:
            if not _in_use(left):
                discard_aside(left, of=path, run=run)
        elif (stamp := stamp_of(documents(location))) is not None and stamp.run == run:
            discard_aside(left, of=path, run=run)


def discard_aside(left: Path, *, of: Path, run: str) -> None:
    """Remove an array next to the path ``of``, as far as it can be."""
    with suppress(OSError):
        discard(left, run, of=of)


def _in_use(path: Path) -> bool:
    """Return whether a run that lives holds the directory ``path``."""
    try:
        lock = lock_folder(path)
    except OSError:
        return False  # A link, or gone by now.
    if lock is None:
        return True
    lock.close()
    return False


def _paths(location: Location, new: Location) -> tuple[Path, Path]:
    path, other = location.local_path, new.local_path
    assert path is not None  # noqa: S101 - only such arrays have another one next to them
    assert other is not None  # noqa: S101 - the same
    return path, other


def _aside_of(path: Path, run: str) -> Path:
    return path.with_name(f"{path.name}.{REPLACED}-{run}")


def _clear_begun(path: Path) -> None:
    """Remove the folder of an array whose metadata had not been written yet."""
    with suppress(OSError):
        remove_partial(path)
        path.rmdir()


def _left_at(path: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield path, kind and run of each array that a run has left next to ``path``."""
    with suppress(OSError):
        # A list, as callers rename and remove what they are given.
        for entry in list(path.parent.iterdir()):
            found = LEFT.fullmatch(entry.name)
            if found is not None and found[1] == path.name:
                yield entry, found[2], found[3]
