"""Backups in two phases: careful while there is other work to do, bold once slots would idle.

While tasks are queued, a backup takes the slot of a task that has to run anyway, so a task gets one only at an age
where that is expected to save work (see :mod:`asyncexec.straggler.restart_model`), or when it is slower than almost
anything seen so far. In the end phase slots are idle, and the stage is as slow as its slowest task: there a backup
costs little and saves much. Two ideas are combined: backups near the end of a phase (J. Dean, S. Ghemawat, "MapReduce",
OSDI 2004) and thresholds on the stage's own distribution, with a test of whether a backup saves work
(G. Ananthanarayanan et al., "Mantri", OSDI 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from asyncexec.straggler.rule import EVIDENCE, check_floor

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView

# While tasks are queued, backups take no more of the slots than this.
_BUSY_SHARE = 0.25

# Where worker time is billed, the end phase waits longer.
_METERED_FACTOR = 1.5

# In the end phase a task may have so many attempts. Where durations spread widely, that its backups are slow as well is
# no rare case; elsewhere so many are never needed.
_MOST_COPIES = 4

# Of backups, some are in vain at the best of times. When fewer win than one in so many, in either phase, tasks are
# taken to be long by nature, and backups wait longer.
_BUSY_ONE_IN = 2.0
_DRAINING_ONE_IN = 8.0

# How many wins, and as many failures, a stage is credited with beforehand.
_CREDIT = 3.0

# Where losers run on to their end, so many of the tasks may have a backup.
_WASTE_SHARE = 0.05

# And before so many tasks are complete, only what seems to hang, so many times as old as counts as slow then: the first
# durations are the short ones, and what is taken for slow by them is paid for.
_SURE_SHARE = 0.9
_HUNG_FACTOR = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPhase:
    """The default rule.

    ========  ===========================================  ==================  ======================
    phase     backup beyond the age of                     attempts of a task  backups at once
    ========  ===========================================  ==================  ======================
    busy      the age at which it saves most work,         2                   a quarter of the slots
              ``max(3 * median, 99th centile)`` at most
    draining  ``max(min(1.25 * median, 1.1 * 90th),        4                   as many as slots
              75th)``
    ========  ===========================================  ==================  ======================

    When most backups turn out to be in vain, both wait longer.

    Where losers cannot be stopped, every backup is paid for in full, so a twentieth of the tasks may have one. The end
    phase waits until no more tasks than that are left, and for ``max(1.5 * median, 75th)``, or for three times
    ``max(3 * median, 99th)`` if more are left; before it, backups wait for three times as long as above until nine
    tenths of the tasks are complete.

    >>> from asyncexec.simulation import Cluster, Noise, simulate
    >>> from asyncexec.straggler import TwoPhase
    >>> plan, slow = ax.Plan.map(abs, range(1_000)), Noise(slow_share=0.02)
    >>> off, two_phase = (
    ...     simulate(plan, Cluster(workers=50), durations=10.0, noise=slow, straggler=rule, seed=1)
    ...     for rule in ("off", TwoPhase(floor_seconds=1.0))
    ... )
    >>> two_phase.makespan_seconds < off.makespan_seconds
    True

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
        if view.statistics.count < max(1.0, min(EVIDENCE, view.tasks / 2)):
            return None
        decide = (_draining if view.draining else _busy) if view.cancels else _paid_in_full
        age = decide(view)
        # A backup pays for its worker to come up before it can gain anything.
        return max(age, self.floor_seconds + view.cold_start_seconds)

    def copies(self, view: StageView) -> int:
        return _MOST_COPIES if view.draining and view.cancels else 2

    def backups(self, view: StageView) -> int:
        most = view.slots if view.draining else max(1, int(_BUSY_SHARE * view.slots))
        return most if view.cancels else min(most, view.running_backups + _affordable(view))


def _busy(view: StageView) -> float:
    statistics = view.statistics
    hope = _hope(view, _BUSY_ONE_IN)
    # Beyond this a task is slower than others were: what hangs never shows in durations.
    age = max(3.0 * statistics.quantile(0.5), statistics.quantile(0.99)) / hope
    best = view.restart_model.optimal_restart_age(statistics, hope=hope)
    return age if best is None else min(age, best)


def _draining(view: StageView) -> float:
    statistics = view.statistics
    bulk = min(1.25 * statistics.quantile(0.5), 1.1 * statistics.quantile(0.9))
    age = max(bulk, statistics.quantile(0.75)) / _hope(view, _DRAINING_ONE_IN)
    return age * _METERED_FACTOR if view.metered else age


def _paid_in_full(view: StageView) -> float:
    """Return the age where losers run on to their end."""
    statistics = view.statistics
    median = statistics.quantile(0.5)
    left = view.tasks - view.completed - view.running_backups
    if view.draining and left <= max(1, _affordable(view)):
        return max(1.5 * median, statistics.quantile(0.75))
    beyond = max(3.0 * median, statistics.quantile(0.99))
    # While more tasks are left than may have a backup, those that will need one most are not known yet. But what hangs
    # keeps its slot, and what waits behind it, from the others until it is given up.
    sure = not view.draining and view.completed >= _SURE_SHARE * view.tasks
    return beyond if sure else _HUNG_FACTOR * beyond


def _affordable(view: StageView) -> int:
    """Return how many more backups may be sent where losers run on: each takes a task's time. One is always tried."""
    return max(0, max(1, int(_WASTE_SHARE * view.tasks)) - view.started_backups)


def _hope(view: StageView, one_in: float) -> float:
    """Return how far, from 0 to 1, the backups of the stage so far speak for more; one win in ``one_in`` is enough."""
    share = (view.won_backups + _CREDIT) / (view.settled_backups + 2 * _CREDIT)
    return min(1.0, one_in * share)
