"""The kinds of what makes tasks slow, in four families; rules are tuned on some kinds and judged by the others.

by nature
    A task is long because it has more to do: every attempt of it takes the same time, so that no backup can help.
attempts
    An attempt is slow by chance: another one draws anew.
workers and times
    A worker or a host is slow, from some time on or for a while; an attempt elsewhere, or later, is not.
none
    Nothing is slow.

A kind belongs to the judged ones if it says so here, where it was written down before anything was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asyncexec.simulation import (
    Constant,
    Durations,
    Lognormal,
    Mixture,
    Noise,
    NoiseFunction,
    Pareto,
    SimulatedAttempt,
)
from asyncexec.simulation.durations import Seconds

SECONDS = 10.0
QUIET = Noise()
EVEN = Lognormal(mean_seconds=SECONDS, sigma=0.1)
NATURE, ATTEMPTS, WORKERS, NONE = "by nature", "attempts", "workers and times", "none"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of slowness."""

    family: str
    judged: bool
    noise: Noise | NoiseFunction = QUIET
    durations: Durations = EVEN
    slow_workers: float = 0.0
    cold_start: float = 0.0


# -- durations by nature


@dataclass(frozen=True)
class Weibull:
    """Weibull with a mean of ``SECONDS``; a shape below 1 has a heavy tail."""

    shape: float

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        drawn = random.weibull(self.shape, count)
        return np.maximum(drawn, 1e-3) * (SECONDS / 2)


@dataclass(frozen=True)
class Growing:
    """From once to ``factor`` times as long along the ``tasks`` of a stage."""

    factor: float
    tasks: int = 1000  # A case replaces it by its own.

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        place = np.arange(count) % self.tasks / self.tasks
        return EVEN.sample(random, count) * (1.0 + (self.factor - 1.0) * place)


@dataclass(frozen=True)
class Periodic:
    """Every ``period``-th task takes ``factor`` times as long."""

    factor: float
    period: int

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        slow = np.arange(count) % self.period == self.period - 1
        return EVEN.sample(random, count) * np.where(slow, self.factor, 1.0)


def _shares(*parts: tuple[float, float]) -> Mixture:
    return Mixture(
        tuple(
            (share, Lognormal(mean_seconds=factor * SECONDS, sigma=0.1)) for share, factor in parts
        )
    )


# -- slowness of workers, hosts and times

_THIRD_SECONDS = 35.0
"""About a third of a run of 1,000 tasks on 100 slots."""


def _chosen(attempt: SimulatedAttempt, share: float, *, of: int) -> bool:
    """Return whether a worker or host, by its number, is among a share of all that the seed chooses."""
    return bool(np.random.default_rng((attempt.seed, 11, of)).random() < share)


def slow_later(attempt: SimulatedAttempt) -> float:
    """5% of the workers are five times as slow from a third of the way on."""
    late = attempt.at + attempt.seconds > _THIRD_SECONDS
    if not late or not _chosen(attempt, 0.05, of=attempt.worker):
        return attempt.seconds
    before = min(attempt.seconds, max(0.0, _THIRD_SECONDS - attempt.at))
    return before + 5.0 * (attempt.seconds - before)


@dataclass(frozen=True)
class Pause:
    """A share of the workers, or hosts of eight, that stop for a while together."""

    share: float
    begin: float
    seconds: float
    hosts: bool = False

    def __call__(self, attempt: SimulatedAttempt) -> float:
        place = attempt.worker // 8 if self.hosts else attempt.worker
        end = self.begin + self.seconds
        runs_into_it = attempt.at < end and attempt.at + attempt.seconds > self.begin
        if not runs_into_it or not _chosen(attempt, self.share, of=place):
            return attempt.seconds
        return attempt.seconds + end - max(attempt.at, self.begin)


@dataclass(frozen=True)
class ColdStart:
    """The first attempt that a worker runs in the first seconds takes longer, by up to ``seconds``, on some workers."""

    share: float
    seconds: float
    until: float = 1.0

    def __call__(self, attempt: SimulatedAttempt) -> float:
        if attempt.at > self.until or not _chosen(attempt, self.share, of=attempt.worker):
            return attempt.seconds
        wait = np.random.default_rng((attempt.seed, 12, attempt.worker)).exponential(self.seconds)
        return attempt.seconds + float(wait)


def _tuned(family: str, **given: object) -> Kind:
    return Kind(family=family, judged=False, **given)  # type: ignore[arg-type]


def _judged(family: str, **given: object) -> Kind:
    return Kind(family=family, judged=True, **given)  # type: ignore[arg-type]


KINDS = {
    "none": _tuned(NONE, durations=Constant(SECONDS)),
    "lognormal .15 by nature": _judged(NONE, durations=Lognormal(mean_seconds=SECONDS, sigma=0.15)),
    "Weibull .7 by nature": _tuned(NATURE, durations=Weibull(0.7)),
    "bimodal by nature, 10% 3x": _tuned(NATURE, durations=_shares((0.9, 1), (0.1, 3))),
    "growing 3x": _tuned(NATURE, durations=Growing(3.0)),
    "lognormal 1 by nature": _tuned(NATURE, durations=Lognormal(mean_seconds=SECONDS, sigma=1.0)),
    "lognormal .6 by nature": _judged(NATURE, durations=Lognormal(mean_seconds=SECONDS, sigma=0.6)),
    "bimodal by nature, 30% 5x": _judged(NATURE, durations=_shares((0.7, 1), (0.3, 5))),
    "trimodal by nature": _judged(NATURE, durations=_shares((0.8, 1), (0.15, 2), (0.05, 8))),
    "Pareto 1.5 by nature": _judged(NATURE, durations=Pareto(least_seconds=SECONDS, exponent=1.5)),
    "periodic, each 10th 4x": _judged(NATURE, durations=Periodic(4.0, 10)),
    "growing 6x": _judged(NATURE, durations=Growing(6.0)),
    "2% slow 2-10x": _tuned(ATTEMPTS, noise=Noise(slow_share=0.02)),
    "lognormal .6": _tuned(ATTEMPTS, noise=Noise(factor=Lognormal(sigma=0.6))),
    "Pareto 1.5": _tuned(ATTEMPTS, noise=Noise(factor=Pareto(exponent=1.5))),
    "0.2% hang": _tuned(ATTEMPTS, noise=Noise(hang_share=0.002)),
    "2% slow, 10% 3x by nature": _tuned(
        ATTEMPTS, noise=Noise(slow_share=0.02), durations=_shares((0.9, 1), (0.1, 3))
    ),
    "lognormal .15": _judged(NONE, noise=Noise(factor=Lognormal(sigma=0.15))),
    "10% slow 2-5x": _judged(ATTEMPTS, noise=Noise(slow_share=0.1, slow_factors=(2.0, 5.0))),
    "Pareto 1.1": _judged(ATTEMPTS, noise=Noise(factor=Pareto(exponent=1.1))),
    "Pareto 2": _judged(ATTEMPTS, noise=Noise(factor=Pareto(exponent=2.0))),
    "5% wait for storage": _judged(ATTEMPTS, noise=Noise(storage_share=0.05, storage_seconds=40.0)),
    "1% slow, lognormal .6 by nature": _judged(
        ATTEMPTS,
        noise=Noise(slow_share=0.01, slow_factors=(10.0, 20.0)),
        durations=Lognormal(mean_seconds=SECONDS, sigma=0.6),
    ),
    "2% slow workers": _tuned(WORKERS, slow_workers=0.02),
    "10% of workers pause": _tuned(WORKERS, noise=Pause(0.1, 5.0, 100.0)),
    "cold starts, then 2% slow": _tuned(WORKERS, cold_start=15.0, noise=Noise(slow_share=0.02)),
    "5% of workers slow later": _judged(WORKERS, noise=slow_later),
    "20% of workers pause": _judged(WORKERS, noise=Pause(0.2, 8.0, 50.0)),
    "10% of hosts stop": _judged(WORKERS, noise=Pause(0.1, 12.0, 300.0, hosts=True)),
    "cold starts inside attempts": _judged(WORKERS, noise=ColdStart(0.3, 40.0)),
}
