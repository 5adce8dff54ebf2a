"""The rank of an attempt's duration among those of the other workers: how often one of theirs takes as long.

Durations are divided by their level, a running mean of their logarithms, so that what drifts along a stage (tasks that
grow, storage that gets slower) does not look like slowness of whoever comes last. The share of attempts that take as
long is then estimated (:mod:`asyncexec.straggler.survival`): attempts that run, and those that were stopped, are known
to take longer than their age. Without them the first reports of a stage, which are of its shortest tasks, would make
every later one look long.

The estimate is made anew after as many reports as there are workers, or an eighth of what it is made from: O(1)
amortised for each report.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from asyncexec.straggler.survival import surviving

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

LEAST_KEPT, MOST_KEPT = 256, 4096
"""The durations kept are the last 16 of each worker on average, within these bounds."""

_KEPT_EACH = 16
_LEAST_LEVEL = 32
# Workers that are slower by a tenth are alike: a level that is off by a little makes no difference.
_MARGIN = math.log(1.1)

# The most that one duration counts for in the level, in natural logarithms.
_MOST_STEP = 1.0


class DurationRanks:
    """The recent durations of one stage's attempts, and the share of them that take as long as a further one.

    >>> from asyncexec.straggler.duration_ranks import DurationRanks
    >>> ranks = DurationRanks()
    >>> for n in range(40):
    ...     ranks.add(f"w{n % 4}", 10.0 + n % 10 / 10, now=0.0)
    >>> ranks.longer_share("w0", 10.5, now=0.0) > 0.3, ranks.longer_share("w0", 30.0, now=0.0) < 0.05
    (True, True)

    Parameters
    ----------
    ages : callable, optional
        Returns the ages in seconds of the attempts that run and their workers, given the time, the greatest first.
    suspects : container of str, optional
        Workers whose durations are left out, as they are likely to be slow.
    """

    __slots__ = (
        "_added",
        "_ages",
        "_ended_at",
        "_ended_of",
        "_level",
        "_middle",
        "_recent",
        "_running_of",
        "_settled",
        "_surviving",
        "_suspects",
        "_workers",
        "known",
    )

    def __init__(
        self,
        ages: Callable[[float], Iterable[tuple[float, str]]] = lambda _: (),
        suspects: Container[str] = (),
    ) -> None:
        self._ages = ages
        self._suspects = suspects
        self._level = 0.0
        self._settled = False
        self._middle = 0.0
        self._recent: list[tuple[float, bool, str]] = []
        self._workers: set[str] = set()
        self._added = 0
        self.known = 0
        self._ended_at: list[float] = []
        self._surviving: list[float] = [1.0]
        self._ended_of: dict[str, list[float]] = {}
        self._running_of: dict[str, list[float]] = {}

    def log_ratio(self, seconds: float) -> float:
        """Return the natural logarithm of a duration divided by the typical one."""
        return math.log(seconds) - self._level - self._middle

    @property
    def typical_seconds(self) -> float:
        """The median duration now; 1.0 before there is any."""
        return math.exp(self._level + self._middle)

    def longer_share(self, worker: str, seconds: float, *, now: float) -> float:
        """Return the share of the attempts of other workers that take ``seconds`` or more, never quite 0.

        Under the hypothesis that all workers are alike it is at most u with a probability of about u, whatever the
        distribution of durations; 1.0 before there are any.
        """
        height = math.log(seconds) - self._level - _MARGIN
        if self._ended_at and height > self._ended_at[-1] and self._added >= self.known / 64:
            self._estimate(now)  # What ran at the last one has ended meanwhile, perhaps.
        return self._share(worker, height)

    def add(self, worker: str, seconds: float, *, now: float, ended: bool = True) -> None:
        """Add a duration; of an attempt that was stopped (``ended`` is False), it is known to be longer."""
        height = math.log(seconds) - self._level
        self._workers.add(worker)
        self._recent.append((height, ended, worker))
        self._added += 1
        due = self._added >= max(4, min(len(self._workers), 64), self.known / 8)
        if (ended or height > 0) and self._moved(height):
            due = True
        if due:
            self._estimate(now)

    def _moved(self, height: float) -> bool:
        """Have the level follow a duration; return whether all others were moved with it.

        That is so once, when the first ones, of which the shortest come first, are all there.
        """
        memory = max(_LEAST_LEVEL, 2 * len(self._workers))
        if self._settled:
            self._level += min(max(height, -_MOST_STEP), _MOST_STEP) / memory
        elif len(self._recent) >= memory:
            self._settled = True
            middle = sum(each[0] for each in self._recent) / len(self._recent)
            self._level += middle
            self._recent = [(at - middle, ended, worker) for at, ended, worker in self._recent]
            return True
        return False

    def _share(self, worker: str, height: float) -> float:
        mine, running = self._ended_of.get(worker, ()), self._running_of.get(worker, ())
        beyond = self._surviving[bisect_left(self._ended_at, height)] * self.known
        beyond -= len(mine) - bisect_left(mine, height)
        # Its own that run are among those that may take as long, if they have run for longer than all that have ended.
        reached = min(height, self._ended_at[-1]) if self._ended_at else height
        beyond -= sum(age >= reached for age in running)
        others = self.known - len(mine) - len(running)
        return min(1.0, (max(0.0, beyond) + 1.0) / (others + 1.0))

    def _estimate(self, now: float) -> None:
        self._added = 0
        kept = min(max(_KEPT_EACH * len(self._workers), LEAST_KEPT), MOST_KEPT)
        self._recent = self._recent[-kept:]
        recent = [each for each in self._recent if each[2] not in self._suspects]
        # Younger attempts than this say nothing about the long ones that matter.
        least = math.exp(self._level - 1.0)
        ages: list[float] = []
        self._running_of = {}
        for age, worker in islice(self._ages(now), MOST_KEPT):
            if age < least:
                break
            ages.append(math.log(age) - self._level)
            self._running_of.setdefault(worker, []).append(ages[-1])
        ended = np.array([each[0] for each in recent if each[1]])
        every = np.array([*(each[0] for each in recent), *ages])
        times, shares = surviving(ended, every)
        self.known = len(every)
        self._ended_at = times.tolist()
        self._surviving = [1.0, *shares.tolist()]
        if self._ended_at:
            # Where the share that survives falls to a half; the longest, where more of them still run.
            half = int(np.searchsorted(-np.array(self._surviving), -0.5))
            self._middle = self._ended_at[min(max(half, 1), len(self._ended_at)) - 1]
        self._ended_of = {}
        for height, has_ended, worker in recent:
            if has_ended:
                self._ended_of.setdefault(worker, []).append(height)
        for mine in self._ended_of.values():
            mine.sort()
