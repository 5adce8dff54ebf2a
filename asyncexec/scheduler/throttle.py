"""The keeping of limits: when the next attempt may be sent, so that no limit is exceeded on the workers.

What counts is when an attempt starts on a worker, which may be long after it is sent: it may wait there for another
to end. So the next attempt under ``max_per_second`` is sent a gap after the last is known to have started, and not
before: then two starts are never closer than the gap, however late either is reported. The price is the time that
a start takes to be reported, by which every gap is longer; where workers are far away, somewhat fewer start than might.

Attempts under a limit travel one to a batch, since those of one batch start when they like.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncexec.events.outcome import Outcome
    from asyncexec.plan.limit import Limit


class Throttle:
    """The attempts under one limit: of a stage of one run, or of a label in all runs of an engine.

    Attributes
    ----------
    shared : bool
        Whether attempts of several runs are under it.
    """

    __slots__ = ("_gap", "_in_flight", "_most", "_next_at", "_unstarted", "shared")

    def __init__(self, limit: Limit, *, shared: bool = False) -> None:
        self.shared = shared
        self._most = math.inf if limit.max_at_once is None else limit.max_at_once
        self._gap = 0.0 if limit.max_per_second is None else 1.0 / limit.max_per_second
        self._in_flight = 0
        self._unstarted = 0
        self._next_at = -math.inf

    @property
    def opens_at(self) -> float:
        """The time from which an attempt may be sent; infinity where a report has to come before."""
        if self._in_flight >= self._most or (self._gap and self._unstarted):
            return math.inf
        return self._next_at

    def sent(self) -> None:
        """Record that an attempt is sent."""
        self._in_flight += 1
        self._unstarted += 1

    def started(self, at: float) -> None:
        """Record that an attempt has started, at this time or before."""
        self._unstarted -= 1
        self._next_at = max(self._next_at, at + self._gap)

    def ended(self, *, unstarted: bool) -> None:
        """Record that an attempt is no longer with the backend; ``unstarted`` if it never started."""
        self._in_flight -= 1
        self._unstarted -= unstarted


def closed(throttles: Iterable[Throttle], now: float) -> Throttle | None:
    """Return the first of ``throttles`` that lets no attempt be sent now; None if all let one."""
    return next((throttle for throttle in throttles if throttle.opens_at > now), None)


def free_limits(
    throttles: Iterable[Throttle], outcome: Outcome | None, now: float, *, unknown: bool
) -> None:
    """Record for the limits that an attempt has ended, or was given up where there is no outcome.

    ``unknown`` says that its start was not reported.
    """
    started = unknown and (outcome is None or outcome.started)
    seconds = 0.0 if outcome is None else outcome.seconds
    for throttle in throttles:
        if started:
            throttle.started(now - seconds)
        throttle.ended(unstarted=unknown and not started)
