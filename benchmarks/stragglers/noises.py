"""Slowness of workers, hosts and times for the benchmark of straggler rules: an attempt elsewhere, or later, is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asyncexec.simulation import SimulatedAttempt

_THIRD_SECONDS = 35.0
"""About a third of a run of 1,000 tasks on 100 slots."""


def chosen(attempt: SimulatedAttempt, share: float, *, of: int) -> bool:
    """Return whether a worker or host, by its number, is among a share of all that the seed chooses."""
    return bool(np.random.default_rng((attempt.seed, 11, of)).random() < share)


def slow_later(attempt: SimulatedAttempt) -> float:
    """5% of the workers are five times as slow from a third of the way on."""
    late = attempt.at + attempt.seconds > _THIRD_SECONDS
    if not late or not chosen(attempt, 0.05, of=attempt.worker):
        return attempt.seconds
    before = min(attempt.seconds, max(0.0, _THIRD_SECONDS - attempt.at))
    return before + 5.0 * (attempt.seconds - before)


@dataclass(frozen=True)
class Pause:
    """A share of the workers, or groups of them, that stop for a while together.

    Attributes
    ----------
    group : int
        So many workers, by their numbers, stop together: those of a host, or those that were started together. Their
        names do not say so.
    """

    share: float
    begin: float
    seconds: float
    group: int = 1

    def __call__(self, attempt: SimulatedAttempt) -> float:
        end = self.begin + self.seconds
        runs_into_it = attempt.at < end and attempt.at + attempt.seconds > self.begin
        if not runs_into_it or not chosen(attempt, self.share, of=attempt.worker // self.group):
            return attempt.seconds
        return attempt.seconds + end - max(attempt.at, self.begin)


@dataclass(frozen=True)
class ColdStart:
    """The first attempt that a worker runs in the first seconds takes longer, by up to ``seconds``, on some workers."""

    share: float
    seconds: float
    until: float = 1.0

    def __call__(self, attempt: SimulatedAttempt) -> float:
        if attempt.at > self.until or not chosen(attempt, self.share, of=attempt.worker):
            return attempt.seconds
        wait = np.random.default_rng((attempt.seed, 12, attempt.worker)).exponential(self.seconds)
        return attempt.seconds + float(wait)


@dataclass(frozen=True)
class SlowGroup:
    """A share of the groups of workers with consecutive numbers takes ``factor`` times as long for what begins late."""

    share: float
    factor: float
    group: int
    begin: float = 0.0

    def __call__(self, attempt: SimulatedAttempt) -> float:
        slow = attempt.at >= self.begin
        slow = slow and chosen(attempt, self.share, of=attempt.worker // self.group)
        return attempt.seconds * (self.factor if slow else 1.0)


@dataclass(frozen=True)
class Outage:
    """Whatever begins between two times, on any worker, waits for a while with some chance: storage is throttled."""

    begin: float
    end: float
    share: float
    seconds: float

    def __call__(self, attempt: SimulatedAttempt) -> float:
        if not self.begin <= attempt.at < self.end or attempt.random.random() >= self.share:
            return attempt.seconds
        return attempt.seconds + float(attempt.random.exponential(self.seconds))
