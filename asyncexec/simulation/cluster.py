"""The workers of a simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from asyncexec.errors import OptionError
from asyncexec.plan.memory import format_bytes

type Billed = Literal["attempts", "workers"]

_BOUNDS: Mapping[str, tuple[int, float]] = {
    "workers": (1, math.inf),
    "speed_sigma": (0, 3),  # Beyond it, some workers stand still for all that a run can tell.
    "slow_share": (0, 1),
    "slow_factor": (1, math.inf),
    "cold_start_seconds": (0, math.inf),
    "loss_per_hour": (0, math.inf),
    "latency_seconds": (0, math.inf),
    "kill_seconds": (0, math.inf),
    "price_per_hour": (0, math.inf),
    "price_per_start": (0, math.inf),
    "billed_least_seconds": (0, math.inf),
    "billed_step_seconds": (0, math.inf),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """So many workers, each of which runs one attempt at a time.

    Attributes
    ----------
    workers : int
    speed_sigma : float
        Standard deviation of the logarithm of workers' speeds; 0.0 makes all alike, 3.0 is the most.
    slow_share, slow_factor : float
        Which share of workers is slow, and how many times as long everything takes on them.
    arrival_per_second : float
        How many workers come up a second; infinity has all of them there from the start.
    cold_start_seconds : float
        From a worker's coming up to its first attempt; on average (exponential beyond half of it).
    loss_per_hour : float
        How often a worker is lost (preempted), with what it runs.
    replaced : bool
        Whether another comes up in the place of one that was lost.
    starts_per_second : float
        How many attempts the system starts a second at most.
    latency_seconds : float
        One way between driver and workers.
    kills : bool
        Whether an attempt that runs can be stopped; where not, one that is given up holds its worker to its end.
    kill_seconds : float
        How long stopping takes.
    price_per_hour : float
        Of the time that is billed.
    price_per_start : float
        Of an attempt.
    billed : {"attempts", "workers"}
        What is billed: the time that attempts take on workers, as functions in a cloud are, or all time from a
        worker's coming up (its cold start with it) to its loss or the end of the run, as machines are.
    billed_least_seconds, billed_step_seconds : float
        Each attempt, or worker, is billed at least so long, and rounded up to a multiple of the step (0.0: as it was).
    metered : bool
        Whether the scheduler knows that worker time is billed, which makes it more careful.
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
    replaced: bool = True
    starts_per_second: float = math.inf
    latency_seconds: float = 0.0
    kills: bool = True
    kill_seconds: float = 0.0
    price_per_hour: float = 0.0
    price_per_start: float = 0.0
    billed: Billed = "attempts"
    billed_least_seconds: float = 0.0
    billed_step_seconds: float = 0.0
    metered: bool = False
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if not (least <= value <= most and math.isfinite(value)):
                until = f"from {least} to {most}" if most < math.inf else f"at least {least}"
                until = until if math.isfinite(value) else "finite"
                raise OptionError(f"simulation: {name} must be {until}, not {value!r}")
        for name in ("arrival_per_second", "starts_per_second"):
            if not getattr(self, name) > 0:
                raise OptionError(
                    f"simulation: {name} must be above 0, not {getattr(self, name)!r}"
                )
        if self.billed not in ("attempts", "workers"):
            raise OptionError(f"simulation: billed is 'attempts' or 'workers', not {self.billed!r}")
        if self.memory_bytes is not None and self.memory_bytes < 1:
            raise OptionError(
                f"simulation: memory_bytes must be above 0, not {self.memory_bytes!r}"
            )

    def billed_seconds(self, seconds: float) -> float:
        """Return how long an attempt, or a worker, of so many seconds is billed."""
        step = self.billed_step_seconds
        # Sums of times are off by a bit, for which no step is billed.
        rounded = math.ceil(round(seconds / step, 9)) * step if step else seconds
        return max(rounded, self.billed_least_seconds)

    def cost(self, billed_seconds: float, starts: int) -> float:
        """Return the price of so many seconds that are billed, and so many attempts that started."""
        return billed_seconds / 3600.0 * self.price_per_hour + starts * self.price_per_start

    def __str__(self) -> str:
        said = [
            (True, f"{self.workers:,} workers"),
            (self.speed_sigma, f"speeds spread by {self.speed_sigma:g}"),
            (self.slow_share, f"{self.slow_share:.1%} of them {self.slow_factor:g} times as slow"),
            (self.arrival_per_second < math.inf, f"{self.arrival_per_second:g} come up a second"),
            (self.cold_start_seconds, f"cold starts of {self.cold_start_seconds:g} s"),
            (self.loss_per_hour, f"each lost {self.loss_per_hour:g} times an hour"),
            (self.loss_per_hour and not self.replaced, "and not replaced"),
            (self.starts_per_second < math.inf, f"{self.starts_per_second:g} starts a second"),
            (self.latency_seconds, f"{self.latency_seconds:g} s away"),
            (not self.kills, "attempts cannot be stopped"),
            (self.memory_bytes is not None, format_bytes(self.memory_bytes or 0)),
        ]
        return ", ".join(words for so, words in said if so)


class Workforce:
    """The workers of a cluster one by one: speeds, cold starts and lifetimes, as functions of the seed."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        random = np.random.default_rng((seed, 3))
        count = cluster.workers
        slow = random.random(count) < cluster.slow_share
        spread = np.exp(cluster.speed_sigma * random.standard_normal(count))
        self.slowness: NDArray[np.float64] = spread * np.where(slow, cluster.slow_factor, 1.0)
        # By nature: as if none of those were slow that something is wrong with.
        self.natural_slowness: NDArray[np.float64] = spread
        self._chance = random

    def cold_start(self) -> float:
        """Return the seconds that a worker takes from its coming up to its first attempt."""
        mean = self._cluster.cold_start_seconds
        return 0.5 * mean * (1.0 + float(self._chance.exponential())) if mean else 0.0

    def lifetime(self) -> float:
        """Return the seconds until a worker is lost."""
        rate = self._cluster.loss_per_hour
        return float(self._chance.exponential(3600.0 / rate)) if rate else math.inf
