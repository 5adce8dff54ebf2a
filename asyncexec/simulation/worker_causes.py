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
    """Attempts that succeeded, of all stages that say something."""

    worker: NDArray[np.str_]
    started: NDArray[np.float64]
    seconds: NDArray[np.float64]
    extra: NDArray[np.float64]
    """Seconds beyond the median of the stage."""
    ratio: NDArray[np.float64]
    """Logarithm of the seconds divided by the median."""
    rank: NDArray[np.float64]
    """Rank within the stage, from 0 to 1."""

    def where(self, chosen: NDArray[np.bool_]) -> _Seen:
        return _Seen(*(getattr(self, name)[chosen] for name in self.__slots__))


def worker_causes(run: RecordedRun) -> WorkerCauses:
    """Return what workers did to the durations of ``run``, as far as ranks show that it was not chance."""
    seen = _seen(run)
    if seen is None:
        return WorkerCauses()
    first = _firsts(seen)
    warms = _warms_up(seen, first)
    slowness = _slowness(seen.where(~first) if warms else seen)
    if (
        len(slowness) > run.slots
    ):  # Some took the places of others; those that were there longest stand for all.
        busy = {name: float(seen.seconds[seen.worker == name].sum()) for name in slowness}
        slowness = {
            name: slowness[name] for name in sorted(busy, key=busy.__getitem__)[-run.slots :]
        }
    return WorkerCauses(
        slowness=slowness,
        warm_up=np.maximum(seen.extra[first], 0.0) if warms else np.zeros(0),
        firsts=frozenset(
            zip(seen.worker[first].tolist(), seen.started[first].tolist(), strict=True)
        )
        if warms
        else frozenset(),
    )


def _seen(run: RecordedRun) -> _Seen | None:
    parts: list[_Seen] = []
    for stage in run.stages:
        attempts = stage.attempts.where(stage.attempts.succeeded)
        if len(attempts) < _LEAST_ATTEMPTS:
            continue
        seconds, median = attempts.seconds, float(np.median(attempts.seconds))
        if median >= _LEAST_SECONDS:
            rank = (ranks(seconds) + 0.5) / len(seconds)
            ratio = np.log(seconds / median)
            parts.append(
                _Seen(attempts.worker, attempts.started, seconds, seconds - median, ratio, rank)
            )
    if not parts:
        return None
    return _Seen(*(np.concatenate([getattr(p, n) for p in parts]) for n in _Seen.__slots__))


def _firsts(seen: _Seen) -> NDArray[np.bool_]:
    """Return which attempts were the first on their workers."""
    return _nth(seen, 0)


def _nth(seen: _Seen, number: int) -> NDArray[np.bool_]:
    chosen = np.zeros(len(seen.worker), dtype=np.bool_)
    for worker in np.unique(seen.worker):
        places = np.flatnonzero(seen.worker == worker)
        if len(places) > number:
            chosen[places[np.argsort(seen.started[places], kind="stable")[number]]] = True
    return chosen


def _warms_up(seen: _Seen, first: NDArray[np.bool_]) -> bool:
    """Return whether the first attempts on workers took longer, also than the second ones, which began soon after."""
    second = _nth(seen, 1)
    if not second.any():
        return False
    more = float(np.median(seen.ratio[first]))
    if more - max(0.0, float(np.median(seen.ratio[second]))) < math.log(_WARM_FACTOR):
        return False
    if first.sum() == 1:
        longest = bool(seen.ratio[first][0] >= seen.ratio.max())
        return longest and more > math.log(_ALONE_FACTOR) and len(first) >= _ENOUGH_ALONE
    return greater(ranks(seen.rank), first) > _FIRSTS_Z


def _slowness(seen: _Seen) -> dict[str, float]:
    """Return the factor of each worker; nothing where all seem alike."""
    workers = [str(name) for name in np.unique(seen.worker)]
    if len(workers) < 2:
        return {}
    rank = ranks(seen.rank)
    found = dict.fromkeys(workers, 1.0)
    for name in workers:
        own = seen.worker == name
        rest = float(np.median(seen.ratio[~own]))
        factor = math.exp(float(np.median(seen.ratio[own])) - rest)
        if factor > _SLOW_FACTOR and _chance(rank, own) * len(workers) < _LEAST_CHANCE:
            found[name] = factor
    left = seen.ratio - np.log([found[name] for name in seen.worker.tolist()])
    if _spread(ranks(left), seen.worker, workers) > _SPREAD_Z:
        for name in workers:
            found[name] *= math.exp(float(np.median(left[seen.worker == name])))
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
