"""The workers of a simulation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asyncexec.errors import OptionError
from asyncexec.plan.memory import format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """So many workers, each of which runs one attempt at a time.

    Attributes
    ----------
    workers : int
    speed_sigma : float
        Standard deviation of the logarithm of workers' speeds; 0.0 makes all alike.
    slow_share, slow_factor : float
        Which share of workers is slow, and how many times as long everything takes on them.
    arrival_per_second : float
        How many workers come up a second; infinity has all of them there from the start.
    cold_start_seconds : float
        From a worker's coming up to its first attempt; on average (exponential beyond half of it).
    loss_per_hour : float
        How often a worker is lost (preempted), with what it runs; another takes its place.
    starts_per_second : float
        How many attempts the system starts a second at most.
    latency_seconds : float
        One way between driver and workers.
    kills : bool
        Whether an attempt that runs can be stopped; where not, one that is given up holds its worker to its end.
    kill_seconds : float
        How long stopping takes.
    price_per_hour : float
        Of a worker, while it works on an attempt.
    price_per_start : float
        Of an attempt.
    metered : bool
        Whether the scheduler is told that worker time is billed, which makes it more careful.
    memory_bytes : int or None
        What the tasks in flight may hold together.

    Raises
    ------
    OptionError
        If a figure is out of range.
    """

    workers: int = 100
    speed_sigma: float = 0.0
    slow_share: float = 0.0
    slow_factor: float = 5.0
    arrival_per_second: float = math.inf
    cold_start_seconds: float = 0.0
    loss_per_hour: float = 0.0
    starts_per_second: float = math.inf
    latency_seconds: float = 0.0
    kills: bool = True
    kill_seconds: float = 0.0
    price_per_hour: float = 0.0
    price_per_start: float = 0.0
    metered: bool = False
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise OptionError(f"simulation: workers must be at least 1, not {self.workers!r}")
        if not 0 <= self.slow_share <= 1:
            raise OptionError(f"simulation: slow_share is from 0 to 1, not {self.slow_share!r}")
        if not self.slow_factor >= 1:
            raise OptionError(f"simulation: slow_factor is at least 1, not {self.slow_factor!r}")
        for name in ("arrival_per_second", "starts_per_second"):
            if not getattr(self, name) > 0:
                raise OptionError(
                    f"simulation: {name} must be above 0, not {getattr(self, name)!r}"
                )
        for name in (
            "speed_sigma",
            "cold_start_seconds",
            "loss_per_hour",
            "latency_seconds",
            "kill_seconds",
            "price_per_hour",
            "price_per_start",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise OptionError(f"simulation: {name} must be finite and 0 or more, not {value!r}")

    def __str__(self) -> str:
        said = [f"{self.workers:,} workers"]
        if self.slow_share:
            said.append(f"{self.slow_share:.1%} of them {self.slow_factor:g} times as slow")
        if self.memory_bytes is not None:
            said.append(format_bytes(self.memory_bytes))
        return ", ".join(said)


class Workforce:
    """What each worker of a cluster is like: a function of the seed and the worker's number."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        random = np.random.default_rng((seed, 3))
        count = cluster.workers
        slow = random.random(count) < cluster.slow_share
        spread = np.exp(cluster.speed_sigma * random.standard_normal(count))
        self.slowness: NDArray[np.float64] = spread * np.where(slow, cluster.slow_factor, 1.0)
        self._chance = random

    def cold_start(self) -> float:
        """Return the seconds that a worker takes from its coming up to its first attempt."""
        mean = self._cluster.cold_start_seconds
        return 0.5 * mean * (1.0 + float(self._chance.exponential())) if mean else 0.0

    def lifetime(self) -> float:
        """Return the seconds until a worker is lost."""
        rate = self._cluster.loss_per_hour
        return float(self._chance.exponential(3600.0 / rate)) if rate else math.inf
