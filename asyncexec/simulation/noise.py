"""Noise: slow attempts, hangs, failures and waits for storage, drawn anew for each attempt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from asyncexec.errors import OptionError
from asyncexec.simulation.durations import Durations, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Differences of attempts from the duration that their tasks have by nature.

    Attributes
    ----------
    factor : Durations or None
        By what an attempt's duration is multiplied (``Lognormal(sigma=0.6)``, ``Pareto(exponent=1.5)``).
    slow_share : float
        Which share of attempts is slow.
    slow_factors : (float, float)
        By what theirs is multiplied: uniform between the two.
    hang_share : float
        Which share of attempts never ends by itself.
    failure_share : float
        Which share fails with a transient error, at the end of its time.
    storage_share : float
        Which share waits for storage,
    storage_seconds : float
        for so many seconds on average (exponential).

    Raises
    ------
    OptionError
        If a share is not from 0 to 1, a factor not from 1 up, or a time negative.
    """

    factor: Durations | None = None
    slow_share: float = 0.0
    slow_factors: tuple[float, float] = (2.0, 10.0)
    hang_share: float = 0.0
    failure_share: float = 0.0
    storage_share: float = 0.0
    storage_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name in ("slow_share", "hang_share", "failure_share", "storage_share"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise OptionError(f"simulation: {name} must be from 0 to 1, not {share!r}")
        least, most = self.slow_factors
        if not 1 <= least <= most < math.inf:
            raise OptionError(
                f"simulation: slow_factors are two numbers from 1 up, the smaller first, not {self.slow_factors!r}"
            )

        if not 0 <= self.storage_seconds < math.inf:
            raise OptionError(
                f"simulation: storage_seconds must be finite and at least 0, not {self.storage_seconds!r}"
            )

    def sample(self, random: np.random.Generator, seconds: Seconds) -> tuple[Seconds, Seconds]:
        """Return how long attempts run, and with which draw (below ``failure_share``) they fail.

        Parameters
        ----------
        random : numpy.random.Generator
        seconds : array of float64, shape (n,)
            What their tasks take by nature.

        Returns
        -------
        run : array of float64, shape (n,)
            Seconds; infinity for one that hangs.
        fails : array of float64, shape (n,)
            Uniform from 0 to 1.
        """
        count = len(seconds)
        # Everything is drawn whatever the shares are, so that cases that differ in one share agree in the rest.
        draws = random.random((4, count))
        low, high = self.slow_factors
        slow = low + (high - low) * random.random(count)
        waits = random.exponential(self.storage_seconds, count)
        run = seconds * (1.0 if self.factor is None else self.factor.sample(random, count))
        run = np.where(draws[0] < self.slow_share, run * slow, run)
        run = np.where(draws[1] < self.storage_share, run + waits, run)
        run = np.where(draws[2] < self.hang_share, math.inf, run)
        return run, draws[3]


QUIET = Noise()
"""No noise at all."""
