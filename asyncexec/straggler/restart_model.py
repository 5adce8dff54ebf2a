"""The age at which a backup saves most work, from the distribution of a stage's durations.

While tasks are queued, a backup is worth its slot if it makes the task take less *work*, its own included. With S(t)
the share of attempts that run longer than t, and a backup that takes as long as any other attempt, a task that gets one
at the age t costs ::

    W(t) = integral of S from 0 to t  +  2 * integral over u of S(t + u) S(u)

and the best age is where W is least: soon after the bulk if a few attempts are many times slower, at a few times the
minimum for heavy tails, never where durations hardly differ. That is the optimal restart time (A. van Moorsel,
K. Wolter, "Analysis and algorithms for restart", QEST 2004) for a copy that does not replace the original (D. Wang,
G. Joshi, G. Wornell, "Using straggler replication to reduce latency in large-scale parallel computing", 2015); Mantri
decides alike for each task with estimates instead of a distribution (G. Ananthanarayanan et al., OSDI 2010).

Backups hide the tail they are for: an attempt that lost was stopped, so its full duration is never observed. It is a
censored observation, known to be longer, and S is estimated from both kinds (E. L. Kaplan, P. Meier, "Nonparametric
estimation from incomplete observations", 1958).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from asyncexec.straggler.statistics import DurationStatistics, bucket_seconds

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Attempts that must have ended before their distribution is used.
_EVIDENCE = 30

# Durations are put in buckets of 8%, which is fine enough for a decision: W is flat around its least.
_MERGED = 4

# Candidate ages: a little above these quantiles. None is below the third quartile, or most tasks would run twice.
_QUANTILES = (0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995)
_ABOVE = 1.1

# A backup must save this share of the work, or chance would decide.
_LEAST_SAVING = 0.01

# Attempts that were stopped at a greater age than any was seen to end at are assumed to have been half done.
_LONGER = 2.0


class RestartModel:
    """The distribution of a stage's durations if no attempt is stopped, and the best age for a backup by it.

    Attributes
    ----------
    stopped : DurationStatistics
        The durations so far of attempts that were stopped because another of their task had succeeded.
    """

    __slots__ = ("_found", "_hope", "_known", "stopped")

    def __init__(self) -> None:
        self.stopped = DurationStatistics()
        self._known = 0
        self._hope = 1.0
        self._found: float | None = None

    def optimal_restart_age(self, complete: DurationStatistics, *, hope: float) -> float | None:
        """Return the age in seconds for a backup that minimizes the expected work of a task; None if no backup does.

        The result is cached until 5% more durations are known.

        Parameters
        ----------
        complete : DurationStatistics
            The durations of the attempts that succeeded.
        hope : float
            The share of long tasks, from 0 to 1, for which a second attempt may be quicker; the others are long by
            nature.
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
    """Return durations, ascending, and the probability of each (the Kaplan-Meier estimate)."""
    ended, cut = complete.histogram(_MERGED), stopped.histogram(_MERGED)
    used = np.flatnonzero(ended + cut)
    seconds = bucket_seconds(used, _MERGED)
    ended, cut = ended[used], cut[used]
    at_risk = np.cumsum((ended + cut)[::-1])[::-1]
    longer = np.cumprod(1.0 - ended / at_risk, dtype=np.float64)
    likely = -np.diff(longer, prepend=1.0)
    # The longest were all stopped: the probability that is left goes to a duration beyond them.
    if longer[-1] > 0:
        seconds = np.concatenate((seconds, _LONGER * seconds[-1:]))
        likely = np.concatenate((likely, longer[-1:]))
    return seconds, likely


def _optimal_age(
    seconds: NDArray[np.float64], likely: NDArray[np.float64], hope: float
) -> float | None:
    # Each slot has one attempt queued behind the one that runs: a backup starts about one task after it is sent.
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
