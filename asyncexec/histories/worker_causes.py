"""Causes that lie with the workers of a recorded run: slow ones, and first attempts on each that took longer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from asyncexec.histories.recorded import Attempts, RecordedRun, Seconds
from asyncexec.histories.task_causes import ranks

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

    warm_up: Seconds = field(default_factory=lambda: np.zeros(0))
    """What the first attempt on each worker took longer, in seconds, where it did."""

    firsts: frozenset[tuple[str, float]] = frozenset()
    """Those attempts, by worker and start."""

    def factor(self, attempts: Attempts) -> Seconds:
        """Return the factor of the worker of each attempt, shape (attempts,)."""
        return np.array([self.slowness.get(worker, 1.0) for worker in attempts.worker.tolist()])

    def is_first(self, attempts: Attempts) -> NDArray[np.bool_]:
        """Return whether each is a first attempt that took longer for it, shape (attempts,)."""
        pairs = zip(attempts.worker.tolist(), attempts.started.tolist(), strict=True)
        return np.array([pair in self.firsts for pair in pairs], dtype=np.bool_)


def worker_causes(run: RecordedRun) -> WorkerCauses:
    """Return what workers did to the durations of ``run``, as far as ranks show that it was not chance."""
    parts = [stage.attempts.where(stage.attempts.succeeded) for stage in run.stages]
    parts = [part for part in parts if len(part) >= _LEAST_ATTEMPTS]
    parts = [part for part in parts if np.median(part.seconds) >= _LEAST_SECONDS]
    if not parts:
        return WorkerCauses()
    every = Attempts.all_of(parts)
    # Stages differ; what is compared between workers is relative to the stage.
    median = np.concatenate([np.full(len(part), np.median(part.seconds)) for part in parts])
    rank = np.concatenate([(ranks(part.seconds) + 0.5) / len(part) for part in parts])
    ratio = np.log(every.seconds / median)
    worker, before = every.worker, every.before()
    first = before < 0
    warms = _warms_up(ratio, rank, first, ~first & first[before])
    usual = ~first if warms else np.ones_like(first)
    slowness = _slowness(worker[usual], ratio[usual], rank[usual])
    if len(slowness) > run.slots:
        # Some took the places of others; those that were there longest stand for all.
        busy = {name: float(every.seconds[worker == name].sum()) for name in slowness}
        longest = sorted(busy, key=busy.__getitem__)[-run.slots :]
        slowness = {name: slowness[name] for name in longest}
    if not warms:
        return WorkerCauses(slowness=slowness)
    begun = every.started[first].tolist()
    return WorkerCauses(
        slowness=slowness,
        warm_up=np.maximum((every.seconds - median)[first], 0.0),
        firsts=frozenset(zip(worker[first].tolist(), begun, strict=True)),
    )


def _warms_up(
    ratio: Seconds, rank: Seconds, first: NDArray[np.bool_], second: NDArray[np.bool_]
) -> bool:
    """Return whether the first attempts on workers took longer, also than the second ones, which began soon after."""
    if not second.any():
        return False
    more = float(np.median(ratio[first]))
    if more - max(0.0, float(np.median(ratio[second]))) < math.log(_WARM_FACTOR):
        return False
    if first.sum() == 1:
        longest = bool(ratio[first][0] >= ratio.max())
        return longest and more > math.log(_ALONE_FACTOR) and len(first) >= _ENOUGH_ALONE
    return _greater(ranks(rank), first) > _FIRSTS_Z


def _slowness(worker: NDArray[np.str_], ratio: Seconds, rank: Seconds) -> dict[str, float]:
    """Return the factor of each worker; nothing where all seem alike."""
    own = {str(name): worker == name for name in np.unique(worker)}
    if len(own) < 2:
        return {}
    rank = ranks(rank)
    found = dict.fromkeys(own, 1.0)
    for name, on_it in own.items():
        factor = math.exp(float(np.median(ratio[on_it]) - np.median(ratio[~on_it])))
        if factor > _SLOW_FACTOR and _chance(rank, on_it) * len(own) < _LEAST_CHANCE:
            found[name] = factor
    left = ratio - np.log([found[name] for name in worker.tolist()])
    if _spread(ranks(left), list(own.values())) > _SPREAD_Z:
        for name, on_it in own.items():
            found[name] *= math.exp(float(np.median(left[on_it])))
    return found if any(abs(math.log(factor)) > 1e-9 for factor in found.values()) else {}


def _greater(rank: Seconds, chosen: NDArray[np.bool_]) -> float:
    """Return whether the chosen ones are greater than the others, as a z-score (H. Mann, D. Whitney, 1947)."""
    count, among = len(rank), int(chosen.sum())
    others = count - among
    if not among or not others:
        return 0.0
    excess = float(rank[chosen].sum()) - among * (count - 1) / 2.0
    return excess / math.sqrt(among * others * (count + 1) / 12.0)


def _chance(rank: Seconds, own: NDArray[np.bool_]) -> float:
    """Return the chance that one of equal workers has attempts so long as these."""
    count, among = len(rank), int(own.sum())
    # All are among the longest so many: exact where there are few, for which the normal distribution is not.
    above = int((rank >= rank[own].min()).sum())
    ways = np.arange(among)
    exact = float(np.prod((above - ways) / (count - ways)))
    normal = 0.5 * math.erfc(_greater(rank, own) / math.sqrt(2.0))
    return 2.0 * min(exact, normal)


def _spread(rank: Seconds, own: list[NDArray[np.bool_]]) -> float:
    """Return whether workers differ, as a z-score (W. Kruskal, W. Wallis, 1952; its chi-square taken for normal)."""
    count, middle, free = len(rank), (len(rank) - 1) / 2.0, len(own) - 1
    between = sum(len(rank[each]) * (float(rank[each].mean()) - middle) ** 2 for each in own)
    return (12.0 * between / (count * (count + 1)) - free) / math.sqrt(2.0 * free)
