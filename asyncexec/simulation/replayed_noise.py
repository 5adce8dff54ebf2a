"""Measured noise, replayed: slow tasks stay slow in every attempt, slow attempts are drawn anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from asyncexec.simulation.durations import ByTask, Durations
from asyncexec.simulation.noise import Noise
from asyncexec.simulation.noise_function import SimulatedAttempt

_QUANTILES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplayedNoise:
    """Durations of the attempts of a stage, as multiples of what was expected of their tasks."""

    own: NDArray[np.float64]
    """By task, shape (tasks,); NaN where unknown."""

    pool: NDArray[np.float64]
    """Of first attempts, shape (attempts,), as if none had been stopped."""

    verdicts: Mapping[int, bool]
    """Whether tasks are slow by nature, where that is known."""

    slow_factor: float

    def applied(
        self, durations: Durations, noise: Noise, *, by_nature: float
    ) -> tuple[Durations, Noise]:
        """Return durations and noise in which so large a share of what is slow and undecided is the tasks' own."""
        decided_quick = not all(self.verdicts.values())
        if by_nature >= 1.0 and not decided_quick and isinstance(durations, ByTask):
            # Every attempt takes what its task took: nothing is drawn.
            return ByTask(durations.of(0, len(self.own)) * self._known_own()), noise
        return durations, replace(noise, function=_Replay(self, by_nature))

    def _known_own(self) -> NDArray[np.float64]:
        """Return multiples by task; unknown ones take the place of ordinary ones."""
        return np.where(np.isfinite(self.own), self.own, float(np.median(self.pool)))

    def drawn_from(self, own_is_natural: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return multiples from which attempts of all other tasks are drawn, so that as many are slow as were."""
        slow = self.pool > self.slow_factor
        tail, body = np.sort(self.pool[slow]), np.sort(self.pool[~slow])
        if not len(tail) or not len(body):
            return self.pool
        natural = own_is_natural.mean()
        slow_by_nature = float((own_is_natural & (self.own > self.slow_factor)).mean())
        share = max(0.0, float(slow.mean()) - slow_by_nature) / max(1.0 - float(natural), 1e-9)
        count = round(min(share, 1.0) * _QUANTILES)
        return np.concatenate([_spaced(body, _QUANTILES - count), _spaced(tail, count)])


def _spaced(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return ``count`` of sorted values, evenly by rank."""
    places = ((np.arange(count) + 0.5) * len(values) / max(count, 1)).astype(np.int64)
    return values[places]


@dataclass(slots=True, eq=False)
class _Replay:
    """A noise function; which undecided tasks are slow by nature depends on the seed."""

    measured: ReplayedNoise
    by_nature: float
    _of_seeds: dict[int, tuple[list[bool], list[float], list[float]]] = field(default_factory=dict)

    def __call__(self, attempt: SimulatedAttempt) -> float:
        natural, own, pool = self._of_seeds.get(attempt.seed) or self._of(attempt.seed)
        task = attempt.task % len(own)
        if natural[task]:
            return attempt.seconds * own[task]
        return attempt.seconds * pool[int(attempt.random.random() * len(pool))]

    def _of(self, seed: int) -> tuple[list[bool], list[float], list[float]]:
        measured = self.measured
        random = np.random.default_rng((seed, 7, len(measured.own)))
        natural = random.random(len(measured.own)) < self.by_nature
        for task, slow in measured.verdicts.items():
            natural[task] = slow
        natural &= np.isfinite(measured.own)
        found = natural.tolist(), measured.own.tolist(), measured.drawn_from(natural).tolist()
        self._of_seeds[seed] = found
        return found

    def __repr__(self) -> str:
        return f"replayed noise, {self.by_nature:.0%} by nature"
