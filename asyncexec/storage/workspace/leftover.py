"""The records of what runs that failed or were killed have left."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypedDict

from asyncexec.storage.workspace.work_dir import PREFIX

if TYPE_CHECKING:
    from asyncexec.storage.places.folder_locks import FolderLock
    from asyncexec.storage.places.locations import Location
    from asyncexec.storage.places.stamps import Stamp

type Kind = Literal[
    "work directory",
    "unfinished array",
    "new array",
    "replaced array",
    "removed array",
    "unfinished chunks",
    "orphan chunks",
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
        begun; ``"orphan chunks"``: of late attempts, read by no array; ``"lease"``: the object by which a run held
        an array in an object store.
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


def resume_of_folder(plan: str, work_dir: str) -> str:
    """Return by what a run goes on whose folder is named by its ``plan``; empty if it is not."""
    return f"its plan, with resume=True and work_dir={work_dir!r}" if plan else ""


class Made(TypedDict):
    """The run that makes an array, by its stamp."""

    name: str
    run: str
    plan: str
    resume: str


def made_by(name: str, stamp: Stamp) -> Made:
    """Return which run makes the array ``name``, by its stamp."""
    resume = "its plan, with resume=True" if stamp.plan else ""
    return {"name": name, "run": stamp.run, "plan": stamp.plan, "resume": resume}
