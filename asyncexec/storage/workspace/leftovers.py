"""The things that runs which failed or were killed have left below a place, by names and stamps that only runs give."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict

from asyncexec.storage.chunks.chunk_files import PARTIAL
from asyncexec.storage.places.asides import LEFT, NEW, REPLACED
from asyncexec.storage.places.folder_locks import LOCK, FolderLock, lock_file, lock_folder
from asyncexec.storage.places.listing import listed_files
from asyncexec.storage.places.locations import locate
from asyncexec.storage.places.metadata import NAMES, documents, exists, is_array
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.stamps import STAGED, stamp_of
from asyncexec.storage.values.cache import CACHE
from asyncexec.storage.workspace.holders import Holder
from asyncexec.storage.workspace.leases import MARKER, TARGET_LEASE, read_lease
from asyncexec.storage.workspace.staging import read_staged
from asyncexec.storage.workspace.work_dir import PREFIX

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.places.stamps import Stamp

type Kind = Literal[
    "work directory",
    "unfinished array",
    "new array",
    "replaced array",
    "removed array",
    "unfinished chunks",
    "lease",
]

RUN_FOLDER = re.compile(rf"{PREFIX}(?:[a-z]+-)?(?:([0-9a-f]{{32}})|(.+)-[0-9a-f]{{8}})")
"""The names of the folders of runs: by the fingerprint of a plan, or by the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """A folder, an array or files that a run has left.

    Attributes
    ----------
    name : str
        Relative to the place that was looked through; ``"."`` for the place itself.
    nbytes : int
        The size of its files as they are stored; 0 where the store does not say it.
    used_at : float
        When it was last written to, in seconds since the epoch; 0.0 where that is not known.
    in_use : bool
        Whether a run that lives is using it, as far as this machine or a lease shows.
    removed : bool
        Whether it was removed (or put back).
    kind : str
        ``"work directory"`` of a run; ``"unfinished array"`` at its place; ``"new array"`` next to the one that it was
        to replace (or, once that was done, the old one); ``"replaced array"``: an old one that was set aside;
        ``"removed array"``: one of which a part was removed; ``"unfinished chunks"``: files that killed writers had
        begun; ``"lease"``: the object by which a run held an array in an object store.
    plan, run : str
        The plan's fingerprint, or the beginning of it, and the run, as far as they are known.
    resume : str
        By what the work can be gone on with; empty where it cannot.
    puts_back : bool
        Whether it is the only array for its place, so that it is not removed but given its old name again.
    problem : str
        Why it could not be removed; else empty.
    """

    name: str
    nbytes: int = 0
    used_at: float = 0.0
    in_use: bool = False
    removed: bool = False
    kind: Kind = "work directory"
    plan: str = ""
    run: str = ""
    resume: str = ""
    puts_back: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A leftover, where it is, and the locks on it that this process has while it is looked at.

    Attributes
    ----------
    leftover : Leftover
    place : Location
    locks : list of FolderLock
    """

    leftover: Leftover
    place: Location
    locks: list[FolderLock]


def find(place: Location, looked_at: Callable[[str], None]) -> Iterator[Found]:
    """Yield what runs have left at and below ``place``; ``looked_at`` is called with each folder or object.

    Raises
    ------
    StorageError
        If the place cannot be listed or read.
    """
    path = place.local_path
    if path is None:
        yield from _find_objects(place, looked_at)
    elif path.is_dir():
        yield from _find_files(path, looked_at)


def _find_files(root: Path, looked_at: Callable[[str], None]) -> Iterator[Found]:
    left = [root]
    while left:
        path = left.pop()
        looked_at(str(path))
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
        return _held(path, kind="unfinished array", **_of(name, stamp))
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
        return _held(path, kind="new array", **_of(name, stamp))
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


def resume_of_folder(plan: str, work_dir: str) -> str:
    """Return by what a run goes on whose folder is named by its ``plan``; empty if it is not."""
    return f"its plan, with resume=True and work_dir={work_dir!r}" if plan else ""


class _Made(TypedDict):
    """The run that makes an array, by its stamp."""

    name: str
    run: str
    plan: str
    resume: str


def _of(name: str, stamp: Stamp) -> _Made:
    resume = "its plan, with resume=True" if stamp.plan else ""
    return {"name": name, "run": stamp.run, "plan": stamp.plan, "resume": resume}


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


@dataclass(slots=True)
class _Prefix:
    """The objects below a key prefix that a run has left, as they are added up."""

    nbytes: int = 0
    written_at: float = 0.0
    marked: bool = False

    def add(self, nbytes: int, written_at: float) -> None:
        self.nbytes += nbytes
        self.written_at = max(self.written_at, written_at)


def _find_objects(place: Location, looked_at: Callable[[str], None]) -> Iterator[Found]:
    folders: dict[str, _Prefix] = {}
    arrays: dict[str, _Prefix] = {}
    marks: dict[str, set[str]] = {}
    own = _last_part(place)
    for file in listed_files(place):
        looked_at(file.name)
        folder = _run_prefix(file.name, own)
        if folder is not None:
            prefix = folders.setdefault(folder, _Prefix())
            prefix.add(file.nbytes, file.written_at)
            prefix.marked |= file.name == _below(folder, MARKER)
            continue
        above, _, name = file.name.rpartition("/")
        if name in NAMES:
            arrays.setdefault(above, _Prefix())
        elif name in (STAGED, TARGET_LEASE):
            marks.setdefault(above, set()).add(name)
    for name, prefix in sorted(folders.items()):
        if prefix.marked or RUN_FOLDER.fullmatch(name.rpartition("/")[2] or own):
            yield _folder_of_objects(place, name, prefix)
    unfinished = list(_unfinished_objects(place, arrays, marks))
    yield from unfinished
    known = {found.leftover.name for found in unfinished}
    for name, there in sorted(marks.items()):
        if (name or ".") not in known:
            yield _marked(place, name, there)


def _run_prefix(name: str, own: str) -> str | None:
    """Return the part of an object's name that is the folder of a run; None of another one."""
    if RUN_FOLDER.fullmatch(own):
        return ""
    parts = name.split("/")[:-1]
    for depth, part in enumerate(parts):
        if part == CACHE:
            return None
        if part.startswith(PREFIX):
            return "/".join(parts[: depth + 1])
    return None


def _folder_of_objects(place: Location, name: str, prefix: _Prefix) -> Found:
    location = place.join(name) if name else place
    at, in_use = _held_by(objects_at(location, read_only=True).get(MARKER))
    run = RUN_FOLDER.fullmatch(name.rpartition("/")[2] or _last_part(place))
    plan = (run[1] or "") if run else ""
    above = place.join(name.rpartition("/")[0]) if "/" in name else place
    leftover = Leftover(
        name=name or ".",
        nbytes=prefix.nbytes,
        used_at=max(at, prefix.written_at),
        in_use=in_use,
        plan=plan,
        run=(run[2] or "") if run else "",
        resume=resume_of_folder(plan, str(above)),
    )
    return Found(leftover, location, [])


def _marked(place: Location, name: str, there: set[str]) -> Found:
    """Return what a run has left in an array in an object store that is complete, or never began."""
    location = place.join(name) if name else place
    stamp = stamp_of(read_staged(location)) if STAGED in there else None
    at, in_use = _lease_on(location) if TARGET_LEASE in there else (0.0, False)
    kind: Kind = "new array" if STAGED in there else "lease"
    made: _Made = {"name": "", "run": "", "plan": "", "resume": ""}
    made = made if stamp is None else _of("", stamp)
    made["name"] = name or "."
    return Found(Leftover(kind=kind, used_at=at, in_use=in_use, **made), location, [])


def _lease_on(location: Location) -> tuple[float, bool]:
    """Return when the lease on an array was written, and whether it holds."""
    return _held_by(objects_at(location, read_only=True).get(TARGET_LEASE))


def _held_by(lease: bytes | None) -> tuple[float, bool]:
    holder = Holder.read(lease or b"{}")
    # A process of this machine is known to be gone before its lease has run out.
    return read_lease(lease)[0], holder is not None and not holder.is_gone()


def _unfinished_objects(
    place: Location, arrays: dict[str, _Prefix], marks: dict[str, set[str]]
) -> Iterator[Found]:
    """Yield the arrays whose stamps say that they are not complete."""
    stamps: dict[str, Stamp] = {}
    for name in arrays:
        stamp = stamp_of(documents(place.join(name) if name else place))
        if stamp is not None and stamp.unfinished:
            stamps[name] = stamp
    if not stamps:
        return
    for file in listed_files(place):
        above = file.name
        while above and above not in stamps:
            above = above.rpartition("/")[0]
        if above in stamps:
            arrays[above].add(file.nbytes, file.written_at)
    for name, stamp in sorted(stamps.items()):
        location = place.join(name) if name else place
        held = TARGET_LEASE in marks.get(name, ()) and _lease_on(location)[1]
        found = Leftover(
            kind="unfinished array",
            in_use=held,
            nbytes=arrays[name].nbytes,
            used_at=arrays[name].written_at,
            **_of(name or ".", stamp),
        )
        yield Found(found, location, [])


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _last_part(place: Location) -> str:
    return place.url.partition("://")[2].rstrip("/").rpartition("/")[2]
