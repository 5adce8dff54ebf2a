"""The things that runs have left in object stores, found by one listing and what stamps and leases say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncexec.storage.places.holds import TARGET_LEASE
from asyncexec.storage.places.listing import listed_files
from asyncexec.storage.places.metadata import NAMES, documents
from asyncexec.storage.places.objects import objects_at
from asyncexec.storage.places.stamps import STAGED, stamp_of
from asyncexec.storage.values.cache import CACHE
from asyncexec.storage.workspace.holders import Holder
from asyncexec.storage.workspace.late_chunks import late_chunks_at, may_be_late, spelling_of
from asyncexec.storage.workspace.leases import MARKER, read_lease
from asyncexec.storage.workspace.leftover import (
    RUN_FOLDER,
    Found,
    Kind,
    Leftover,
    Made,
    made_by,
    resume_of_folder,
)
from asyncexec.storage.workspace.staging import read_staged
from asyncexec.storage.workspace.work_dir import PREFIX

if TYPE_CHECKING:
    from asyncexec.storage.places.listing import ListedFile
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.places.stamps import Stamp


@dataclass(slots=True)
class _Prefix:
    """The objects below a key prefix that a run has left, as they are added up."""

    nbytes: int = 0
    written_at: float = 0.0
    marked: bool = False

    def add(self, nbytes: int, written_at: float) -> None:
        self.nbytes += nbytes
        self.written_at = max(self.written_at, written_at)


@dataclass(slots=True)
class _Listed:
    """The names at a place that say something of what runs have left, by folder."""

    own: str
    folders: dict[str, _Prefix] = field(default_factory=dict[str, _Prefix])
    arrays: dict[str, _Prefix] = field(default_factory=dict[str, _Prefix])
    marks: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    chunks: dict[tuple[str, str], _Prefix] = field(default_factory=dict[tuple[str, str], _Prefix])

    def add(self, file: ListedFile) -> None:
        folder = _run_prefix(file.name, self.own)
        if folder is not None:
            prefix = self.folders.setdefault(folder, _Prefix())
            prefix.add(file.nbytes, file.written_at)
            prefix.marked |= file.name == _below(folder, MARKER)
            return
        above, _, name = file.name.rpartition("/")
        if name in NAMES:
            self.arrays.setdefault(above, _Prefix())
        elif name in (STAGED, TARGET_LEASE):
            self.marks.setdefault(above, set()).add(name)
        elif spelt := spelling_of(file.name):
            self.chunks.setdefault(spelt, _Prefix()).add(file.nbytes, file.written_at)


def find_objects(place: Location, looked_at: Callable[[str], None]) -> Iterator[Found]:
    """Yield what runs have left at and below ``place`` in an object store.

    Raises
    ------
    StorageError
        If the place cannot be listed or read.
    """
    listed = _Listed(_last_part(place))
    for file in listed_files(place):
        looked_at(file.name)
        # Added up at once: a bucket may hold more objects than names fit in memory.
        listed.add(file)
    for name, prefix in sorted(listed.folders.items()):
        if prefix.marked or RUN_FOLDER.fullmatch(name.rpartition("/")[2] or listed.own):
            yield _folder_of_objects(place, name, prefix)
    read = {name: documents(_at(place, name)) for name in listed.arrays}
    unfinished = list(_unfinished_objects(place, listed.arrays, listed.marks, read))
    yield from unfinished
    known = {found.leftover.name for found in unfinished}
    for name, there in sorted(listed.marks.items()):
        if (name or ".") not in known:
            yield _marked(place, name, there)
    for (name, spelling), prefix in sorted(listed.chunks.items(), key=lambda chunk: chunk[0]):
        there = listed.marks.get(name, set())
        left = (name or ".") not in known and STAGED not in there
        if left and may_be_late(spelling, read.get(name, {})):
            known.add(name or ".")
            yield from _late(place, name, there, prefix)


def _at(place: Location, name: str) -> Location:
    return place.join(name) if name else place


def _late(place: Location, name: str, there: set[str], prefix: _Prefix) -> Iterator[Found]:
    """Yield the chunks that late attempts have left at a place, if those that may be such are."""
    location = _at(place, name)
    if late_chunks_at(location):
        in_use = TARGET_LEASE in there and _lease_on(location)[1]
        left = Leftover(
            kind="orphan chunks",
            name=name or ".",
            nbytes=prefix.nbytes,
            used_at=prefix.written_at,
            in_use=in_use,
        )
        yield Found(left, location, [])


def _run_prefix(name: str, own: str) -> str | None:
    """Return the part of an object's name that is the folder of a run; None of another one."""
    if RUN_FOLDER.fullmatch(own):
        return ""
    parts = name.split("/")[:-1]
    for depth, part in enumerate(parts):
        # The cache of results is used by runs to come.
        if part == CACHE:
            return None
        if part.startswith(PREFIX):
            return "/".join(parts[: depth + 1])
    return None


def _folder_of_objects(place: Location, name: str, prefix: _Prefix) -> Found:
    location = _at(place, name)
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
    location = _at(place, name)
    stamp = stamp_of(read_staged(location)) if STAGED in there else None
    at, in_use = _lease_on(location) if TARGET_LEASE in there else (0.0, False)
    kind: Kind = "new array" if STAGED in there else "lease"
    made: Made = {"name": "", "run": "", "plan": "", "resume": ""}
    made = made if stamp is None else made_by("", stamp)
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
    place: Location,
    arrays: dict[str, _Prefix],
    marks: dict[str, set[str]],
    read: dict[str, dict[str, bytes]],
) -> Iterator[Found]:
    """Yield the arrays whose stamps say that they are not complete."""
    stamps: dict[str, Stamp] = {}
    for name in arrays:
        stamp = stamp_of(read[name])
        if stamp is not None and stamp.unfinished:
            stamps[name] = stamp
    if not stamps:
        return
    for file in listed_files(place):
        above = file.name
        # The nearest array above it, as chunks lie in folders of their own.
        while above and above not in stamps:
            above = above.rpartition("/")[0]
        if above in stamps:
            arrays[above].add(file.nbytes, file.written_at)
    for name, stamp in sorted(stamps.items()):
        location = _at(place, name)
        held = TARGET_LEASE in marks.get(name, ()) and _lease_on(location)[1]
        found = Leftover(
            kind="unfinished array",
            in_use=held,
            nbytes=arrays[name].nbytes,
            used_at=arrays[name].written_at,
            **made_by(name or ".", stamp),
        )
        yield Found(found, location, [])


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _last_part(place: Location) -> str:
    return place.url.partition("://")[2].rstrip("/").rpartition("/")[2]
