"""The listing and the removal of what runs have left that failed or were killed."""

from __future__ import annotations

import re
import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asyncexec.errors import AsyncexecError, StorageError
from asyncexec.storage.chunks.generations import owns
from asyncexec.storage.chunks.written_by import generations_at
from asyncexec.storage.places.errors import storage_error
from asyncexec.storage.places.holds import TARGET_LEASE
from asyncexec.storage.places.listing import listed_files
from asyncexec.storage.places.locations import locate
from asyncexec.storage.places.metadata import documents
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.opening import open_array
from asyncexec.storage.places.removal import remove, remove_own, remove_partial
from asyncexec.storage.places.stamps import STAGED, stamp_of
from asyncexec.storage.places.suitability import check_protocols
from asyncexec.storage.workspace.late_chunks import having, late_chunks_at
from asyncexec.storage.workspace.leftover import Found, Leftover
from asyncexec.storage.workspace.leftovers import find
from asyncexec.storage.workspace.staging import is_chunk_of, keys_of, read_staged
from asyncexec.storage.workspace.work_dir import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from asyncexec.storage.places.locations import Location, PlaceLike

DAY_SECONDS = 86_400.0

_CHUNK = re.compile(r"c|(c[./])?\d+([./]\d+)*|.*\.partial")
_METADATA = re.compile(r"zarr\.json|\.zarray|\.zattrs|\.asyncexec.*")


def clean(
    place: PlaceLike,
    *,
    older_than: float = DAY_SECONDS,
    storage_options: Mapping[str, Any] | None = None,
    remove: bool = False,
    dry_run: bool | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Leftover]:
    """Return a list of what runs that failed or were killed have left at and below ``place``; ``remove`` removes it.

    These are the folders of runs in work directories, arrays that are not complete, arrays next to others
    (``NAME.new-…``, ``NAME.replaced-…``, ``NAME.removed-…``), and chunks whose writer was killed. A run that succeeds
    leaves nothing, unless ``keep_values`` is set. What a run with ``resume=True`` has left is there to be resumed, and
    the list says how; it is removed here when it is old enough.

    Nothing is removed that a living run uses, nor the cache of results (see :func:`asyncexec.storage.clear_cache`), nor
    anything that does not bear the names or stamps of runs. An array that was set aside and has no successor is put
    back.

    >>> import asyncexec.storage as storage
    >>> plan = ax.Plan.map(abs, [-1, 2])
    >>> result = ax.sync.execute(plan, work_dir="work", resume=True, keep_values=True)
    >>> [(left.kind, left.in_use, left.removed) for left in storage.clean("work")]
    [('work directory', False, False)]
    >>> [left.removed for left in storage.clean("work", older_than=0, remove=True)]
    [True]
    >>> storage.clean("work")
    []

    Parameters
    ----------
    place : path, URL or location
        A work directory, an array, or a folder that holds such.
    older_than : float
        Seconds since something was last written to, for it to be removed; a day by default. One of which that is not
        known counts as new.
    storage_options : mapping, optional
    remove : bool
        Whether what is old enough is removed; else it is only listed.
    dry_run : bool, optional
        The same the other way round, as it was called earlier.
    progress : callable, optional
        Called with each folder or object that was looked at.

    Raises
    ------
    StorageError
        If the place cannot be read. What cannot be removed has its ``problem`` in the list.
    """
    location = locate(place, storage_options)
    # There no run has left anything, and a server may say so of what it does not list.
    check_protocols(location)
    before = time.time() - older_than
    removes = remove if dry_run is None else not dry_run
    return [
        _cleaned(found, before, removes=removes)
        for found in find(location, progress or _show_nothing)
    ]


def _cleaned(found: Found, before: float, *, removes: bool) -> Leftover:
    leftover = found.leftover
    try:
        if not removes or leftover.in_use or (leftover.used_at or time.time() - 1) > before:
            return leftover
        _remove(found)
    except (OSError, AsyncexecError) as error:
        wrong = storage_error(error, found.place, "cannot be removed")
        return replace(leftover, problem=str(wrong))
    finally:
        # Held to this moment: a run that begins meanwhile must not find half of it.
        for lock in found.locks:
            lock.close()
    return replace(leftover, removed=True)


def _remove(found: Found) -> None:
    leftover, path = found.leftover, found.place.local_path
    if leftover.kind == "unfinished array":
        _check_unchanged(found)
        remove_own(open_array(found.place, unfinished=True), leftover.run)
    if path is None:
        _remove_objects(found)
    elif leftover.kind == "unfinished chunks":
        remove_partial(path)
    elif leftover.puts_back:
        # `NAME.replaced-…` is `NAME` again.
        path.rename(path.with_name(path.name.rpartition(".")[0]))
    elif leftover.kind == "work directory":
        # Under another name first: a run that begins meanwhile makes a folder of its own.
        aside = path.with_name(f"{PREFIX}removed-{uuid.uuid4().hex[:8]}")
        path.rename(aside)
        shutil.rmtree(aside)
    elif leftover.kind != "unfinished array":
        _check_only_array(path)
        shutil.rmtree(path)


def _remove_objects(found: Found) -> None:
    if found.leftover.kind == "work directory":
        remove(found.place)
        return
    objects = objects_at(found.place)
    if found.leftover.kind == "orphan chunks":
        objects.remove_all(late_chunks_at(found.place))
        return
    if found.leftover.kind == "new array":
        objects.remove_all(_staged_chunks(found.place))
    # After the chunks, which are found by these, should this be killed in between.
    objects.remove_all([STAGED, TARGET_LEASE])


def _staged_chunks(place: Location) -> list[str]:
    """Return the names of chunks of the array that was to replace the one at ``place``, or that was replaced by it.

    Where the store says what was written by which run, those of other runs are left out.
    """
    staged, ref = read_staged(place), open_array(place, unfinished=True)
    stamp = stamp_of(staged)
    if stamp is None:
        return []
    names = [
        name
        for name in objects_at(place).names()
        if _CHUNK.fullmatch(name) and ref.keys.index(name, ref.blocks) is None
    ]
    if keys_of(ref, staged) == ref.keys:
        # The new array is at its place: what is left is of the old one.
        return names
    names, written_by = [n for n in names if is_chunk_of(staged, n)], generations_at(place)
    return names if written_by is None else having(names, lambda n: owns(stamp, written_by(n)))


def _check_unchanged(found: Found) -> None:
    """Check that the array is still that of the run which did not complete it.

    Raises
    ------
    StorageError
        If another run has made it since, or its own has completed it.
    """
    stamp = stamp_of(documents(found.place))
    if stamp is None or not stamp.unfinished or stamp.run != found.leftover.run:
        raise StorageError(f"{found.place} is another run's by now, or complete, and is kept")


def _check_only_array(path: Path) -> None:
    """Check that nothing else is in the directory ``path`` than an array.

    Raises
    ------
    StorageError
        If there is.
    """
    for file in listed_files(locate(path)):
        if not (_METADATA.fullmatch(file.name) or _CHUNK.fullmatch(file.name)):
            raise StorageError(
                f"{path} is kept: it holds {file.name}, which is of no array. Move that elsewhere first"
            )


def _show_nothing(_name: str) -> None:
    """Do nothing: progress is not shown."""
