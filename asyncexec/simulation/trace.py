"""Counts and sums of a simulation as it goes."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from asyncexec.events.outcome import Status
from asyncexec.simulation.cluster import Cluster


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


@dataclass(slots=True)
class Trace:
    """Counts and sums; with ``keeps_bars`` every attempt as well.

    Attributes
    ----------
    cluster : Cluster
        Says what is billed.
    bars : list of Bar
    keeps_bars : bool
    slot_seconds : float
        That workers were taken by attempts.
    wasted_seconds : float
        Of those, by attempts that did not succeed.
    billed_seconds : float
    attempts : int
        That started.
    lost_workers : int
    durations : array of float
        Of attempts that succeeded: 8 bytes for each task, so that percentiles are exact.
    """

    cluster: Cluster
    keeps_bars: bool = False
    bars: list[Bar] = field(default_factory=list[Bar])
    slot_seconds: float = 0.0
    wasted_seconds: float = 0.0
    billed_seconds: float = 0.0
    attempts: int = 0
    lost_workers: int = 0
    durations: array[float] = field(default_factory=lambda: array("d"))

    def ended(self, seconds: float, status: Status) -> None:
        """Take note of an attempt that ended, or was given up."""
        self.attempts += 1
        if status is Status.SUCCEEDED:
            self.durations.append(seconds)

    def occupied(self, seconds: float, *, wasted: bool) -> None:
        """Take note that a worker was taken for so long by an attempt."""
        self.slot_seconds += seconds
        if wasted:
            self.wasted_seconds += seconds
        if self.cluster.billed == "attempts":
            self.billed_seconds += self.cluster.billed_seconds(seconds)

    def was_up(self, seconds: float) -> None:
        """Take note that there was a worker for so long."""
        if self.cluster.billed == "workers":
            self.billed_seconds += self.cluster.billed_seconds(seconds)

    def percentile(self, percent: float) -> float:
        """Return what so many percent of the attempts that succeeded did not exceed, in seconds; nan for none."""
        if not self.durations:
            return math.nan
        found = np.percentile(np.frombuffer(self.durations), percent, method="lower")
        return float(found)
