"""Spark's rule: once most tasks of a stage are done, a backup for attempts that have run several times the median."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from asyncexec.errors import OptionError

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView

_LEAST_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Spark:
    """Speculation as in Apache Spark 4 (``org.apache.spark.scheduler.TaskSetManager``), by the names of its settings.

    >>> from asyncexec.simulation import Cluster, Noise, simulate
    >>> from asyncexec.straggler.spark import Spark
    >>> plan, slow = ax.Plan.map(abs, range(1_000)), Noise(slow_share=0.02)
    >>> run = simulate(plan, Cluster(workers=50), noise=slow, straggler=Spark(multiplier=2.0), seed=1)
    >>> run.backups > 0
    True

    Attributes
    ----------
    quantile : float
        Nothing gets a backup before this share of the stage's tasks is complete.
    multiplier : float
        The multiple of the median that a task may run.
    efficiency : bool
        Whether a task must also be inefficient: Spark compares the bytes a task has read so far with the mean rate, and
        where there is no such figure, as here, requires ``duration_factor`` times the threshold instead.
    duration_factor : float

    Raises
    ------
    OptionError
        If a setting is out of range.
    """

    quantile: float = 0.9
    multiplier: float = 3.0
    efficiency: bool = False
    duration_factor: float = 2.0

    def __post_init__(self) -> None:
        if not 0 <= self.quantile <= 1:
            raise OptionError(f"straggler: quantile must be from 0 to 1, not {self.quantile!r}")
        for name in ("multiplier", "duration_factor"):
            value = getattr(self, name)
            if not math.isfinite(value) or value < 1:
                raise OptionError(f"straggler: {name} must be at least 1, not {value!r}")

    steady: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "spark"

    @property
    def floor_seconds(self) -> float:
        return _LEAST_SECONDS

    def threshold(self, view: StageView) -> float | None:
        if not view.completed or view.completed < math.floor(self.quantile * view.tasks):
            return None
        age = max(self.multiplier * view.statistics.quantile(0.5), _LEAST_SECONDS)
        return age * (self.duration_factor if self.efficiency else 1.0)

    def copies(self, view: StageView) -> int:
        return 2

    def backups(self, view: StageView) -> int:
        return view.tasks
