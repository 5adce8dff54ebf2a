"""The places that runs of this process are writing to.

On a disk and in object stores, creation is exclusive, and a stamp says whose an array is. Within a process more is
known: that the run is still there. A second one is refused at once then, also with ``overwrite=True``.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from asyncexec.errors import TargetExistsError
from asyncexec.storage.places.identity import identity
from asyncexec.storage.places.stamps import Stamp

if TYPE_CHECKING:
    from asyncexec.storage.places.locations import Location

_lock = Lock()
_claimed: dict[str, Stamp] = {}


def claim(location: Location, stamp: Stamp) -> None:
    """Claim the place ``location`` for a run of this process.

    Raises
    ------
    TargetExistsError
        If another one has claimed it; one of the same plan, which writes the same, gives way.
    """
    place = identity(location)
    with _lock:
        held = _claimed.get(place)
        if held is not None and not (held.plan and held.plan == stamp.plan):
            raise TargetExistsError(
                f"{location} is being written by another run of this process. Wait for that run, or store elsewhere"
            )
        _claimed[place] = stamp


def release(location: Location, stamp: Stamp) -> None:
    """Let go of the place ``location``, if it is the run's."""
    place = identity(location)
    with _lock:
        if _claimed.get(place) == stamp:
            del _claimed[place]


def claimed_by(location: Location) -> str:
    """Return the run of this process that has claimed the place ``location``; empty without one."""
    with _lock:
        held = _claimed.get(identity(location))
    return "" if held is None else held.run
