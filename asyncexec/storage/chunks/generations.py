"""Decisions about chunks that another attempt has written before: whose they are, and whether they may be replaced."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from asyncexec.storage.places.stamps import STAGED, stamp_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncexec.storage.places.stamps import Stamp

_DOCUMENTS = ("zarr.json", ".zarray", STAGED)


class Verdict(Enum):
    """The fate of a chunk that an attempt finds where it is to write one."""

    OWN = "an attempt of this run has written it, or of an earlier run of the plan that is gone on with"
    LATE = "an attempt of another run has written it too late: it is replaced"
    LOST = "the array is another run's by now, or somebody else's: nothing is written"


def run_of(generation: str) -> str:
    """Return the run of a generation.

    >>> from asyncexec.storage.chunks.generations import run_of
    >>> run_of("plan-2"), run_of("2")
    ('2', '2')
    """
    return generation.rpartition("-")[2]


def is_own(found: str, generation: str) -> bool:
    """Return whether ``found`` is the generation of a run's own chunks: of the same run, or of one of the same plan.

    >>> from asyncexec.storage.chunks.generations import is_own
    >>> is_own("plan-2", "plan-3"), is_own("2", "3"), is_own("", "plan-3")
    (True, False, False)
    """
    plan, _, _ = generation.rpartition("-")
    return found == generation or (bool(plan) and found.rpartition("-")[0] == plan)


def owns(stamp: Stamp | None, generation: str) -> bool:
    """Return whether the run of ``generation`` is the one whose ``stamp`` is on the array, or one of the same plan."""
    if stamp is None:
        return False
    plan, _, run = generation.rpartition("-")
    return stamp.run == run or (bool(plan) and stamp.plan.startswith(plan))


def verdict(found: str, generation: str, stamp: Stamp | None) -> Verdict:
    """Return whether a chunk of the generation ``found`` is in the way of one of ``generation``.

    ``stamp`` is the one on the array's metadata. Where it is of neither run, the one that began later has the place:
    names of runs begin with the time.
    """
    if is_own(found, generation):
        return Verdict.OWN
    if owns(stamp, generation):
        return Verdict.LATE
    if not found or owns(stamp, found):
        return Verdict.LOST
    earlier = run_of(found) < run_of(generation)
    return Verdict.LATE if earlier else Verdict.LOST


async def stamp_by(
    document: Callable[[str], Awaitable[bytes | None]], generation: str
) -> Stamp | None:
    """Return the stamp of ``generation``, if it is on the array or on what is to replace that; else the array's.

    ``document`` returns the object at the array's place with a name.
    """
    stamp = None
    for name in _DOCUMENTS:
        data = await document(name)
        if data is not None:
            stamp = stamp_of({"zarr.json": data}) or stamp_of({".zarray": data}) or stamp
            if owns(stamp, generation):
                break
    return stamp
