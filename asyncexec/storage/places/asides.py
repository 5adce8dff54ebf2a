"""Arrays that are replaced on a disk: kept under another name until all new ones have been made.

The name has the run in it, and the new array has the run's stamp. So the next run at the place knows what a killed one
has left: an array without a successor is put back, one whose successor is there is removed.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.metadata import documents, exists
from asyncexec.storage.places.removal import REMOVED, discard, remove_partial
from asyncexec.storage.places.stamps import stamp_of

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location

REPLACED = "replaced"
_LEFT = re.compile(rf"(.+)\.({REPLACED}|{REMOVED})-([0-9a-f]{{16}})")


def aside_of(location: Location, run: str) -> tuple[Path, Path] | None:
    """Return the path of ``location`` and the one that ``run`` renames it to, or None in other stores than a disk."""
    path = location.local_path
    return None if path is None else (path, path.with_name(f"{path.name}.{REPLACED}-{run}"))


def set_aside(location: Location, run: str) -> tuple[Path, Path] | None:
    """Rename what is at ``location``; return its path and the one it has now, or None in other stores than a disk.

    Raises
    ------
    StorageError
        If it cannot be renamed.
    """
    paths = aside_of(location, run)
    if paths is None:
        return None
    path, aside = paths
    try:
        path.rename(aside)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise storage_error(error, location, "cannot be replaced") from None
    return paths


def put_back(path: Path, aside: Path) -> None:
    """Rename ``aside`` to ``path``, unless there is something else by now."""
    with suppress(OSError):
        # An empty folder gives way to a directory, anything else does not.
        aside.rename(path)


def recover(location: Location) -> None:
    """Put back the array that a killed run had set aside at ``location``, before it had made its own."""
    path = location.local_path
    if path is None:
        return
    for aside, kind, _ in _left_at(path):
        if kind == REPLACED and not exists(location):
            _clear_begun(path)
            put_back(path, aside)


def sweep(location: Location) -> None:
    """Remove arrays next to ``location`` that a killed run has half removed, or replaced and not removed."""
    path = location.local_path
    if path is None:
        return
    for aside, kind, run in _left_at(path):
        if kind == REMOVED:
            shutil.rmtree(aside, ignore_errors=True)
            continue
        stamp = stamp_of(documents(location))
        if stamp is not None and stamp.run == run:
            with suppress(OSError):
                discard(aside, run, of=path)


def _clear_begun(path: Path) -> None:
    """Remove the folder of an array whose metadata had not been written yet."""
    with suppress(OSError):
        remove_partial(path)
        path.rmdir()


def _left_at(path: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield path, kind and run of each array that a run has renamed next to ``path``."""
    with suppress(OSError):
        for entry in list(path.parent.iterdir()):
            found = _LEFT.fullmatch(entry.name)
            if found is not None and found[1] == path.name:
                yield entry, found[2], found[3]
