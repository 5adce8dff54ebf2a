"""What a simulation takes note of as it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from asyncexec.events.outcome import Status
from asyncexec.straggler.statistics import DurationStatistics


class Bar(NamedTuple):
    """An attempt, for a picture."""

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
    bars : list of Bar
    keeps_bars : bool
    slot_seconds : float
        That workers were taken by attempts.
    wasted_seconds : float
        Of those, by attempts that did not succeed.
    attempts : int
        That started.
    lost_workers : int
    durations : DurationStatistics
        Of attempts that succeeded.
    """

    keeps_bars: bool = False
    bars: list[Bar] = field(default_factory=list[Bar])
    slot_seconds: float = 0.0
    wasted_seconds: float = 0.0
    attempts: int = 0
    lost_workers: int = 0
    durations: DurationStatistics = field(default_factory=DurationStatistics)

    def ended(self, seconds: float, status: Status) -> None:
        """Take note of an attempt that ended, or was given up."""
        self.attempts += 1
        if status is Status.SUCCEEDED:
            self.durations.add(seconds)

    def occupied(self, seconds: float, *, wasted: bool) -> None:
        """Take note that a worker was taken for so long."""
        self.slot_seconds += seconds
        if wasted:
            self.wasted_seconds += seconds
