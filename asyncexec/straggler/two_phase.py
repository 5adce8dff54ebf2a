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
    A trial is the first phase of explore-then-commit (T. Lattimore, C. Szepesvari, "Bandit Algorithms", 2020, chapter
    6): what it costs grows as the number of tasks to the power of 2/3, so that a small stage risks much of itself, and
    a large one little. A part is spent on what is older than the bulk; all of it once it pays for a backup of every
    task that is left, as a stage is as slow as its last task. After the first win, worker time counts, net: what
    backups cost in vain, less what those that won have saved. What has run for long is expected to run for as long
    again (durations like Pareto's), so that each win earns further ones. Mantri weighs each backup's cost like that (G.
    Ananthanarayanan et al., OSDI 2010); bounds of what speculation takes in all are in M. Zaharia et al. (LATE), OSDI
    2008; that small jobs may have several copies at little cost is shown in G. Ananthanarayanan et al. (Dolly), NSDI
    2013.

Where attempts that lost cannot be stopped, every backup is paid for to its end: all of them together may cost no more
than a share of the work, and none starts while other tasks wait for slots, unless some have won. The first are of the
youngest tasks beyond the bulk, which cost least and show as much; the others wait until all that are left can have one.

Ages are those of whole tasks, to which the durations of smaller ones are scaled. What backups cost, and the work that
is done, are worker time: an age counts there by the mean share of a whole task.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from asyncexec.straggler.backup_trust import BackupTrust
from asyncexec.straggler.decision import BackupDecision, Ground
from asyncexec.straggler.rule import EVIDENCE, check_floor
from asyncexec.straggler.slow_ages import bulk, early, surprising

if TYPE_CHECKING:
    from asyncexec.straggler.rule import StageView

_BUSY_SHARE = 0.25  # While tasks are queued, backups take no more of the slots.
_METERED_FACTOR = 1.5  # Where worker time is billed, the end phase waits longer.
# The attempts of a task at once in the end phase, once backups have won. Where durations spread widely, its backups are
# often slow as well; elsewhere so many are never needed.
_MOST_COPIES = 4

# Where at least this share of the expected ones is won, backups are free once two have.
_PROVEN = 0.4
# Where fewer win than one in so many of those expected, the ages grow in proportion.
_BUSY_ONE_IN = 1.5
_DRAINING_ONE_IN = 4.0

# The backups of a trial: so many, times the number of tasks to this power, and no more than a share of the work.
_TRIAL_BACKUPS = 0.27
_TRIAL_POWER = 2.0 / 3.0
_TRIAL_SHARE = 0.15
# The part while more tasks are left than have one; and one backup, if it costs no more than this share of the work.
_TRIAL_PART = 0.6
_FIRST_SHARE = 0.2
# After it, each further part waits until tasks are so many times as old.
_FURTHER_AGE = 20.0
_MOST_FURTHER = 10.0
# A backup of a trial runs for this share of the age of its task, at least: one that is not twice as fast saves little.
# Where some have won, but few, for the other.
_TRIAL_AGES = 0.5
_DOUBTFUL_AGES = 2.0
# While tasks are queued, backups delay them: the share of the work for a trial, and for what stands apart.
_QUEUED_SHARE = 0.005
_QUEUED_RESERVE = 0.01
# What backups may cost, net, once one has won: a share of the work, and so many backups where there are many tasks.
_NET_SHARE = 0.12
_NET_BACKUPS = 2.5

# What is overtaken is taken to have so many times its age left: for Pareto's distribution, 1 with an exponent of 2.
_RESIDUAL = 1.5

# Where losers run on: what backups may cost, as shares of the work, once some have won and before.
_PAID_SHARE = 0.08
_PAID_TRIAL_SHARE = 0.06
# One that loses costs so many times the age at which it starts; one that wins, the mean. Each win earns so many more.
_PAID_AGES = 1.2
_PAID_MEANS = 1.15
_PAID_PER_WIN = 4
# As above: the backups of a trial, and the part while many tasks are left.
_PAID_BACKUPS = 0.25
_PAID_PART = 0.45
# A task that has had a backup for as long as the first may be so many times as long.
_UNTRIED_AGES = 3.0
# One more for the last tasks (this share, or two), so many times as old as the longest, if little was spent before; and
# so many times, if a task that is as long again would cost more than this share of the work.
_LAST_SHARE = 0.06
_PAID_LAST_SHARE = 0.05
_LONGEST = 2.5
_UNPAID_LONGEST = 6.0
_MOST_PAID_SHARE = 0.15


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

    Before, backups are a trial: a task has one at most, in the end phase on idle slots only and from
    ``min(1.25 * median, 1.1 * 90th)`` on, and those that do not win in time are stopped. Of n tasks, ``0.16 * n ** (2 /
    3)`` may have one, and once no more are left, ``0.27 * n ** (2 / 3)``, as far as they cost no more than 15% of the
    work; while tasks are queued, half a percent.

    Where attempts that lost cannot be stopped, all together may cost 8% of the work, 6% before some have won.

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


# -- where attempts that lost are stopped


def _proven(view: StageView, trust: BackupTrust) -> BackupDecision:
    """Decide where backups have won."""
    stop = bulk(view.statistics)
    stake = stop * view.mean_share
    doubtful = trust.rate < _PROVEN
    # A single win may be chance.
    free = trust.won >= 2.0 and not doubtful
    affordable = view.tasks if free else _affordable(view, stake=stake)
    left = view.tasks - view.completed
    several = view.draining and (not doubtful or affordable >= _MOST_COPIES * left)
    return BackupDecision(
        ground=Ground.IDLE if view.draining else Ground.QUEUED,
        age_seconds=_draining_age(view, trust) if view.draining else _queued_age(view, trust),
        copies=_MOST_COPIES if several else 2,
        backups=min(_room(view), view.running_backups + affordable),
        stop_seconds=stop if doubtful else math.inf,
        stop_share=_DOUBTFUL_AGES,
    )


def _trial(view: StageView, trust: BackupTrust) -> BackupDecision:
    """Decide where no backup has won yet."""
    statistics, copies = view.statistics, view.copies
    # An ordinary attempt has ended by then, most likely.
    enough = max(bulk(statistics), 1.25 * statistics.quantile(0.5))
    each = enough * view.mean_share
    spent = copies.vain_seconds + max(copies.running_seconds, view.running_backups * each)
    if view.draining:
        age = early(statistics) * (_METERED_FACTOR if view.metered else 1.0)
        part, allowed = _trial_seconds(view, each=each)
        # Where other stages have used it up, there is one still for what can hardly be so long by nature.
        reserve = 0.0 if part > 0 else _FIRST_SHARE * view.work_seconds
    else:
        age = _queued_age(view, trust)
        allowed = part = _QUEUED_SHARE * view.work_seconds
        reserve = _QUEUED_RESERVE * view.work_seconds
    affordable = _number(allowed - spent, each)
    rare = surprising(statistics)
    if view.draining and affordable > view.idle_slots:
        # Of several stages that run at once, another may want the slot a moment later.
        affordable = max(0, view.idle_slots)
        if not affordable:
            affordable, age = 1, max(age, rare)
    elif not affordable:
        affordable = 1
        if spent + each <= reserve:
            age = max(age, rare)
        else:
            further = (spent + each - allowed) / part if part > 0 else math.inf
            age *= _FURTHER_AGE ** min(further, _MOST_FURTHER)
    return BackupDecision(
        ground=Ground.IN_VAIN if trust.rate < _PROVEN else Ground.TRIAL,
        age_seconds=age,
        copies=2,
        backups=min(_room(view), view.running_backups + affordable),
        stop_seconds=enough,
        stop_share=_TRIAL_AGES if view.draining else 0.0,
        yields_below_seconds=rare,
    )


def _trial_seconds(view: StageView, *, each: float) -> tuple[float, float]:
    """Return what a trial may cost while many tasks are left, and what it may cost now, in worker time."""
    most = _trial_backups(view, _TRIAL_BACKUPS) * each - view.like.vain_seconds
    whole = min(most, _TRIAL_SHARE * view.work_seconds)
    part = _TRIAL_PART * whole
    allowed = whole if view.tasks - view.completed <= whole / each else part
    if allowed < each <= min(most, _FIRST_SHARE * view.work_seconds):
        allowed = each
    return part, allowed


def _trial_backups(view: StageView, factor: float) -> float:
    """Return the number of backups of a trial, in all stages whose tasks are alike."""
    return float(factor * (view.tasks + view.like_tasks) ** _TRIAL_POWER)


def _room(view: StageView) -> int:
    """Return the number of backups that there are slots for."""
    return view.slots if view.draining else max(1, int(_BUSY_SHARE * view.slots))


def _affordable(view: StageView, *, stake: float) -> int:
    """Return the number of further backups that net spending leaves room for, each of which may cost ``stake``."""
    allowed = _NET_SHARE * view.work_seconds
    if view.draining and view.tasks > 2 * EVIDENCE:
        allowed += _NET_BACKUPS * stake
    spent = view.copies.vain_seconds - _RESIDUAL * view.copies.overtaken_seconds
    running = max(view.copies.running_seconds, view.running_backups * stake)
    return _number(allowed - spent - running, stake)


def _number(seconds: float, stake: float) -> int:
    return max(0, int(seconds / stake)) if stake > 0 else 0


# -- where they run on


def _paid_in_full(view: StageView, trust: BackupTrust) -> BackupDecision:
    """Decide where attempts that lost cannot be stopped: every backup is paid for to its end."""
    statistics, copies = view.statistics, view.copies
    start = max(1.25 * statistics.quantile(0.5), statistics.quantile(0.75))
    # One that loses runs as long as the first attempt of its task.
    stake = max(_PAID_AGES * start, 0.75 * statistics.quantile(0.99)) * view.mean_share
    spent = copies.vain_seconds + copies.won_seconds
    # What is overtaken runs on, as long again as it has run: work that is done anyway.
    work = view.work_seconds + (1.0 + _RESIDUAL) * copies.overtaken_seconds
    decide = _paid_proven if trust.proven else _paid_trial
    age = start / trust.hope(_DRAINING_ONE_IN)
    return decide(view, trust, age=age, stake=stake, spent=spent, work=work)


def _paid_proven(
    view: StageView, trust: BackupTrust, *, age: float, stake: float, spent: float, work: float
) -> BackupDecision:
    running = view.running_backups
    earned = int(_PAID_TRIAL_SHARE * work / stake + _PAID_PER_WIN * view.copies.won) - running
    if running:  # Tasks that are as old as those that have one now.
        stake = max(stake, view.copies.running_seconds / running)
    work += _RESIDUAL * trust.rate * view.running_seconds
    mean = _PAID_MEANS * view.statistics.mean_seconds * view.mean_share
    stake = trust.rate * mean + (1.0 - trust.rate) * stake
    # Those that win are known first.
    affordable = min(_number(_PAID_SHARE * work - spent - running * stake, stake), max(0, earned))
    left = view.tasks - view.completed - running
    if not view.draining or view.idle_slots <= 0:
        age = surprising(view.statistics)
    elif left > affordable:
        affordable = 0  # A stage is as slow as its last task.
    return BackupDecision(
        ground=Ground.PAID_IN_FULL,
        age_seconds=age,
        copies=_MOST_COPIES if affordable > _MOST_COPIES * left else 2,
        backups=min(_room(view), running + affordable),
    )


def _paid_trial(
    view: StageView, trust: BackupTrust, *, age: float, stake: float, spent: float, work: float
) -> BackupDecision:
    running, copies = view.running_backups, view.copies
    most = _trial_backups(view, _PAID_BACKUPS)
    left = view.tasks - view.completed - running
    most *= 1.0 if left <= most else _PAID_PART
    most -= (spent + view.like.vain_seconds) / stake + running
    allowed = _PAID_TRIAL_SHARE * trust.rate * work - spent
    allowed -= max(running * stake, copies.running_seconds)
    affordable = min(max(0, int(most)), _number(allowed, stake))
    if copies.expected < 1.0:
        # While none has had its chance, no more than are paid for if all of their tasks are far longer by nature.
        untried = max(1, _number(_PAID_TRIAL_SHARE * work, _UNTRIED_AGES * age * view.mean_share))
        affordable = min(affordable, max(0, untried - running))
    if not affordable and not running and spent <= _PAID_LAST_SHARE * work:
        affordable = int(left <= max(2.0, _LAST_SHARE * view.tasks))
        age = _last_age(view, work)
    idle = max(0, view.idle_slots) if view.draining else 0
    return BackupDecision(
        ground=Ground.PAID_IN_FULL,
        age_seconds=age,
        copies=2,
        backups=running + min(affordable, idle),
    )


# -- ages


def _last_age(view: StageView, work: float) -> float:
    """Return the age for a backup of one of the last tasks, which may be as long again."""
    longest = view.statistics.quantile(1.0)
    age = max(surprising(view.statistics), _LONGEST * longest)
    paid = 2.0 * age * view.mean_share <= _MOST_PAID_SHARE * work
    return age if paid else max(age, _UNPAID_LONGEST * longest)


def _queued_age(view: StageView, trust: BackupTrust) -> float:
    statistics = view.statistics
    hope = trust.hope(_BUSY_ONE_IN)
    # A bound by age alone, as attempts that hang never appear among the durations.
    age = max(3.0 * statistics.quantile(0.5), statistics.quantile(0.99)) / hope
    best = view.restart_model.optimal_restart_age(statistics, hope=hope)
    return age if best is None else min(age, best)


def _draining_age(view: StageView, trust: BackupTrust) -> float:
    age = bulk(view.statistics) / trust.hope(_DRAINING_ONE_IN)
    return age * _METERED_FACTOR if view.metered else age
