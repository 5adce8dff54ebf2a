"""Noise: slow attempts, hangs, failures and waits for storage, by their shares or by a function."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from asyncexec.config.checks import Amount, Share
from asyncexec.config.fields import check_fields
from asyncexec.errors import OptionError
from asyncexec.plan.given_numbers import as_real_number
from asyncexec.simulation.durations import Durations, Seconds, as_distribution
from asyncexec.simulation.noise_function import NoiseFunction, noise_function


def _range(value: Any, where: str) -> tuple[float, float]:
    given = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    match [as_real_number(each) for each in given]:
        case [int() | float() as least, int() | float() as most] if 1 <= least <= most < math.inf:
            return float(least), float(most)
        case _:
            raise OptionError(
                f"{where} must be two numbers from 1 up, the smaller first, such as (2.0, 10.0), not {value!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Differences between the attempts of a task and its duration.

    >>> from asyncexec.simulation import Cluster, Noise, simulate
    >>> plan, noise = ax.Plan.map(abs, range(1_000)), Noise(failure_share=0.02)
    >>> simulate(plan, Cluster(workers=50), noise=noise, seed=1).retries
    24

    Raises
    ------
    OptionError
        If a share is not from 0 to 1, a factor not from 1 up, or a time negative.
    """

    factor: Annotated[Durations, as_distribution] | None = None
    """Factor of an attempt's duration (``Lognormal(sigma=0.6)``, ``"pareto:1,1.5,100"``)."""

    slow_share: Share = 0.0
    """Share of attempts that are slow."""

    slow_factors: Annotated[tuple[float, float], _range] = (2.0, 10.0)
    """Factor of their durations: uniform between the two."""

    hang_share: Share = 0.0
    """Share of attempts that never end by themselves."""

    failure_share: Share = 0.0
    """Share that fails with a transient error, at the end of its time."""

    storage_share: Share = 0.0
    """Share that waits for storage,"""

    storage_seconds: Amount = 1.0
    """for so many seconds on average (exponential)."""

    function: Annotated[NoiseFunction, noise_function] | None = None
    """Function that says how long an attempt takes, given all that is above, its time, worker, host and task."""

    def __post_init__(self) -> None:
        check_fields(self, "simulation: ")

    def sample(self, random: np.random.Generator, seconds: Seconds) -> tuple[Seconds, Seconds]:
        """Return the seconds of attempts (infinity for one that hangs), and draws from 0 to 1 that decide if they fail.

        Both, and the durations of their tasks, ``seconds``, have shape (n,). An attempt fails if its draw is below
        ``failure_share``.
        """
        count = len(seconds)
        # Everything is drawn whatever the shares are, so that cases that differ in one share agree otherwise.
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

type AnyNoise = Noise | NoiseFunction | Mapping[str, Noise | NoiseFunction]
"""Noise of all stages alike, or by the names of stages; a function is ``Noise(function=...)``."""


def noise_of(stage: str, given: AnyNoise) -> Noise:
    """Return the noise of a stage; none if ``given`` is a mapping that does not name it."""
    if isinstance(given, Mapping):
        return noise_of(stage, given.get(stage, QUIET))
    return given if isinstance(given, Noise) else Noise(function=given)
