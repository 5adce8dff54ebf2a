"""Figures of a simulated run: sums while it goes on, and the result."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

import numpy as np

from asyncexec.events.outcome import Status
from asyncexec.histories.as_json import attributes
from asyncexec.simulation.cluster import Cluster

PERCENTILES = (50, 90, 99, 99.9)


class Bar(NamedTuple):
    """An attempt, for a picture.

    >>> from asyncexec.simulation import Cluster, simulate
    >>> run = simulate(ax.Plan.map(abs, range(2)), Cluster(workers=1), durations=10.0, bars=True)
    >>> [(bar.task, bar.begin, bar.end) for bar in run.bars]
    [(0, 0.0, 10.0), (1, 10.0, 20.0)]
    """

    stage: int
    task: int
    worker: int
    begin: float
    end: float
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Figures of a simulated run; times are seconds on the simulated clock.

    >>> from asyncexec.simulation import Cluster, simulate
    >>> run = simulate(ax.Plan.map(abs, range(20)), Cluster(workers=8), durations=10.0)
    >>> run.makespan_seconds, run.ideal_seconds, run.percentiles["p99"]
    (30.0, 25.0, 10.0)
    >>> run.as_json()["tasks"]
    20

    Attributes
    ----------
    plan : str
    tasks, attempts : int
        Number of tasks, and of attempts that started.
    makespan_seconds : float
        Time from the start of the run to its end.
    ideal_seconds : float
        Lower bound for any scheduler, without noise: all work shared evenly by all workers, or the longest way through
        the plan, whichever is longer.
    slot_seconds, wasted_seconds : float
        Time for which attempts occupied workers, and the part of it that went to attempts that did not succeed.
    backups, useful_backups : int
        Number of backups, and of those that were the first attempt of their task to succeed.
    retries, lost_workers, slow_workers : int
        Number of retries, of workers that were lost, and of those that were found to be slow and left idle for a while.
    percentiles : dict of str to float
        Of the seconds of attempts that succeeded.
    billed_seconds, cost : float
        Billed time, and its cost in the currency of the cluster's prices.
    events : int
        Number of events that the scheduler processed.
    seconds, events_per_second : float
        Time that the simulation took on this machine, and its rate.
    peak_bytes : int
        Peak of the projected memory of all tasks in flight.
    seed : int
    bars : tuple of Bar
        Every attempt, with ``simulate(bars=True)``.
    """

    plan: str
    tasks: int
    attempts: int
    makespan_seconds: float
    ideal_seconds: float
    slot_seconds: float
    wasted_seconds: float
    backups: int
    useful_backups: int
    retries: int
    lost_workers: int
    slow_workers: int
    percentiles: dict[str, float]
    billed_seconds: float
    cost: float
    events: int
    events_per_second: float
    seconds: float
    peak_bytes: int
    seed: int
    bars: tuple[Bar, ...] = field(default=(), repr=False)

    @property
    def efficiency(self) -> float:
        """The ideal time divided by the makespan; 1.0 is the best."""
        return self.ideal_seconds / self.makespan_seconds if self.makespan_seconds else 1.0

    @property
    def useless_backups(self) -> int:
        """The number of backups that were not the first attempt to succeed."""
        return self.backups - self.useful_backups

    def as_json(self) -> dict[str, Any]:
        """Return everything but the attempts, in plain types."""
        names = (each.name for each in fields(self) if each.name != "bars")
        return attributes(self, *names, "efficiency", "useless_backups")


@dataclass(slots=True)
class Trace:
    """Sums of a simulated run so far; the attributes of one name are those of :class:`Simulated`."""

    cluster: Cluster
    keeps_bars: bool = False
    bars: list[Bar] = field(default_factory=list[Bar])
    slot_seconds: float = 0.0
    wasted_seconds: float = 0.0
    billed_seconds: float = 0.0
    attempts: int = 0
    lost_workers: int = 0
    # 8 bytes for each task, so that percentiles are exact.
    durations: array[float] = field(default_factory=lambda: array("d"))

    def ended(self, seconds: float, status: Status) -> None:
        """Count an attempt that ended or was abandoned."""
        self.attempts += 1
        if status is Status.SUCCEEDED:
            self.durations.append(seconds)

    def occupied(self, seconds: float, *, wasted: bool) -> None:
        """Add the time for which an attempt occupied a worker."""
        self.slot_seconds += seconds
        if wasted:
            self.wasted_seconds += seconds
        if self.cluster.billed == "attempts":
            self.billed_seconds += self.cluster.billed_seconds(seconds)

    def was_up(self, seconds: float) -> None:
        """Add the lifetime of a worker."""
        if self.cluster.billed == "workers":
            self.billed_seconds += self.cluster.billed_seconds(seconds)

    def sums(self) -> dict[str, Any]:
        """Return the attributes of :class:`Simulated` that are known from here."""
        names = ("attempts", "slot_seconds", "wasted_seconds", "billed_seconds", "lost_workers")
        return {name: getattr(self, name) for name in names} | {
            "bars": tuple(self.bars),
            "cost": self.cluster.cost(self.billed_seconds, self.attempts),
            "percentiles": {f"p{p:g}": self._percentile(p) for p in PERCENTILES},
        }

    def _percentile(self, percent: float) -> float:
        if not self.durations:
            return math.nan
        return float(np.percentile(np.frombuffer(self.durations), percent, method="lower"))
