"""The monitor of one stage's running attempts, which finds those slow enough for their tasks to get a backup.

The scheduler reports the start and the end of attempts to the monitor, and calls it from time to time. The rule
(:mod:`asyncexec.straggler.rule`) decides the age at which a task gets a backup; the monitor finds the attempts beyond
that age, and keeps the figures that rules need. Nothing here reads a clock: times are arguments.

Attempts are kept oldest first, so that the cost of a check depends on the overdue attempts, not on all that run.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from asyncexec.events.outcome import Status
from asyncexec.straggler.decision import BackupDecision, BackupVerdict, verdict_of
from asyncexec.straggler.restart_model import RestartModel
from asyncexec.straggler.rule import EVIDENCE, StageView, decide, steady
from asyncexec.straggler.statistics import DurationStatistics
from asyncexec.straggler.task_sizes import SlowThreshold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from asyncexec.events.outcome import Outcome
    from asyncexec.events.stage_result import StageResult
    from asyncexec.straggler.rule import Rule
    from asyncexec.straggler.task_sizes import TaskSizes
    from asyncexec.straggler.worker_starts import WorkerStarts

CHECK_SECONDS = 0.1
"""The interval of checks: thresholds move with the statistics."""

_TYPICAL_TASKS = 16
_NOT_TYPICAL = (-2 * _TYPICAL_TASKS, 0.0)
_NO_DURATIONS = DurationStatistics()


class WatchedTask(Protocol):
    """A task that has had several attempts, or is about to."""

    @property
    def complete(self) -> bool:
        """True once an attempt has succeeded."""
        ...

    @property
    def failures(self) -> int:
        """Its attempts that count as failures."""
        ...

    @property
    def alive(self) -> Mapping[int, object]:
        """Its attempts in flight by id, oldest first."""
        ...


class WatchedAttempt(Protocol):
    """An attempt that runs on a worker."""

    @property
    def id(self) -> int: ...

    @property
    def task(self) -> int: ...

    @property
    def started(self) -> float:
        """The time at which it was reported to have started, by the scheduler's clock."""
        ...

    @property
    def timed_out(self) -> bool:
        """True while it is being stopped, as it ran for too long."""
        ...

    @property
    def task_record(self) -> WatchedTask | None:
        """Its task's record; None while the task has had no other attempt."""
        ...


class StragglerSnapshot(NamedTuple):
    """The stage's figures at the last check, and the rule's decision: it holds as long as the figures do not change."""

    completed: int
    draining: bool
    decision: BackupDecision


class AttemptMonitor[A: WatchedAttempt]:
    """Finds the slow attempts of a stage.

    Parameters
    ----------
    rule : Rule
    figures : StageResult
        Of the stage, kept by the scheduler.
    history : DurationStatistics
        The durations of tasks of the same kind, in any stage and run; this stage's are added to it.
    sizes : TaskSizes or None
    starts : WorkerStarts
    slots : callable
        Returns the number of attempts that the backend runs at once, now.
    kills, metered : bool
        Whether the backend can stop an attempt that runs, and whether worker time is billed.
    attempts : int
        How many attempts of a task may fail: with those that run, there are never more than these and the backups that
        the rule lets run at once.

    Attributes
    ----------
    attempts : dict of int to attempt
        Those known to run on a worker, by id, oldest first.
    backups : list of int
        Tasks that are to get a backup; the scheduler removes them as it sends them.
    statistics : DurationStatistics
        The durations of attempts on their workers, scaled to whole tasks.
    completions : DurationStatistics or None
        The times from the stage's start to the end of each task; None where the rule's answers do not depend on time.
    active : bool
        Whether there may be backups at all.
    checked_at : float
        The time of the last check.
    settled_backups, won_backups : int
        Backups that started on a worker and have ended, and those that were the first to succeed.
    """

    __slots__ = (
        "_attempts",
        "_figures",
        "_kills",
        "_metered",
        "_restart_model",
        "_running_backups",
        "_slots",
        "_snapshot",
        "_starts",
        "_typical",
        "active",
        "attempts",
        "backups",
        "checked_at",
        "completions",
        "history",
        "rule",
        "settled_backups",
        "sizes",
        "statistics",
        "won_backups",
    )

    def __init__(
        self,
        rule: Rule,
        figures: StageResult,
        *,
        history: DurationStatistics,
        sizes: TaskSizes | None,
        starts: WorkerStarts,
        slots: Callable[[], int],
        kills: bool,
        metered: bool,
        attempts: int,
    ) -> None:
        self.rule = rule
        self.active = rule.name != "off"
        self.history = history
        self.sizes = sizes
        self.attempts: dict[int, A] = {}
        self.backups: list[int] = []
        self.statistics = DurationStatistics()
        self.completions = None if steady(rule) else DurationStatistics()
        self.checked_at = 0.0
        self.settled_backups = self.won_backups = 0
        self._running_backups = 0
        self._figures = figures
        self._starts = starts
        self._slots = slots
        self._kills = kills
        self._metered = metered
        self._attempts = attempts
        self._restart_model: RestartModel | None = None
        self._snapshot: StragglerSnapshot | None = None
        self._typical = _NOT_TYPICAL

    # -- reports of the scheduler

    def succeeded(self, outcome: Outcome, task: int) -> float:
        """Add the duration of an attempt that succeeded; return it scaled to a whole task."""
        seconds = outcome.seconds if self.sizes is None else self._whole_seconds(outcome, task)
        self.statistics.add(seconds)
        return seconds

    def stopped(self, outcome: Outcome, task: int) -> float:
        """Add the duration so far of an attempt that was stopped because another of its task had succeeded.

        Returns it scaled to a whole task.
        """
        seconds = self._whole_seconds(outcome, task)
        self._model().stopped.add(seconds)
        return seconds

    def task_completed(self, elapsed_seconds: float, *, by_backup: bool) -> None:
        """Record that a task is complete, so long after the stage's start; the stage's figures count it already."""
        if self.completions is not None:
            self.completions.add(elapsed_seconds)
        self.won_backups += by_backup
        if self._figures.completed == EVIDENCE and not self.history.count:
            # Early, as other stages of the same function have nothing better yet.
            self.share_durations()

    def backup_sent(self) -> None:
        """Record that a backup was sent to the backend."""
        self._running_backups += 1

    def backup_ended(self, *, started: bool) -> None:
        """Record that a backup has ended, on a worker or before it started."""
        self._running_backups -= 1
        self.settled_backups += started

    def share_durations(self) -> None:
        """Add this stage's durations to the history, for stages that call the same function, in this run and later."""
        if self.statistics.count:
            self.history.merge(self.statistics)

    # -- questions of the scheduler

    @property
    def known_durations(self) -> DurationStatistics:
        """The stage's own durations where there are enough to decide from, else those of tasks of the same kind."""
        own = self.statistics
        enough = own.count >= min(EVIDENCE, self._figures.tasks / 2)
        return own if enough or not self.history.count else self.history

    def typical_seconds(self) -> float:
        """Return the median duration of whole tasks, cached until there are some 10% more."""
        count = self.statistics.count
        if count >= 1.1 * self._typical[0] + _TYPICAL_TASKS:
            self._typical = count, self.statistics.quantile(0.5)
        return self._typical[1]

    def slow(self, now: float, *, elapsed_seconds: float, draining: bool) -> list[A]:
        """Return the attempts whose tasks get a backup now, oldest first.

        Parameters
        ----------
        now : float
        elapsed_seconds : float
            Since the stage's first attempt was sent.
        draining : bool
            Whether slots are idle while nothing of the stage is queued.
        """
        self.checked_at = now
        view = self._view(elapsed_seconds, draining=draining)
        decision = decide(self.rule, view)
        self._snapshot = StragglerSnapshot(view.completed, draining, decision)
        age = decision.age_seconds
        if age is None or (room := self._room(decision)) <= 0:
            return []
        return list(islice(self._beyond(self._slow_threshold(age), now, decision.copies), room))

    @property
    def decision(self) -> BackupDecision | None:
        """The rule's decision at the last check; None before the first."""
        return None if self._snapshot is None else self._snapshot.decision

    def verdict(self, attempt: A, now: float) -> BackupVerdict:
        """Return whether the task of an attempt that runs gets a backup by the last decision, and why not."""
        decision = self.decision
        if attempt.timed_out or attempt.task in self.backups:
            return BackupVerdict.STOPPING if attempt.timed_out else BackupVerdict.SENT
        room, slow_age, possible = 0, math.inf, True
        if decision is not None and decision.age_seconds is not None:
            threshold = self._slow_threshold(decision.age_seconds)
            beyond = self._beyond(threshold, now, decision.copies)
            older = sum(1 for other in beyond if other.started < attempt.started)
            room, slow_age = self._room(decision) - older, threshold.of_task(attempt.task)
            record = attempt.task_record
            possible = record is None or self._may_have_another(record, attempt, decision.copies)
        return verdict_of(
            decision,
            age_seconds=now - attempt.started,
            slow_age_seconds=slow_age,
            may_have_another=possible,
            room=room,
        )

    def next_check(self, *, draining: bool) -> float:
        """Return the earliest time at which an attempt may be slow; infinity if that takes a report first."""
        if not self.active:
            return math.inf
        soon = self.checked_at + CHECK_SECONDS
        snapshot = self._snapshot
        if (
            snapshot is None
            or snapshot.completed != self._figures.completed
            or snapshot.draining != draining
            or not steady(self.rule)
        ):
            return soon
        age = snapshot.decision.age_seconds
        if age is None:
            return math.inf
        threshold = self._slow_threshold(age)
        least, due = threshold.least, math.inf
        # Oldest first: once even the smallest task would be slow only after the earliest time found, none comes before.
        for attempt in self._candidates(snapshot.decision.copies):
            if attempt.started + least >= due:
                break
            due = min(due, attempt.started + threshold.of_task(attempt.task))
        return max(soon, due)

    # -- inside

    def _room(self, decision: BackupDecision) -> int:
        """Return the number of backups that may start now."""
        return decision.backups - self._running_backups - len(self.backups)

    def _whole_seconds(self, outcome: Outcome, task: int) -> float:
        """Return the duration of an attempt, scaled to a whole task."""
        sizes = self.sizes
        if sizes is None:
            return outcome.seconds
        nbytes = outcome.read_bytes + outcome.written_bytes
        # An attempt that was stopped may have written nothing yet, and not every backend reports bytes.
        measured = nbytes and outcome.status is Status.SUCCEEDED
        return outcome.seconds / (sizes.of_bytes(nbytes) if measured else sizes.of(task))

    def _slow_threshold(self, seconds: float) -> SlowThreshold:
        floor = self.rule.floor_seconds + self._starts.cold_start_seconds
        return SlowThreshold(seconds=seconds, floor_seconds=floor, sizes=self.sizes)

    def _beyond(self, threshold: SlowThreshold, now: float, copies: int) -> Iterator[A]:
        """Yield the attempts that have run beyond the threshold, oldest first."""
        least = threshold.least
        for attempt in self._candidates(copies):
            if now < attempt.started + least:
                return
            if threshold.sizes is None or now >= attempt.started + threshold.of_task(attempt.task):
                yield attempt

    def _candidates(self, copies: int) -> Iterator[A]:
        """Yield the attempts whose tasks may have a backup if these are slow, oldest first."""
        for attempt in self.attempts.values():
            if not attempt.timed_out and attempt.task not in self.backups:
                record = attempt.task_record
                if record is None or self._may_have_another(record, attempt, copies):
                    yield attempt

    def _may_have_another(self, record: WatchedTask, newest: A, copies: int) -> bool:
        """Return whether ``newest`` is the task's newest attempt and one more is allowed.

        A task that is complete gets no backup, although its other attempts run until they are stopped. Neither does one
        whose failures, and attempts that run, are as many as may fail and as the rule adds to that.
        """
        alive = record.alive
        return (
            not record.complete
            and len(alive) < copies
            and record.failures + len(alive) < self._attempts + copies - 1
            and next(reversed(alive)) == newest.id
        )

    def _model(self) -> RestartModel:
        if self._restart_model is None:
            self._restart_model = RestartModel()
        return self._restart_model

    def _view(self, elapsed_seconds: float, *, draining: bool) -> StageView:
        return StageView(
            tasks=self._figures.tasks,
            completed=self._figures.completed,
            draining=draining,
            slots=self._slots(),
            running_backups=self._running_backups,
            cancels=self._kills,
            metered=self._metered,
            statistics=self.known_durations,
            cold_start_seconds=self._starts.cold_start_seconds,
            started_backups=self._figures.backups,
            settled_backups=self.settled_backups,
            won_backups=self.won_backups,
            restart_model=self._model(),
            elapsed_seconds=elapsed_seconds,
            completions=self.completions or _NO_DURATIONS,
        )
