"""The age at which a backup saves most work, from the distribution of how long a stage's attempts take.

While tasks are queued, a backup is worth its slot if it makes the task take less *work*, its own included. With S(t)
the share of attempts that run longer than t, and a backup that takes as long as any other attempt, a task that gets one
at the age t costs ::

    W(t) = integral of S from 0 to t  +  2 * integral over u of S(t + u) S(u)

and the best age is where W is least: soon after the bulk if a few attempts are many times slower, at a few times the
minimum for heavy tails, never where durations hardly differ. That is the question of when to restart (A. van Moorsel,
K. Wolter, "Analysis and algorithms for restart", QEST 2004) asked for a copy beside the original (D. Wang, G. Joshi,
G. Wornell, "Using straggler replication to reduce latency in large-scale parallel computing", 2015), as Mantri asks it
of each task with estimates instead of a distribution (G. Ananthanarayanan et al., OSDI 2010).

Backups hide the tail they are for: an attempt that lost was stopped, and how long it would have taken is never known.
It is known that it would have taken longer, so S is estimated from both kinds (E. L. Kaplan, P. Meier, "Nonparametric
estimation from incomplete observations", 1958).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asyncexec.straggler.statistics import DurationStatistics, bucket_seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

# So many attempts must have ended before their distribution says something.
_EVIDENCE = 30

# Durations are put in buckets of 8%, which is fine enough for a decision: W is flat around its least.
_MERGED = 4

# Ages that are tried: a little above these quantiles. From the third quarter on, or most tasks would be sent twice.
_QUANTILES = (0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)
_ABOVE = 1.1

# A backup must save this share of the work, or chance would decide.
_LEAST_SAVING = 0.01

# Attempts that were stopped later than any was seen to end are taken to have been half done.
_LONGER = 2.0


class RestartModel:
    """The distribution of how long attempts of a stage run if none is stopped, and when a backup pays by it.

    Attributes
    ----------
    stopped : DurationStatistics
        How long attempts had run that were stopped because another of their task had succeeded.
    """

    __slots__ = ("_found", "_hope", "_known", "stopped")

    def __init__(self) -> None:
        self.stopped = DurationStatistics()
        self._known = 0
        self._hope = 1.0
        self._found: float | None = None

    def optimal_restart_age(self, complete: DurationStatistics, *, hope: float) -> float | None:
        """Return the age in seconds at which a backup makes the expected work of a task least; None if it never does.

        It is computed anew when a twentieth more durations are known.

        Parameters
        ----------
        complete : DurationStatistics
            How long the attempts ran that succeeded.
        hope : float
            For which share of the tasks that run long, from 0 to 1, a second attempt may be quicker; the others are
            long by nature.
        """
        known = complete.count + self.stopped.count
        if known < _EVIDENCE:
            return None
        if known > 1.05 * self._known + 10 or abs(hope - self._hope) > 0.05:
            self._known, self._hope = known, hope
            self._found = _optimal_age(*_distribution(complete, self.stopped), hope)
        return self._found


def _distribution(
    complete: DurationStatistics, stopped: DurationStatistics
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return durations, ascending, and how likely each is."""
    ended, cut = complete.histogram(_MERGED), stopped.histogram(_MERGED)
    used = np.flatnonzero(ended + cut)
    seconds = bucket_seconds(used, _MERGED)
    ended, cut = ended[used], cut[used]
    still_there = np.cumsum((ended + cut)[::-1])[::-1]
    longer = np.cumprod(1.0 - ended / still_there, dtype=np.float64)
    likely = -np.diff(longer, prepend=1.0)
    if longer[-1] > 0:
        seconds = np.concatenate((seconds, _LONGER * seconds[-1:]))
        likely = np.concatenate((likely, longer[-1:]))
    return seconds, likely


def _optimal_age(
    seconds: NDArray[np.float64], likely: NDArray[np.float64], hope: float
) -> float | None:
    # A slot has one attempt waiting beside the one that runs: a backup starts about one task later than it is sent.
    mean = float(seconds @ likely)
    ranks = np.searchsorted(np.cumsum(likely), _QUANTILES)
    found, least = None, (1.0 - _LEAST_SAVING) * mean
    for age in np.unique(_ABOVE * seconds[np.minimum(ranks, len(seconds) - 1)]):
        work = _work(seconds, likely, float(age) + mean, hope)
        if work < least:
            found, least = float(age), work
    return found


def _work(
    seconds: NDArray[np.float64], likely: NDArray[np.float64], age: float, hope: float
) -> float:
    """Return the expected work of a task that gets a backup at an age."""
    alone = float(np.minimum(seconds, age) @ likely)
    later = seconds > age
    left, chance = seconds[later] - age, likely[later]
    both = float(chance @ np.minimum(left[:, None], seconds) @ likely)
    in_vain = float(chance @ left)
    return alone + 2.0 * (hope * both + (1.0 - hope) * in_vain)
