"""The default rule, with two phases: few backups while tasks are queued, many once slots would be idle.

While tasks are queued, a backup takes the slot of a task that has to run anyway, so a task gets one only at an age
where that is expected to save work (see :mod:`asyncexec.straggler.restart_model`), or when it is slower than almost
any so far. In the end phase slots are idle, and the stage is as slow as its slowest task: there a backup costs little
and saves much. Two ideas are combined: backups near the end of a phase (J. Dean, S. Ghemawat, "MapReduce",
OSDI 2004) and thresholds on the stage's own distribution, with a test of whether a backup saves work
(G. Ananthanarayanan et al., "Mantri", OSDI 2010).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from asyncexec.straggler.decision import BackupDecision, Ground
from asyncexec.straggler.rule import EVIDENCE, check_floor

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView

# While tasks are queued, backups take no more of the slots than this.
_BUSY_SHARE = 0.25

# Where worker time is billed, the end phase waits longer.
_METERED_FACTOR = 1.5

# The attempts of a task at once in the end phase. Where durations spread widely, its backups are often slow as well;
# elsewhere so many are never needed.
_MOST_COPIES = 4

# Some backups always lose. When fewer win than one in so many, in either phase, tasks are assumed to be long by
# nature, and backups wait longer.
_BUSY_ONE_IN = 2.0
_DRAINING_ONE_IN = 8.0

# The prior: so many wins, and as many losses, are counted before the first backup.
_CREDIT = 3.0

# The share of tasks that may have a backup where attempts that lost cannot be stopped.
_WASTE_SHARE = 0.05

# There, until this share of the tasks is complete, only attempts that seem to hang get one, at so many times the usual
# threshold: the durations seen first are the short ones, and a backup that is wrong by them is paid for in full.
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

    When most backups lose, both wait longer.

    Where attempts that lost cannot be stopped, every backup is paid for in full, so a twentieth of the tasks may have
    one. The end phase waits until no more tasks than that are left, and for ``max(1.5 * median, 75th)``, or for three
    times ``max(3 * median, 99th)`` if more are left; before it, backups wait for three times as long as above until
    nine tenths of the tasks are complete.

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
        No backup before this age plus the time that a new worker takes to start.
    rests_workers : bool
        Whether slow workers are left idle for a while, on backends that can choose.

    Raises
    ------
    OptionError
        If the floor is not a finite number of at least 0.
    """

    floor_seconds: float = 1.0
    rests_workers: bool = True

    def __post_init__(self) -> None:
        check_floor(self.floor_seconds)

    steady: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return "two_phase"

    def decide(self, view: StageView) -> BackupDecision:
        """Return the decision about a stage."""
        if view.statistics.count < max(1.0, min(EVIDENCE, view.tasks / 2)):
            return BackupDecision(ground=Ground.TOO_FEW, age_seconds=None, copies=2, backups=0)
        decide = (_draining if view.draining else _busy) if view.cancels else _paid_in_full
        most = view.slots if view.draining else max(1, int(_BUSY_SHARE * view.slots))
        if not view.cancels:
            most = min(most, view.running_backups + _affordable(view))
        return BackupDecision(
            ground=_ground(view),
            # A backup may have to wait for a new worker before it can gain anything.
            age_seconds=max(decide(view), self.floor_seconds + view.cold_start_seconds),
            copies=_MOST_COPIES if view.draining and view.cancels else 2,
            backups=most,
        )

    def threshold(self, view: StageView) -> float | None:
        return self.decide(view).age_seconds

    def copies(self, view: StageView) -> int:
        return self.decide(view).copies

    def backups(self, view: StageView) -> int:
        return self.decide(view).backups


def _ground(view: StageView) -> Ground:
    if not view.cancels:
        return Ground.PAID_IN_FULL
    return Ground.IDLE if view.draining else Ground.QUEUED


def _busy(view: StageView) -> float:
    statistics = view.statistics
    hope = _hope(view, _BUSY_ONE_IN)
    # A bound by age alone, as attempts that hang never appear among the durations.
    age = max(3.0 * statistics.quantile(0.5), statistics.quantile(0.99)) / hope
    best = view.restart_model.optimal_restart_age(statistics, hope=hope)
    return age if best is None else min(age, best)


def _draining(view: StageView) -> float:
    statistics = view.statistics
    bulk = min(1.25 * statistics.quantile(0.5), 1.1 * statistics.quantile(0.9))
    age = max(bulk, statistics.quantile(0.75)) / _hope(view, _DRAINING_ONE_IN)
    return age * _METERED_FACTOR if view.metered else age


def _paid_in_full(view: StageView) -> float:
    """Return the age where attempts that lost cannot be stopped."""
    statistics = view.statistics
    median = statistics.quantile(0.5)
    left = view.tasks - view.completed - view.running_backups
    if view.draining and left <= max(1, _affordable(view)):
        return max(1.5 * median, statistics.quantile(0.75))
    beyond = max(3.0 * median, statistics.quantile(0.99))
    # While more tasks are left than may have a backup, it is not known yet which need one most. But an attempt that
    # hangs blocks its slot, and the attempts queued behind it.
    sure = not view.draining and view.completed >= _SURE_SHARE * view.tasks
    return beyond if sure else _HUNG_FACTOR * beyond


def _affordable(view: StageView) -> int:
    """Return the number of further backups where losers cannot be stopped, at least one in all: each costs a task."""
    return max(0, max(1, int(_WASTE_SHARE * view.tasks)) - view.started_backups)


def _hope(view: StageView, one_in: float) -> float:
    """Return the confidence in backups, from 0 to 1, by those of the stage so far; 1 if one in ``one_in`` has won."""
    share = (view.won_backups + _CREDIT) / (view.settled_backups + 2 * _CREDIT)
    return min(1.0, one_in * share)
