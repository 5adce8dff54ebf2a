"""The removal of the folders that are left in a work directory by runs which failed or were killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.folder_locks import LOCK, FolderLock, lock_file, lock_folder
from asyncexec.storage.places.locations import locate
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.removal import remove
from asyncexec.storage.values.cache import CACHE
from asyncexec.storage.workspace.leases import MARKER, read_lease
from asyncexec.storage.workspace.work_dir import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncexec.storage.places.locations import Location, PlaceLike

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """The folder of a run in a work directory.

    Attributes
    ----------
    name : str
        Of the folder.
    nbytes : int
        The size of its files; 0 in object stores.
    used_at : float
        When it was last written to, in seconds since the epoch; 0.0 where that is not known.
    in_use : bool
        Whether a run that lives is using it.
    removed : bool
        Whether it was removed.
    """

    name: str
    nbytes: int
    used_at: float
    in_use: bool
    removed: bool = False


def clean(
    work_dir: PlaceLike,
    *,
    older_than: float = DAY_SECONDS,
    storage_options: Mapping[str, Any] | None = None,
    dry_run: bool = False,
) -> list[Leftover]:
    """Remove the folders of runs that failed or were killed from ``work_dir``, and return a list of all folders.

    A run that succeeds leaves nothing, unless ``keep_values`` is set. The folder of a run with ``resume=True`` that
    failed or was killed is there to be resumed: it is removed here when it is old enough. Nothing is removed that a
    living run uses, nor the cache of results (see :func:`asyncexec.storage.clear_cache`), nor other files.

    >>> import asyncexec.storage as storage
    >>> plan = ax.Plan.map(abs, [-1, 2])
    >>> result = ax.sync.execute(plan, work_dir="work", resume=True, keep_values=True)
    >>> [(left.in_use, left.removed) for left in storage.clean("work")]
    [(False, False)]
    >>> [(left.in_use, left.removed) for left in storage.clean("work", older_than=0)]
    [(False, True)]
    >>> storage.clean("work")
    []

    Parameters
    ----------
    work_dir : path, URL or location
    older_than : float
        Seconds since a folder was last written to, for it to be removed; a day by default. One of which that is not
        known counts as new.
    storage_options : mapping, optional
    dry_run : bool
        Whether nothing is removed, only listed.

    Raises
    ------
    StorageError
        If the place cannot be read, or something cannot be removed.
    """
    place = locate(work_dir, storage_options)
    path = place.local_path
    before = time.time() - older_than
    found = _folders(place) if path is None else _directories(path)
    return [_cleaned(*each, before, dry_run=dry_run) for each in found]


def _cleaned(
    leftover: Leftover, place: Location, locks: list[FolderLock], before: float, *, dry_run: bool
) -> Leftover:
    try:
        if dry_run or leftover.in_use or (leftover.used_at or time.time() - 1) > before:
            return leftover
        path = place.local_path
        if path is None:
            remove(place)
        else:
            # Under another name first: a run that begins meanwhile makes a folder of its own.
            aside = path.with_name(f"{PREFIX}removed-{uuid.uuid4().hex[:8]}")
            path.rename(aside)
            shutil.rmtree(aside)
    except OSError as error:
        raise storage_error(error, place, "cannot be removed") from None
    finally:
        for lock in locks:
            lock.close()
    return Leftover(
        name=leftover.name,
        nbytes=leftover.nbytes,
        used_at=leftover.used_at,
        in_use=False,
        removed=True,
    )


def _directories(root: Path) -> Iterator[tuple[Leftover, Location, list[FolderLock]]]:
    """Yield the folders of runs in a local directory, each with the locks on it that are had now."""
    if not root.is_dir():
        return
    for path in sorted(root.iterdir()):
        if not path.name.startswith(PREFIX) or path.name == CACHE or path.is_symlink():
            continue
        with contextlib.suppress(FileNotFoundError):  # Its run has ended meanwhile.
            if not path.is_dir() or path.stat().st_uid != os.getuid():
                continue
            locks = [lock_folder(path)]
            if (path / LOCK).exists():
                locks.append(lock_file(path))
            held = [lock for lock in locks if lock is not None]
            nbytes, used_at = _size(path)
            in_use = len(held) < len(locks)
            leftover = Leftover(name=path.name, nbytes=nbytes, used_at=used_at, in_use=in_use)
            yield leftover, locate(path), held


def _size(path: Path) -> tuple[int, float]:
    nbytes, used_at = 0, path.stat().st_mtime
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                found = Path(folder, name).lstat()
                nbytes += found.st_size
                used_at = max(used_at, found.st_mtime)
    return nbytes, used_at


def _folders(place: Location) -> Iterator[tuple[Leftover, Location, list[FolderLock]]]:
    """Yield the folders of runs under a key prefix."""
    objects = objects_at(place)
    names = {name.partition("/")[0] for name in objects.names(PREFIX)}
    for name in sorted(names - {CACHE}):
        at, until = read_lease(objects.get(f"{name}/{MARKER}"))
        in_use = until > time.time()
        yield Leftover(name=name, nbytes=0, used_at=at, in_use=in_use), place.join(name), []
