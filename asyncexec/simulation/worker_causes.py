"""Causes that lie with the workers of a recorded run: slow ones, and first attempts on each that took longer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from asyncexec.simulation.durations import Empirical
from asyncexec.simulation.rank_tests import greater, ranks
from asyncexec.simulation.recorded import Attempts

if TYPE_CHECKING:
    from asyncexec.simulation.recorded import RecordedRun

# Stages with fewer attempts, or shorter ones, say nothing about workers.
_LEAST_ATTEMPTS = 4
_LEAST_SECONDS = 1e-3

# What has a smaller effect is left to chance: first attempts, and all on one worker.
_WARM_FACTOR = 1.3
_SLOW_FACTOR = 1.2
# A single worker's first attempt is told from a slow one by this.
_ALONE_FACTOR = 3.0
_ENOUGH_ALONE = 20

_FIRSTS_Z = 2.3
_SPREAD_Z = 4.0
_LEAST_CHANCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkerCauses:
    """Causes of differences of durations that lie with workers."""

    slowness: Mapping[str, float] = field(default_factory=dict[str, float])
    """The factor by which everything took longer on each worker, where they differ."""

    warm_up: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """What the first attempt on each worker took longer, in seconds, where it did."""

    firsts: frozenset[tuple[str, float]] = frozenset()
    """Those attempts, by worker and start."""

    def factor(self, attempts: Attempts) -> NDArray[np.float64]:
        """Return the factor of the worker of each attempt, shape (attempts,)."""
        return np.array([self.slowness.get(worker, 1.0) for worker in attempts.worker.tolist()])

    def is_first(self, attempts: Attempts) -> NDArray[np.bool_]:
        """Return whether each is a first attempt that took longer for it, shape (attempts,)."""
        pairs = zip(attempts.worker.tolist(), attempts.started.tolist(), strict=True)
        return np.array([pair in self.firsts for pair in pairs], dtype=np.bool_)

    def as_cluster(self) -> dict[str, object]:
        """Return them as attributes of a :class:`Cluster`."""
        # Not below a thousandth of a second, as durations are above 0.
        extra = np.maximum(self.warm_up, 1e-3)
        return {
            "slowness": tuple(self.slowness.values()) or None,
            "warm_up": Empirical(extra) if len(extra) else None,
        }


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Attempts that succeeded, of all stages that say something; arrays of shape (attempts,)."""

    attempts: Attempts
    extra: NDArray[np.float64]
    """Seconds beyond the median of the stage."""
    ratio: NDArray[np.float64]
    """Logarithm of the seconds divided by the median."""
    rank: NDArray[np.float64]
    """Rank within the stage, from 0 to 1."""
    nth: NDArray[np.int64]
    """Which attempt it was on its worker, from 0."""


def worker_causes(run: RecordedRun) -> WorkerCauses:
    """Return what workers did to the durations of ``run``, as far as ranks show that it was not chance."""
    seen = _seen(run)
    if seen is None:
        return WorkerCauses()
    worker, first = seen.attempts.worker, seen.nth == 0
    warms = _warms_up(seen, first)
    usual = ~first if warms else np.ones_like(first)
    slowness = _slowness(worker[usual], seen.ratio[usual], seen.rank[usual])
    if len(slowness) > run.slots:
        # Some took the places of others; those that were there longest stand for all.
        busy = {name: float(seen.attempts.seconds[worker == name].sum()) for name in slowness}
        longest = sorted(busy, key=busy.__getitem__)[-run.slots :]
        slowness = {name: slowness[name] for name in longest}
    if not warms:
        return WorkerCauses(slowness=slowness)
    begun = seen.attempts.started[first].tolist()
    return WorkerCauses(
        slowness=slowness,
        warm_up=np.maximum(seen.extra[first], 0.0),
        firsts=frozenset(zip(worker[first].tolist(), begun, strict=True)),
    )


def _seen(run: RecordedRun) -> _Seen | None:
    parts: list[Attempts] = []
    medians: list[NDArray[np.float64]] = []
    of_stages: list[NDArray[np.float64]] = []
    for stage in run.stages:
        attempts = stage.attempts.where(stage.attempts.succeeded)
        median = float(np.median(attempts.seconds)) if len(attempts) else 0.0
        if len(attempts) >= _LEAST_ATTEMPTS and median >= _LEAST_SECONDS:
            parts.append(attempts)
            medians.append(np.full(len(attempts), median))
            of_stages.append((ranks(attempts.seconds) + 0.5) / len(attempts))
    if not parts:
        return None
    every, median_of = Attempts.all_of(parts), np.concatenate(medians)
    return _Seen(
        attempts=every,
        extra=every.seconds - median_of,
        ratio=np.log(every.seconds / median_of),
        rank=np.concatenate(of_stages),
        nth=_nth(every),
    )


def _nth(attempts: Attempts) -> NDArray[np.int64]:
    order = np.lexsort((attempts.started, attempts.worker))
    worker = attempts.worker[order]
    places = np.arange(len(order))
    begins = np.append(True, worker[1:] != worker[:-1])
    nth = np.empty_like(places)
    nth[order] = places - np.maximum.accumulate(np.where(begins, places, 0))
    return nth


def _warms_up(seen: _Seen, first: NDArray[np.bool_]) -> bool:
    """Return whether the first attempts on workers took longer, also than the second ones, which began soon after."""
    second = seen.nth == 1
    if not second.any():
        return False
    more = float(np.median(seen.ratio[first]))
    if more - max(0.0, float(np.median(seen.ratio[second]))) < math.log(_WARM_FACTOR):
        return False
    if first.sum() == 1:
        longest = bool(seen.ratio[first][0] >= seen.ratio.max())
        return longest and more > math.log(_ALONE_FACTOR) and len(first) >= _ENOUGH_ALONE
    return greater(ranks(seen.rank), first) > _FIRSTS_Z


def _slowness(
    worker: NDArray[np.str_], ratio: NDArray[np.float64], rank: NDArray[np.float64]
) -> dict[str, float]:
    """Return the factor of each worker; nothing where all seem alike."""
    workers = [str(name) for name in np.unique(worker)]
    if len(workers) < 2:
        return {}
    rank = ranks(rank)
    found = dict.fromkeys(workers, 1.0)
    for name in workers:
        own = worker == name
        factor = math.exp(float(np.median(ratio[own]) - np.median(ratio[~own])))
        if factor > _SLOW_FACTOR and _chance(rank, own) * len(workers) < _LEAST_CHANCE:
            found[name] = factor
    left = ratio - np.log([found[name] for name in worker.tolist()])
    if _spread(ranks(left), worker, workers) > _SPREAD_Z:
        for name in workers:
            found[name] *= math.exp(float(np.median(left[worker == name])))
    return found if any(abs(math.log(factor)) > 1e-9 for factor in found.values()) else {}


def _chance(rank: NDArray[np.float64], own: NDArray[np.bool_]) -> float:
    """Return the chance that one of equal workers has attempts so long as these."""
    count, among = len(rank), int(own.sum())
    # All are among the longest so many: exact where there are few, for which the normal distribution is not.
    above = int((rank >= rank[own].min()).sum())
    exact = math.exp(_log_choices(above, among) - _log_choices(count, among))
    normal = 0.5 * math.erfc(greater(rank, own) / math.sqrt(2.0))
    return 2.0 * min(exact, normal)


def _spread(rank: NDArray[np.float64], worker: NDArray[np.str_], workers: list[str]) -> float:
    """Return whether workers differ, as a z-score (W. Kruskal, W. Wallis, 1952; its chi-square taken for normal)."""
    count, middle = len(rank), (len(rank) - 1) / 2.0
    of_each = [rank[worker == name] for name in workers]
    between = sum(len(own) * (float(own.mean()) - middle) ** 2 for own in of_each)
    free = len(workers) - 1
    return (12.0 * between / (count * (count + 1)) - free) / math.sqrt(2.0 * free)


def _log_choices(count: int, among: int) -> float:
    """Return the logarithm of the number of ways to choose ``among`` of ``count``."""
    return math.lgamma(count + 1) - math.lgamma(among + 1) - math.lgamma(count - among + 1)
