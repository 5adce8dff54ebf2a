"""Decisions of straggler rules about a stage, with their ground, and verdicts on each attempt: values alone.

A decision is a function of a :class:`~asyncexec.straggler.rule.StageView`, and a verdict one of a decision and figures
of one attempt. So both can be computed again from the history of a run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Ground(StrEnum):
    """The ground of a rule's decision about a stage."""

    TOO_FEW = "too few durations are known"
    QUEUED = "tasks are queued, so that a backup takes the slot of another task"
    IDLE = "slots are idle, so that a backup takes no other task's slot"
    TRIAL = "no backup has won yet, so that a few are a trial"
    IN_VAIN = "backups are in vain: the tasks seem to be long by nature"
    PAID_IN_FULL = "attempts that lost run on, so that every backup is paid for in full"
    OWN_RULE = "the rule gives no ground"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupDecision:
    """A rule's answer for a stage: what gets a backup, and how many at once.

    >>> from asyncexec.straggler import BackupDecision
    >>> decision = BackupDecision(age_seconds=10.0, copies=2, backups=5)
    >>> decision.age_seconds, decision.stop_seconds
    (10.0, inf)

    Attributes
    ----------
    ground : Ground
    age_seconds : float or None
        The age, since the newest attempt started on a worker, beyond which a whole task gets a backup; smaller ones get
        theirs earlier in proportion. None if no task gets one now.
    copies : int
        The attempts of one task that may run at once.
    backups : int
        The backups that may run at once.
    stop_seconds : float
        The time after which a backup that has not won is stopped, its task being long by nature; infinity for never.
    stop_share : float
        No backup is stopped before it has run for this share of the age that its task's first attempt had.
    yields_below_seconds : float
        Backups of tasks that are younger are stopped where other tasks wait for slots.
    """

    ground: Ground = Ground.OWN_RULE
    age_seconds: float | None
    copies: int
    backups: int
    stop_seconds: float = math.inf
    stop_share: float = 0.0
    yields_below_seconds: float = 0.0


class Snapshot(NamedTuple):
    """The stage's figures at the last check, and the rule's decision, which holds until they change."""

    completed: int
    ended_backups: int
    draining: bool
    decision: BackupDecision


class BackupVerdict(StrEnum):
    """The reason why an attempt's task gets a backup, or none."""

    BACKUP = "it gets a backup"
    NOT_NOW = "no task of the stage gets a backup now"
    YOUNGER = "its newest attempt is younger than the age of the decision"
    HAS_COPIES = (
        "as many of its attempts run as may run at once, or have failed as often as they may"
    )
    ENOUGH_BACKUPS = "as many backups run as may run at once, for tasks that are older"
    STOPPING = "it is being stopped, as it ran for too long"
    SENT = "its backup is to be sent"


def verdict_of(
    decision: BackupDecision | None,
    *,
    age_seconds: float,
    slow_age_seconds: float,
    may_have_another: bool,
    room: int,
) -> BackupVerdict:
    """Return whether a task gets a backup.

    >>> from asyncexec.straggler.decision import BackupDecision, verdict_of
    >>> decision = BackupDecision(age_seconds=10.0, copies=2, backups=5)
    >>> verdict_of(decision, age_seconds=12.0, slow_age_seconds=10.0, may_have_another=True, room=0).name
    'ENOUGH_BACKUPS'

    Parameters
    ----------
    decision : BackupDecision or None
        The last one about its stage.
    age_seconds : float
        The age of the task's newest attempt.
    slow_age_seconds : float
        The age of the decision, scaled to the size of the task.
    may_have_another : bool
        Whether the task's attempts leave room for one more.
    room : int
        The backups that may start now, less those for older attempts.
    """
    if decision is None or decision.age_seconds is None:
        return BackupVerdict.NOT_NOW
    if not may_have_another:
        return BackupVerdict.HAS_COPIES
    if age_seconds < slow_age_seconds:
        return BackupVerdict.YOUNGER
    return BackupVerdict.BACKUP if room > 0 else BackupVerdict.ENOUGH_BACKUPS
