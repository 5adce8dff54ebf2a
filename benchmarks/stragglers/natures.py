"""Durations by nature for the benchmark of straggler rules: what each task takes, whatever its attempt meets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from asyncexec.histories.recorded import Seconds
from asyncexec.plan.box import Index
from asyncexec.simulation import Durations, Lognormal, Mixture

SECONDS = 10.0
EVEN = Lognormal(mean_seconds=SECONDS, sigma=0.1)
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Weibull:
    """Weibull with a mean of about ``SECONDS``; a shape below 1 has a heavy tail."""

    shape: float

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        drawn = random.weibull(self.shape, count)
        return np.maximum(drawn, 1e-3) * (SECONDS / 2)


@dataclass(frozen=True)
class Growing:
    """From once to ``factor`` times as long along the ``tasks`` of a stage; a factor below 1 shrinks."""

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


@dataclass(frozen=True)
class Region:
    """A share of the tasks, one after another in the middle of a stage, takes ``factor`` times as long."""

    factor: float
    share: float
    tasks: int = 1000  # A case replaces it by its own.

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        place = np.arange(count) % self.tasks / self.tasks
        inside = np.abs(place - 0.5) <= self.share / 2
        return EVEN.sample(random, count) * np.where(inside, self.factor, 1.0)


@dataclass(frozen=True)
class Gamma:
    """Gamma with a mean of ``SECONDS``, a tenth of which every task takes at least."""

    shape: float

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        drawn = random.gamma(self.shape, 1.0 / self.shape, count)
        return SECONDS * (0.1 + 0.9 * drawn)


@dataclass(frozen=True)
class Uniform:
    """Uniform from ``least`` to ``most`` times ``SECONDS``."""

    least: float
    most: float

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        return SECONDS * random.uniform(self.least, self.most, count)


@dataclass(frozen=True, eq=False)
class TaskBytes:
    """The bytes that the tasks of a stage read: known from the plan, and the same whatever the seed.

    Attributes
    ----------
    spread : Durations
        Where they are drawn from, relative to each other.
    """

    spread: Durations
    relative: Seconds = field(init=False)

    def __post_init__(self) -> None:
        drawn = self.spread.sample(np.random.default_rng(5), 10_000)
        object.__setattr__(self, "relative", drawn / drawn.mean())

    def nbytes(self, index: Index) -> int:
        """Return the bytes that a task reads, as the IO of a real stage does."""
        return max(1, int(self.relative[index[0] % len(self.relative)] * _MEGABYTE))


@dataclass(frozen=True)
class ByBytes:
    """As long as what a task reads, but for a fixed part; every stage of a plan reads alike."""

    sizes: TaskBytes
    fixed: float = 0.0
    tasks: int = 1000  # A case replaces it by its own.

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        sizes = self.sizes.relative[np.arange(count) % self.tasks]
        return EVEN.sample(random, count) * (self.fixed + (1.0 - self.fixed) * sizes)


def shares(*parts: tuple[float, float]) -> Mixture:
    """Return a mixture: shares of the tasks, and how many times ``SECONDS`` they take."""
    return Mixture(
        tuple(
            (share, Lognormal(mean_seconds=factor * SECONDS, sigma=0.1)) for share, factor in parts
        )
    )
