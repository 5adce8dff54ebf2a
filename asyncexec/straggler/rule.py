"""The protocol of straggler rules: from a stage's figures, the age at which a running task gets a backup.

The monitor (:mod:`asyncexec.straggler.monitor`) keeps the running attempts of a stage in order of their start, asks the
rule for its threshold from time to time, and looks only at attempts beyond it. The scheduler starts backups oldest
first, on another worker where it can choose.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from asyncexec.errors import OptionError
from asyncexec.straggler.copy_ledger import NO_COPIES, CopyFigures
from asyncexec.straggler.decision import BackupDecision
from asyncexec.straggler.restart_model import RestartModel
from asyncexec.straggler.statistics import DurationStatistics

EVIDENCE = 10
"""The least number of durations to decide from; small stages decide from half of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageView:
    """The figures of a stage that rules decide from.

    >>> from asyncexec.straggler import DurationStatistics, StageView, TwoPhase
    >>> view = StageView(
    ...     tasks=100, completed=95, draining=True, slots=10, running_backups=0, cancels=True,
    ...     metered=False, statistics=DurationStatistics([10.0] * 95), work_seconds=950.0, idle_slots=5,
    ... )
    >>> round(TwoPhase().threshold(view), 1), TwoPhase().backups(view)
    (11.0, 5)

    Attributes
    ----------
    tasks, completed : int
        The stage's tasks, and those that are complete.
    draining : bool
        Whether slots are idle: nothing of the stage is queued, and no attempt has been sent that waits for a slot.
    slots : int
        The attempts that the backend runs at once.
    running_backups : int
        Backups running now.
    cancels : bool
        Whether attempts that lost can be stopped.
    metered : bool
        Whether worker time is billed.
    statistics : DurationStatistics
        The durations of successful attempts of the stage, measured on the workers and scaled to whole tasks (chunks at
        the edge of an array are smaller); until there are enough, those of tasks that call the same function on chunks
        of the same size in other stages and earlier runs.
    cold_start_seconds : float
        The time that an attempt on a new worker takes to start, at the least that was seen.
    copies : CopyFigures
        The account of the stage's backups,
    like : CopyFigures
        and of those of other stages, of this run and earlier ones, whose tasks call the same function.
    like_tasks : int
        The tasks of such stages that are complete.
    work_seconds : float
        The worker time of the stage's attempts so far, but for backups,
    running_seconds : float
        and the part of those that run now.
    mean_share : float
        The worker time of a task, on average, as a share of what a whole one takes: what durations of ``statistics``
        are multiplied by to be compared with worker time.
    idle_slots : int
        The slots that nothing takes, in this run or another; negative where attempts wait for slots.
    restart_model : RestartModel
        Computes the age at which a backup saves work.
    elapsed_seconds : float
        The time since the stage's first attempt was sent.
    completions : DurationStatistics
        Seconds from there to the end of each task.
    """

    tasks: int
    completed: int
    draining: bool
    slots: int
    running_backups: int
    cancels: bool
    metered: bool
    statistics: DurationStatistics
    cold_start_seconds: float = 0.0
    copies: CopyFigures = NO_COPIES
    like: CopyFigures = NO_COPIES
    like_tasks: int = 0
    work_seconds: float = 0.0
    running_seconds: float = 0.0
    mean_share: float = 1.0
    idle_slots: int = 0
    restart_model: RestartModel = field(default_factory=RestartModel)
    elapsed_seconds: float = 0.0
    completions: DurationStatistics = field(default_factory=DurationStatistics)


def steady(rule: Rule) -> bool:
    """Return whether the answers of ``rule`` depend on the stage's figures only, and not on time.

    Such a rule has an attribute ``steady`` that is True, and is called when the figures change. Others are called ten
    times a second.
    """
    return bool(getattr(rule, "steady", False))


@runtime_checkable
class Rule(Protocol):
    """A straggler rule; it has no state, so one rule may serve many stages."""

    @property
    def name(self) -> str:
        """The rule's name, as users write it."""
        ...

    @property
    def floor_seconds(self) -> float:
        """The age before which no task gets a backup."""
        ...

    def threshold(self, view: StageView) -> float | None:
        """Return the age in seconds, since the newest attempt's start on a worker, beyond which a task gets a backup.

        Smaller tasks get theirs earlier in proportion, but not below the floor. None means that no task gets one now.
        """
        ...

    def copies(self, view: StageView) -> int:
        """Return the number of attempts of one task that may run at once."""
        ...

    def backups(self, view: StageView) -> int:
        """Return the number of backups that may run at once."""
        ...


@runtime_checkable
class DecidingRule(Rule, Protocol):
    """A rule that answers all questions at once, with its ground; the answers one by one are those of its decision."""

    def decide(self, view: StageView) -> BackupDecision:
        """Return the decision about a stage."""
        ...


def decide(rule: Rule, view: StageView) -> BackupDecision:
    """Return the decision of any rule about a stage: a function of ``view`` alone, unless the rule looks elsewhere."""
    if isinstance(rule, DecidingRule):
        return rule.decide(view)
    age = rule.threshold(view)
    # What is no number is found here, and not at some later check.
    copies = rule.copies(view) + 0
    return BackupDecision(
        age_seconds=age, copies=copies, backups=0 if age is None else rule.backups(view) + 0
    )


def check_floor(seconds: float) -> None:
    """Raise unless ``seconds`` can be a rule's ``floor_seconds``.

    Raises
    ------
    OptionError
        If it is not a finite number of at least 0.
    """
    if not math.isfinite(seconds) or seconds < 0:
        raise OptionError(
            f"straggler: floor_seconds must be finite and at least 0, not {seconds!r}"
        )
