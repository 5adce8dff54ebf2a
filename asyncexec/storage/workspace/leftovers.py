"""The things that runs which failed or were killed have left below a place, by names and stamps that only runs give."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.places.asides import LEFT, NEW, REPLACED
from asyncexec.storage.places.folder_locks import LOCK, lock_file, lock_folder
from asyncexec.storage.places.locations import locate
from asyncexec.storage.places.metadata import NAMES, documents, exists, is_array
from asyncexec.storage.places.stamps import stamp_of
from asyncexec.storage.values.cache import CACHE
from asyncexec.storage.workspace.leftover import (
    RUN_FOLDER,
    Found,
    Kind,
    Leftover,
    made_by,
    resume_of_folder,
)
from asyncexec.storage.workspace.object_leftovers import find_objects

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location


def find(place: Location, looked_at: Callable[[str], None]) -> Iterator[Found]:
    """Yield what runs have left at and below ``place``; ``looked_at`` is called with each folder or object.

    Raises
    ------
    StorageError
        If the place cannot be listed or read.
    """
    path = place.local_path
    if path is None:
        yield from find_objects(place, looked_at)
    elif path.is_dir():
        yield from _find_files(path, looked_at)


def _find_files(root: Path, looked_at: Callable[[str], None]) -> Iterator[Found]:
    left = [root]
    while left:
        path = left.pop()
        looked_at(str(path))
        # Runs that live remove and rename meanwhile, and some folders are nobody's to read.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            found = _leftover_at(path, root)
            if found is not None:
                yield found
            elif not _is_array_at(path):
                # Links are not followed, and the chunks of arrays not looked through.
                folders = [
                    Path(e.path) for e in os.scandir(path) if e.is_dir(follow_symlinks=False)
                ]
                left += sorted((f for f in folders if f.name != CACHE), reverse=True)


def _leftover_at(path: Path, root: Path) -> Found | None:
    """Return what a run has left in the directory ``path`` itself; None for all else, such as things of others."""
    name = str(path.relative_to(root))
    # In a folder for everybody, such as /tmp, runs of others have left the same names.
    if path.stat().st_uid != os.getuid():
        return None
    aside = LEFT.fullmatch(path.name)
    if aside is not None:
        return _set_aside(path, name, aside)
    run = RUN_FOLDER.fullmatch(path.name)
    if run is not None and path.name != CACHE and (path != root or not _is_array_at(path)):
        return _run_folder(path, name, run)
    stamp = stamp_of(documents(locate(path))) if _is_array_at(path) else None
    if stamp is not None and stamp.unfinished:
        return _held(path, kind="unfinished array", **made_by(name, stamp))
    if _is_array_at(path) and any(path.glob(f"{PARTIAL}*")):
        return _held(path, kind="unfinished chunks", name=name, measured=f"{PARTIAL}*")
    return None


def _set_aside(path: Path, name: str, aside: re.Match[str]) -> Found:
    """Return an array that a run has called after another one, next to it."""
    array, kind, run = path.with_name(aside[1]), aside[2], aside[3]
    stamp = stamp_of(documents(locate(path)))
    if kind == NEW:
        if stamp is None or not stamp.unfinished:
            return _held(path, kind="new array", name=name, run=run)
        return _held(path, kind="new array", **made_by(name, stamp))
    if kind == REPLACED:
        return _held(
            path,
            kind="replaced array",
            name=name,
            run=run,
            puts_back=not exists(locate(array)),
        )
    return _held(path, kind="removed array", name=name, run=run)


def _run_folder(path: Path, name: str, run: re.Match[str]) -> Found:
    """Return the folder of a run in a work directory."""
    plan = run[1] or ""
    return _held(
        path,
        kind="work directory",
        name=name,
        plan=plan,
        run=run[2] or "",
        resume=resume_of_folder(plan, str(path.parent)),
        lock=(path / LOCK).exists(),
    )


def _held(
    path: Path,
    *,
    kind: Kind,
    name: str,
    plan: str = "",
    run: str = "",
    resume: str = "",
    puts_back: bool = False,
    lock: bool = False,
    measured: str = "",
) -> Found:
    """Return what is at ``path``, with the locks on it that can be had now; ``measured`` are the files that count."""
    # Held until it is removed: what can be locked is in use by nobody, and stays so.
    locks = [lock_folder(path), *([lock_file(path)] if lock else [])]
    held = [one for one in locks if one is not None]
    parts = list(path.glob(measured)) if measured else [path]
    sizes = [_size(part) for part in parts]
    leftover = Leftover(
        name=name,
        nbytes=sum(nbytes for nbytes, _ in sizes),
        used_at=max((at for _, at in sizes), default=0.0),
        in_use=len(held) < len(locks),
        kind=kind,
        plan=plan,
        run=run,
        resume=resume,
        puts_back=puts_back,
    )
    return Found(leftover, locate(path), held)


def _size(path: Path) -> tuple[int, float]:
    """Return the bytes of the files at and below ``path``, and when one was written last."""
    nbytes, used_at = 0, 0.0
    for folder, _, names in os.walk(path):
        for file in [folder, *[f"{folder}/{name}" for name in names]]:
            with contextlib.suppress(FileNotFoundError):
                status = os.lstat(file)
                nbytes += 0 if file == folder else status.st_size
                used_at = max(used_at, status.st_mtime)
    if path.is_file():
        status = path.lstat()
        return status.st_size, status.st_mtime
    return nbytes, used_at


def _is_array_at(path: Path) -> bool:
    return any((path / name).exists() for name in NAMES) and is_array(documents(locate(path)))
