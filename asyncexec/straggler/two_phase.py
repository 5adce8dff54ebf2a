"""The default rule: few backups as a trial at first, and as many as save work after the first wins.

A backup helps a task that is slow by accident (its worker, a request that went astray); one that is long *by nature* it
cannot help, and durations do not show which is which. How backups fare does, so the rule goes by that. Three questions
are answered at each check, from the stage's figures alone:

What is old enough?
    While tasks are queued, a backup takes the slot of a task that has to run anyway, so a task gets one only at an age
    where that is expected to save work (:mod:`asyncexec.straggler.restart_model`), or when it is slower than almost any
    so far. In the end phase slots are idle, and the stage is as slow as its slowest task: there it gets one soon after
    the bulk (J. Dean, S. Ghemawat, "MapReduce", OSDI 2004).

Do backups win?
    Wins observed are compared with wins expected of ordinary attempts in the same time
    (:mod:`asyncexec.straggler.copy_ledger`), in this stage and, with less weight, in others whose tasks call the same
    function. Until one has won, backups are a *trial*: few, no more than one for a task, on idle slots only, and
    stopped once an ordinary attempt would most likely have ended. If none wins, tasks are long by nature, and the trial
    is over.

What may be spent?
    Worker time, net: what backups cost without winning, less what those that won have saved. A trial may cost a share
    of the work done so far; what has run for long is expected to run for as long again (durations like Pareto's), so
    that each win earns further backups. Mantri weighs each backup's cost like that (G. Ananthanarayanan et al.,
    "Reining in the outliers in map-reduce clusters using Mantri", OSDI 2010); a bound of what speculation takes in all
    is in M. Zaharia et al., "Improving MapReduce performance in heterogeneous environments" (LATE), OSDI 2008.

Where attempts that lost cannot be stopped, every backup is paid for to its end, so that all of them together may cost
no more than a share of the work. They go to the last tasks, or to those that stand apart from all that have ended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from asyncexec.straggler.decision import BackupDecision, Ground
from asyncexec.straggler.rule import EVIDENCE, check_floor

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView
    from asyncexec.straggler.statistics import DurationStatistics

# While tasks are queued, backups take no more of the slots than this.
_BUSY_SHARE = 0.25
# Where worker time is billed, the end phase waits longer.
_METERED_FACTOR = 1.5
# The attempts of a task at once in the end phase, once backups have won. Where durations spread widely, its backups are
# often slow as well; elsewhere so many are never needed.
_MOST_COPIES = 4

# Before the first backup, so many wins count as observed, and as expected. Backups of other stages count for no more
# than so many expected wins, so that those of the stage itself can soon outweigh them.
_PRIOR = 1.5
_MOST_OF_OTHERS = 3.0
# Backups are proven once some have won, and no fewer than this share of those expected.
_PROVEN = 0.4
# Where fewer win than one in so many of those expected, the ages grow in proportion.
_BUSY_ONE_IN = 1.5
_DRAINING_ONE_IN = 4.0

# The worker time that a trial may cost, as shares of the work done so far. In the end phase: so much, and that of a few
# backups more, so that a stage of 50 tasks has some. While tasks are queued, it delays them.
_IDLE_SHARE = 0.07
_IDLE_BACKUPS = 2.5
_QUEUED_SHARE = 0.005
# What trials may cost in all: what is left after the above is for tasks that can hardly be so long by nature.
_IDLE_RESERVE = 0.14
_QUEUED_RESERVE = 0.02
# A backup of a trial runs for this share of the age of the attempt that it is to overtake, at least.
_TRIAL_SHARE = 0.75

# An attempt that is overtaken at some age is taken to have so many times that age left: it would be 1 for Pareto's
# distribution with an exponent of 2, and 2 with 1.5.
_RESIDUAL = 1.5
# Hardly any task is so many times the median by nature.
_FAR = 3.3

# Where losers run on: what backups may cost, as shares of the work, once proven and before.
_PAID_SHARE = 0.08
_PAID_TRIAL_SHARE = 0.05
# Before, one is expected to cost so many times the age at which it starts, and 3/4 of the longest; after, so many times
# the mean.
_PAID_TRIAL_AGES = 1.5
_PAID_MEANS = 1.3
# The last tasks of a stage: this share, or one.
_LAST_SHARE = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoPhase:
    """The default rule.

    Once backups have won:

    ========  ===========================================  ==================  ======================
    phase     backup beyond the age of                     attempts of a task  backups at once
    ========  ===========================================  ==================  ======================
    queued    the age at which it saves most work,         2                   a quarter of the slots
              ``max(3 * median, 99th centile)`` at most
    draining  ``max(min(1.25 * median, 1.1 * 90th),        4                   as many as slots
              75th)``
    ========  ===========================================  ==================  ======================

    Before, a task has one backup at most, in the end phase on idle slots only and from
    ``min(1.25 * median, 1.1 * 90th)`` on, and those that do not win in time are stopped. Together they may cost 7% of
    the work, and that of 2.5 backups more, as long as it is not seen that they do not win; 0.5% while tasks are queued.

    Where attempts that lost cannot be stopped, a task has one backup at most, and all together may cost 8% of the work,
    5% before some have won.

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
        trust = BackupTrust.of(view)
        if not view.cancels:
            decided = _paid_in_full(view, trust)
        else:
            decided = _proven(view, trust) if trust.proven else _trial(view, trust)
        # A backup may have to wait for a new worker before it can gain anything.
        age = max(decided.age_seconds or 0.0, self.floor_seconds + view.cold_start_seconds)
        return replace(decided, age_seconds=age)

    def threshold(self, view: StageView) -> float | None:
        return self.decide(view).age_seconds

    def copies(self, view: StageView) -> int:
        return self.decide(view).copies

    def backups(self, view: StageView) -> int:
        return self.decide(view).backups


@dataclass(frozen=True, slots=True)
class BackupTrust:
    """The trust in backups, by how those before them fared.

    Attributes
    ----------
    rate : float
        Wins observed over wins expected, 1 at most; 1 before there is any evidence.
    won : float
        The wins, those of other stages included as far as they count.
    """

    rate: float
    won: float

    @classmethod
    def of(cls, view: StageView) -> BackupTrust:
        """Return the trust in backups of a stage."""
        own, like = view.copies, view.like
        weight = min(1.0, _MOST_OF_OTHERS / like.expected) if like.expected else 1.0
        won = own.won + weight * like.won
        rate = (won + _PRIOR) / (own.expected + weight * like.expected + _PRIOR)
        return cls(min(1.0, rate), won)

    @property
    def proven(self) -> bool:
        """True once one has won, and no fewer than were to be expected by far."""
        return self.won >= 1.0 and self.rate >= _PROVEN

    def hope(self, one_in: float) -> float:
        """Return 1 if one in ``one_in`` of the expected wins was observed; in proportion less, if fewer were."""
        return min(1.0, one_in * self.rate)


# -- where attempts that lost are stopped


def _proven(view: StageView, trust: BackupTrust) -> BackupDecision:
    """Decide where backups have won."""
    stake = _bulk(view.statistics)
    # A single win may be chance.
    affordable = view.tasks if trust.won >= 2.0 else _affordable(view, trust, stake=stake)
    return BackupDecision(
        ground=Ground.IDLE if view.draining else Ground.QUEUED,
        age_seconds=_draining_age(view, trust) if view.draining else _queued_age(view, trust),
        copies=_MOST_COPIES if view.draining else 2,
        backups=min(_room(view), view.running_backups + affordable),
    )


def _trial(view: StageView, trust: BackupTrust) -> BackupDecision:
    """Decide where no backup has won yet, or too few."""
    statistics = view.statistics
    # An ordinary attempt has ended by then, most likely.
    enough = _bulk(statistics)
    affordable = _affordable(view, trust, stake=enough)
    if view.draining:
        age = _early(statistics) / trust.hope(_DRAINING_ONE_IN)
        if view.metered:
            age *= _METERED_FACTOR
        # Of several stages that run at once, another may want the slot a moment later.
        affordable = min(affordable, max(0, view.idle_slots))
    else:
        age = _queued_age(view, trust)
    if not affordable:
        if view.draining and view.idle_slots > 0 and not view.copies.expected:
            affordable = min(1, _reserve(view, stake=enough))
        else:
            age = max(age, _surprising(statistics))
            affordable = _reserve(view, stake=max(enough, _TRIAL_SHARE * age))
    return BackupDecision(
        ground=Ground.IN_VAIN if trust.rate < _PROVEN else Ground.TRIAL,
        age_seconds=age,
        copies=2,
        backups=min(_room(view), view.running_backups + affordable),
        stop_seconds=enough,
        stop_share=_TRIAL_SHARE,
    )


def _room(view: StageView) -> int:
    """Return the number of backups that there are slots for."""
    return view.slots if view.draining else max(1, int(_BUSY_SHARE * view.slots))


def _affordable(view: StageView, trust: BackupTrust, *, stake: float) -> int:
    """Return the number of further backups that net spending leaves room for, each of which may cost ``stake``."""
    if view.draining:
        # A few more do not matter where there are many tasks.
        few = _IDLE_BACKUPS * stake if view.tasks > 2 * EVIDENCE else 0.0
        allowed = _IDLE_SHARE * view.work_seconds + few
    else:
        allowed = _QUEUED_SHARE * view.work_seconds
    copies = view.copies
    saved = _RESIDUAL * copies.overtaken_seconds
    spent = copies.vain_seconds + max(copies.running_seconds, view.running_backups * stake)
    return _number(trust.rate * allowed + saved - spent, stake)


def _reserve(view: StageView, *, stake: float) -> int:
    """Return the number of further backups, each of which may cost ``stake``, that trials may cost in all."""
    share = _IDLE_RESERVE if view.draining else _QUEUED_RESERVE
    spent = view.copies.vain_seconds + view.running_backups * stake
    return _number(share * view.work_seconds - spent, stake)


def _number(seconds: float, stake: float) -> int:
    return max(0, int(seconds / stake)) if stake > 0 else 0


# -- where they run on


def _paid_in_full(view: StageView, trust: BackupTrust) -> BackupDecision:
    """Decide where attempts that lost cannot be stopped: every backup is paid for to its end."""
    statistics, copies = view.statistics, view.copies
    start = max(1.25 * statistics.quantile(0.5), statistics.quantile(0.75))
    if trust.proven:
        stake, share = _PAID_MEANS * statistics.mean_seconds, _PAID_SHARE
        running = view.running_backups * stake
    else:
        # One that loses runs as long as the first attempt of its task.
        stake = max(_PAID_TRIAL_AGES * start, 0.75 * statistics.quantile(0.99))
        share = _PAID_TRIAL_SHARE * trust.rate
        running = max(view.running_backups * stake, copies.running_seconds)
    # What is overtaken runs on, as long again as it has run: work that is done anyway.
    work = view.work_seconds + (1.0 + _RESIDUAL) * copies.overtaken_seconds
    spent = copies.vain_seconds + copies.won_seconds + running
    affordable = _number(share * work - spent, stake)
    left = view.tasks - view.completed - view.running_backups
    idle = view.idle_slots if view.draining else 0
    age = _surprising(statistics)
    if idle > 0 and affordable:
        age = start / trust.hope(_DRAINING_ONE_IN)
        if left > affordable:
            # Which of them need one most is not known yet, unless they stand apart.
            age = max(age, _apart(statistics))
    elif not affordable and not view.running_backups and not copies.vain_seconds:
        last = left <= max(1.0, _LAST_SHARE * view.tasks)
        affordable = int(last or not view.draining)
    most = _room(view) if trust.proven or idle <= 0 else view.running_backups + idle
    return BackupDecision(
        ground=Ground.PAID_IN_FULL,
        age_seconds=age,
        copies=2,
        backups=min(most, view.running_backups + affordable),
    )


# -- ages


def _queued_age(view: StageView, trust: BackupTrust) -> float:
    statistics = view.statistics
    hope = trust.hope(_BUSY_ONE_IN)
    # A bound by age alone, as attempts that hang never appear among the durations.
    age = max(3.0 * statistics.quantile(0.5), statistics.quantile(0.99)) / hope
    best = view.restart_model.optimal_restart_age(statistics, hope=hope)
    return age if best is None else min(age, best)


def _draining_age(view: StageView, trust: BackupTrust) -> float:
    age = _bulk(view.statistics) / trust.hope(_DRAINING_ONE_IN)
    return age * _METERED_FACTOR if view.metered else age


def _bulk(statistics: DurationStatistics) -> float:
    """Return the age by which an ordinary attempt has ended, most likely."""
    return max(_early(statistics), statistics.quantile(0.75))


def _early(statistics: DurationStatistics) -> float:
    """Return the age for the first few backups: early, so that it is known in time whether they win."""
    return min(1.25 * statistics.quantile(0.5), 1.1 * statistics.quantile(0.9))


def _apart(statistics: DurationStatistics) -> float:
    """Return an age that sets a task apart from those that have ended, however widely their durations spread."""
    median = statistics.quantile(0.5)
    spread = statistics.quantile(0.75) / median if median > 0 else 1.0
    # Of a lognormal distribution, the exponent 5.5 leaves one in 10,000 beyond. The spread of a few durations may be
    # far below that of all.
    far = median * math.pow(spread, 5.5 + 35.0 / statistics.count)
    return max(1.1 * statistics.quantile(0.99), far)


def _surprising(statistics: DurationStatistics) -> float:
    """Return an age that hardly any task reaches by nature."""
    far = max(_FAR * statistics.quantile(0.5), 1.5 * statistics.quantile(0.99))
    return max(far, _apart(statistics))
