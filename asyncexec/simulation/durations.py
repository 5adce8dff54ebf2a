"""Durations of tasks by nature: the same for every attempt of a task, whichever worker it runs on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from asyncexec.config.checks import amount
from asyncexec.config.fields import check_fields
from asyncexec.errors import OptionError

# Beyond it, nearly all of the mean is in tasks that hardly any run has one of.
_MOST_SIGMA = 5.0

_AboveZero = Annotated[float, partial(amount, above_zero=True)]

type Seconds = NDArray[np.float64]


@runtime_checkable
class Durations(Protocol):
    """A distribution of seconds."""

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        """Return ``count`` durations, shape (count,), float64, all above 0."""
        ...


@dataclass(frozen=True, slots=True)
class Constant:
    """Every task takes ``seconds``.

    >>> from asyncexec.simulation import Constant
    >>> Constant(2.0).sample(np.random.default_rng(0), 3)
    array([2., 2., 2.])
    """

    seconds: _AboveZero = 1.0

    def __post_init__(self) -> None:
        check_fields(self, "simulation: ")

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        return np.full(count, self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lognormal:
    """Lognormal with ``mean_seconds``; ``sigma``, up to 5, is the standard deviation of the logarithm.

    >>> from asyncexec.simulation import Lognormal
    >>> seconds = Lognormal(mean_seconds=10.0, sigma=0.5).sample(np.random.default_rng(0), 100_000)
    >>> round(float(seconds.mean()), 1)
    10.0
    """

    mean_seconds: _AboveZero = 1.0
    sigma: Annotated[float, partial(amount, most=_MOST_SIGMA, above_zero=True)] = 0.15

    def __post_init__(self) -> None:
        check_fields(self, "simulation: ")

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        mu = math.log(self.mean_seconds) - self.sigma**2 / 2
        return random.lognormal(mu, self.sigma, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pareto:
    """Pareto from ``least_seconds`` up, truncated at ``most`` times that.

    >>> from asyncexec.simulation import Pareto
    >>> seconds = Pareto(least_seconds=2.0, most=10.0).sample(np.random.default_rng(0), 1_000)
    >>> bool(seconds.min() >= 2.0), bool(seconds.max() <= 20.0)
    (True, True)
    """

    least_seconds: _AboveZero = 1.0
    exponent: _AboveZero = 1.5
    most: float = 100.0

    def __post_init__(self) -> None:
        check_fields(self, "simulation: ")
        if not self.most > 1:
            raise OptionError(f"simulation: most must be above 1, not {self.most!r}")

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        # By the inverse of the truncated distribution function, so that nothing piles up at the end.
        share = random.random(count) * (1.0 - self.most**-self.exponent)
        drawn: Seconds = self.least_seconds * (1.0 - share) ** (-1.0 / self.exponent)
        return drawn


@dataclass(frozen=True, slots=True)
class Mixture:
    """Shares of several distributions: ``Mixture(((0.95, Constant(1.0)), (0.05, Constant(3.0))))``.

    >>> from asyncexec.simulation import Constant, Mixture
    >>> mixture = Mixture(((0.75, Constant(1.0)), (0.25, Constant(3.0))))
    >>> round(float(mixture.sample(np.random.default_rng(0), 100_000).mean()), 1)
    1.5
    """

    parts: tuple[tuple[float, Durations], ...]

    def __post_init__(self) -> None:
        shares = [share for share, _ in self.parts]
        if not shares or min(shares) < 0 or not math.isclose(sum(shares), 1.0):
            raise OptionError(f"simulation: the shares of a mixture add up to 1, not {shares!r}")

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        shares = [share for share, _ in self.parts]
        kinds = random.choice(len(self.parts), size=count, p=np.array(shares) / sum(shares))
        # All are drawn for each task: what one is does then not shift what the next is.
        drawn = np.stack([part.sample(random, count) for _, part in self.parts])
        return drawn[kinds, np.arange(count)]


class Empirical:
    """Durations as they were measured, drawn anew; those of a run's history, say.

    >>> from asyncexec.simulation import Empirical
    >>> Empirical([1.0, 2.0, 9.0])
    Empirical(3 durations, median 2 s)

    Raises
    ------
    OptionError
        If there are none, or one is not above 0.
    """

    def __init__(self, seconds: Sequence[float] | Seconds) -> None:
        self._seconds = np.sort(np.asarray(seconds, dtype=np.float64))
        if not self._seconds.size:
            raise OptionError("simulation: there are no measured durations to draw from")
        if not self._seconds[0] > 0 or not math.isfinite(self._seconds[-1]):
            raise OptionError("simulation: measured durations must be finite and above 0")

    def sample(self, random: np.random.Generator, count: int) -> Seconds:
        return random.choice(self._seconds, size=count)

    def __repr__(self) -> str:
        median = float(np.median(self._seconds))
        return f"Empirical({self._seconds.size} durations, median {median:g} s)"
