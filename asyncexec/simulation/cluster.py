"""The workers of a simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from asyncexec.config.checks import Amount, Count, Rate, Share, amount, amounts, memory_bytes
from asyncexec.config.fields import check_fields
from asyncexec.plan.memory import format_bytes
from asyncexec.simulation.durations import Durations, as_distribution

type Billed = Literal["attempts", "workers"]

# With a greater spread, the slowest workers would never end an attempt within a run.
_Spread = Annotated[float, partial(amount, most=3)]
_Factor = Annotated[float, partial(amount, least=1)]
_Bytes = Annotated[int, memory_bytes]


def _factors(value: Any, where: str) -> tuple[float, ...]:
    given = value if isinstance(value, list | tuple) else (value,)
    return tuple(amount(each, where, above_zero=True) for each in given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Workers, each of which runs one attempt at a time.

    >>> from asyncexec.simulation import Cluster, simulate
    >>> cluster = Cluster(workers=10, price_per_hour=0.36, billed_step_seconds=1.0)
    >>> run = simulate(ax.Plan.map(abs, range(100)), cluster, durations=2.5, straggler="off")
    >>> run.makespan_seconds, run.billed_seconds, round(run.cost, 6)
    (25.0, 300.0, 0.03)

    Raises
    ------
    OptionError
        If a figure is out of range.
    """

    workers: Count = 100
    """Number of workers."""

    workers_per_host: Count = 1
    """Number of workers that share a host."""

    speed_sigma: _Spread = 0.0
    """Standard deviation of the logarithm of workers' speeds; 0.0 makes all alike, 3.0 is the most."""

    slow_share: Share = 0.0
    """Share of the workers that are slow."""

    slow_factor: _Factor = 5.0
    """Factor by which everything takes longer on slow workers."""

    arrival_per_second: Rate = math.inf
    """Workers that come up a second; with infinity, all are up from the start."""

    slowness: Annotated[tuple[float, ...], _factors] | None = None
    """Factors by which everything takes longer, dealt out to the workers at random: a measured one for each, say."""

    cold_start_seconds: Amount = 0.0
    """Mean time from the start of a worker to its first attempt; exponential beyond half of it."""

    warm_up: Annotated[Durations, as_distribution] | None = None
    """What the first attempt on each worker takes longer than others (``"lognormal:3,0.2"``): packages are loaded."""

    lead_seconds: Amount = 0.0
    """Time from the start of a run until workers begin to come up."""

    tail_seconds: Amount = 0.0
    """Time from the end of the last attempt to the end of the run."""

    between_seconds: Amount = 0.0
    """Time that a worker takes from one attempt to the next."""

    loss_per_hour: Amount = 0.0
    """Losses (preemptions) of a worker an hour; its attempt is lost with it."""

    replaced: bool = True
    """True if a lost worker is replaced by another."""

    starts_per_second: Rate = math.inf
    """Upper bound of the attempts that the system starts a second."""

    latency_seconds: Amount = 0.0
    """Time of a message between driver and workers, one way."""

    kills: bool = True
    """True if a running attempt can be stopped; otherwise an abandoned one occupies its worker to its end."""

    holds: bool = True
    """Where attempts cannot be stopped: False if another worker takes the place of one with an abandoned attempt."""

    avoids: bool = True
    """True if chosen workers can be left idle, as slow ones are."""

    kill_seconds: Amount = 0.0
    """Duration of a kill."""

    price_per_hour: Amount = 0.0
    """Price of an hour of billed time."""

    price_per_start: Amount = 0.0
    """Price of the start of an attempt."""

    billed: Billed = "attempts"
    """The billed time: that of attempts, as for functions in a cloud, or all time from the start of a worker (with its
    cold start) to its loss or the end of the run, as for machines."""

    billed_least_seconds: Amount = 0.0
    """Least billed time of an attempt, or worker."""

    billed_step_seconds: Amount = 0.0
    """Step to a multiple of which billed time is rounded up (0.0: no rounding)."""

    metered: bool = False
    """True if the scheduler knows that worker time is billed, which makes it start fewer backups."""

    memory_bytes: _Bytes | None = None
    """Memory that all tasks in flight may use together: bytes, or a text (``"20GB"``)."""

    resources: Annotated[Mapping[str, float], amounts] | None = None
    """Named resources in all (``{"gpus": 8}``); by default one of ``cpus`` for each worker."""

    def __post_init__(self) -> None:
        check_fields(self, "simulation: ")

    @property
    def all_resources(self) -> dict[str, float]:
        """Named resources that tasks may ask for."""
        return {"cpus": float(self.workers), **(self.resources or {})}

    def worker_name(self, number: int) -> str:
        """Return the name of a worker in reports, with that of its host if it shares one."""
        each = self.workers_per_host
        return f"w{number}" if each == 1 else f"host-{number // each}:{number}"

    @property
    def priced(self) -> bool:
        """True if anything costs anything."""
        return self.price_per_hour + self.price_per_start > 0

    def billed_seconds(self, seconds: float) -> float:
        """Return the billed time of an attempt, or worker, of so many seconds."""
        step = self.billed_step_seconds
        # Without the rounding error of sums of times, which would add a step.
        rounded = math.ceil(round(seconds / step, 9)) * step if step else seconds
        return max(rounded, self.billed_least_seconds)

    def cost(self, billed_seconds: float, starts: int) -> float:
        """Return the price of billed time and starts of attempts."""
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
            (self.slowness and max(self.slowness) > 1, "speeds as measured"),
            (self.warm_up, "first attempts on a worker longer"),
            (not self.kills, "attempts cannot be stopped"),
            (self.memory_bytes is not None, format_bytes(self.memory_bytes or 0)),
            *((True, f"{n:g} {name}") for name, n in (self.resources or {}).items()),
        ]
        return ", ".join(words for so, words in said if so)


class Workforce:
    """The workers of a cluster one by one: speeds, cold starts and lifetimes, as functions of the seed."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._seed = seed
        random = np.random.default_rng((seed, 3))
        count = cluster.workers
        slow = random.random(count) < cluster.slow_share
        spread = np.exp(cluster.speed_sigma * random.standard_normal(count))
        self.slowness: NDArray[np.float64] = spread * np.where(slow, cluster.slow_factor, 1.0)
        if cluster.slowness:
            self.slowness *= _dealt(np.array(cluster.slowness), count, seed)
        # Without the factor of the slow workers.
        self.natural_slowness: NDArray[np.float64] = spread
        self._chance = random

    def cold_start(self) -> float:
        """Return the seconds from the start of a worker to its first attempt."""
        mean = self._cluster.cold_start_seconds
        return 0.5 * mean * (1.0 + float(self._chance.exponential())) if mean else 0.0

    def warm_up(self, worker: int, times: int) -> float:
        """Return what the first attempt of a worker takes longer, for the so many-th time that it came up."""
        extra = self._cluster.warm_up
        if extra is None:
            return 0.0
        return float(extra.sample(np.random.default_rng((self._seed, 5, worker, times)), 1)[0])

    def lifetime(self) -> float:
        """Return the seconds until a worker is lost."""
        rate = self._cluster.loss_per_hour
        return float(self._chance.exponential(3600.0 / rate)) if rate else math.inf


def _dealt(factors: NDArray[np.float64], count: int, seed: int) -> NDArray[np.float64]:
    """Return ``factors`` in random order for so many workers, each as often as the others."""
    random = np.random.default_rng((seed, 6))
    rounds = -(-count // len(factors))
    return np.concatenate([random.permutation(factors) for _ in range(rounds)])[:count]
