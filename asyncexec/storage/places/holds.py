"""The run that holds a place now, as far as workers can know it: by its lease, or by its claim within this process."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from asyncexec.errors import TargetReplacedError
from asyncexec.storage.places.claims import claimed_by

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncexec.storage.places.locations import Location

TARGET_LEASE = ".asyncexec-lease"
"""The object in an array that a run is writing."""
_HOLDS_SECONDS = 2.0
"""For how long a run that held a place is taken to hold it, where nothing speaks against that."""


class HeldPlace:
    """The check that ``run`` still holds the place ``location``, in which it writes over what was there before."""

    def __init__(self, location: Location, run: str) -> None:
        self._location = location
        self._run = run
        self._until = 0.0

    async def check(
        self, read: Callable[[str], Awaitable[bytes | None]], *, now: bool = True
    ) -> None:
        """Check it; without ``now``, a check of a moment ago is enough.

        Parameters
        ----------
        read : callable
            Returns the object of the place with a name, None where there is none.
        now : bool

        Raises
        ------
        TargetReplacedError
            If it has ended, or another run holds the place.
        """
        if not now and time.monotonic() < self._until:
            return
        began = time.monotonic()
        held = self._location
        holder = claimed_by(held) if held.process_bound else run_of_lease(await read(TARGET_LEASE))
        if holder != self._run:
            raise TargetReplacedError(
                f"{self._location} is not held by run {self._run} any more: it has ended, or another run has taken the "
                f"place over, so nothing more is written there. Let one run at a time write there"
            )
        self._until = began + _HOLDS_SECONDS


def run_of_lease(data: bytes | None) -> str:
    """Return the run that a lease is of; empty without one.

    >>> from asyncexec.storage.places.holds import run_of_lease
    >>> run_of_lease(b'{"run": "0123"}'), run_of_lease(None)
    ('0123', '')
    """
    try:
        lease: Any = json.loads(data or b"{}")
        return str(lease.get("run", ""))
    except (ValueError, AttributeError):
        return ""
