"""Backups in two phases: careful while there is other work to do, bold once slots would idle.

While tasks are queued, a backup takes the slot of a task that has to run anyway, so only what is slow beyond doubt gets
one. In the end phase slots are idle, and the stage is as slow as its slowest task: there a backup costs little and
saves much. Two ideas met here: backups near the end of a phase (J. Dean, S. Ghemawat, "MapReduce", OSDI 2004) and
thresholds on the stage's own distribution (G. Ananthanarayanan et al., "Mantri", OSDI 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from asyncexec.straggler.floor import check_floor
from asyncexec.straggler.rule import EVIDENCE

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView

# Where worker time is billed, the end phase waits longer.
_METERED_FACTOR = 1.5

# Where losers cannot be stopped, backups wait until so many tasks are complete: the first durations are the short ones,
# and what is taken for slow by them is paid for.
_SURE_SHARE = 0.9

# And so much of all work may go into them.
_WASTE_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPhase:
    """The default rule.

    ========  ==================================  =========================  ===================
    phase     backup beyond the age of            attempts of a task         backups at once
    ========  ==================================  =========================  ===================
    busy      ``max(3 * median, 99th centile)``   2                          a tenth of the slots
    draining  ``max(1.25 * median, 75th)``        3                          as many as slots
    ========  ==================================  =========================  ===================

    Where losers cannot be stopped, every backup is paid for in full: none starts before nine tenths of the tasks are
    complete, draining waits for ``max(3 * median, 90th)``, a task has 2 attempts at most, and all backups together may
    take a twentieth of the work.

    Attributes
    ----------
    floor_seconds : float
        No backup before this age, and what a new worker was seen to take to come up.

    Raises
    ------
    OptionError
        If the floor is not a finite number of at least 0.
    """

    floor_seconds: float = 1.0

    def __post_init__(self) -> None:
        check_floor(self.floor_seconds)

    steady: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "two_phase"

    def threshold(self, view: StageView) -> float | None:
        statistics = view.statistics
        if statistics.count < max(1.0, min(EVIDENCE, view.tasks / 2)):
            return None
        if not view.cancels and view.completed < _SURE_SHARE * view.tasks:
            return None
        median = statistics.quantile(0.5)
        if view.draining and view.cancels:
            age = max(1.25 * median, statistics.quantile(0.75)) * (
                _METERED_FACTOR if view.metered else 1.0
            )
        elif view.draining:
            # A backup that was not needed is paid for in full.
            age = max(3.0 * median, statistics.quantile(0.9))
        else:
            age = max(3.0 * median, statistics.quantile(0.99))
        # A backup pays for its worker to come up before it can gain anything.
        return max(age, self.floor_seconds + view.cold_start_seconds)

    def copies(self, view: StageView) -> int:
        return 3 if view.draining and view.cancels else 2

    def backups(self, view: StageView) -> int:
        most = view.slots if view.draining else max(1, view.slots // 10)
        return most if view.cancels else min(most, _affordable(view))


def _affordable(view: StageView) -> int:
    """Return how many backups may run where losers run on to their end.

    What a backup costs then is a task's time: the attempt it is for runs on as it would have anyway. At least one is
    tried.
    """
    median = view.statistics.quantile(0.5)
    if not median > 0:
        return 1
    work = view.tasks * view.statistics.mean_seconds
    left = max(1, int(_WASTE_SHARE * work / median)) - view.started_backups
    return view.running_backups + max(0, left)
