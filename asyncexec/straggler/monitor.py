"""The monitor of one stage's running attempts, which finds those slow enough for their tasks to get a backup.

The scheduler reports the start and the end of attempts to the monitor, and calls it from time to time. The rule
(:mod:`asyncexec.straggler.rule`) decides the age at which a task gets a backup; the monitor finds the attempts beyond
that age, and keeps the figures that rules need. Nothing here reads a clock: times are arguments.

Attempts are kept oldest first, so that the cost of a check depends on the overdue attempts, not on all that run.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

from asyncexec.straggler.copy_watch import CopyWatch
from asyncexec.straggler.decision import BackupDecision, BackupVerdict, Snapshot, verdict_of
from asyncexec.straggler.restart_model import RestartModel
from asyncexec.straggler.rule import EVIDENCE, StageView, decide, steady
from asyncexec.straggler.statistics import DurationStatistics
from asyncexec.straggler.task_drift import TaskDrift
from asyncexec.straggler.task_sizes import SlowThreshold, share_of, whole_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncexec.events.outcome import Outcome
    from asyncexec.events.stage_result import StageResult
    from asyncexec.straggler.copy_ledger import CopyLedger
    from asyncexec.straggler.rule import Rule
    from asyncexec.straggler.task_sizes import TaskSizes
    from asyncexec.straggler.watched import WatchedAttempt, WatchedTask
    from asyncexec.straggler.worker_starts import WorkerStarts

CHECK_SECONDS = 0.1
"""The interval of checks: thresholds move with the statistics."""

_TYPICAL_TASKS = 16
_PATIENCE = 0.02
_DRIFT_SECONDS = 0.1  # Shorter tasks get no backup anyway.
_NO_DURATIONS = DurationStatistics()


class AttemptMonitor[A: WatchedAttempt]:
    """Finds the slow attempts of a stage.

    Parameters
    ----------
    rule : Rule
    figures : StageResult
        Of the stage, kept by the scheduler.
    history : DurationStatistics
        The durations of tasks of the same kind, in any stage and run; this stage's are added to it.
    like : CopyLedger
        The account of their backups.
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
    drift : TaskDrift
        The drift of those durations along the stage.
    completions : DurationStatistics or None
        The times from the stage's start to the end of each task; None where the rule's answers do not depend on time.
    active : bool
        Whether there may be backups at all.
    checked_at : float
        The time of the last check.
    started_at : float
        The sum of the times at which the attempts that run have started.
    won_backups : int
        Backups that were the first to succeed.
    """

    __slots__ = (  # Not formatted: a line a name says no more.
        "_attempts", "_copies", "_done_seconds", "_figures", "_kills", "_like", "_metered", "_restart_model",
        "_slots", "_snapshot", "_starts", "_typical", "active", "attempts", "backups", "checked_at",
        "completions", "drift", "history", "rule", "sizes", "started_at", "statistics", "won_backups",
    )  # fmt: skip

    def __init__(
        self,
        rule: Rule,
        figures: StageResult,
        *,
        history: DurationStatistics,
        like: CopyLedger,
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
        self.drift = TaskDrift(figures.tasks, None if sizes is None else sizes.bytes_of)
        self.attempts: dict[int, A] = {}
        self.backups: list[int] = []
        self.statistics = DurationStatistics()
        self.completions = None if steady(rule) else DurationStatistics()
        self.checked_at = 0.0
        self._like = like
        self._copies: CopyWatch[A] | None = None
        self.started_at = 0.0
        self.won_backups = 0
        self._done_seconds = 0.0  # Of worker time, where `statistics` are of whole tasks.
        self._figures = figures
        self._starts = starts
        self._slots = slots
        self._kills = kills
        self._metered = metered
        self._attempts = attempts
        self._restart_model: RestartModel | None = None
        self._snapshot: Snapshot | None = None
        self._typical: tuple[int, float] = -2 * _TYPICAL_TASKS, 0.0

    @property
    def copies(self) -> CopyWatch[A]:
        """The backups that run, and how those before them fared; made when first asked for."""
        if self._copies is None:
            self._copies = CopyWatch(self._like, kills=self._kills, longer=self._share_longer)
        return self._copies

    @property
    def idle(self) -> bool:
        """True where no attempt runs, and no backup was ever sent."""
        copies = self._copies
        return not self.attempts and (copies is None or not (copies.sent or copies.ended))

    # -- reports of the scheduler

    def succeeded(self, outcome: Outcome, task: int) -> float:
        """Add the duration of an attempt that succeeded; return it scaled to a whole task."""
        sizes = self.sizes
        seconds = outcome.seconds if sizes is None else whole_seconds(outcome, task, sizes)
        self.statistics.add(seconds)
        self._done_seconds += outcome.seconds
        if seconds > _DRIFT_SECONDS:
            self.drift.add(task, seconds)
        if self._is_small:
            self.history.add(seconds)
        return seconds

    def stopped(self, outcome: Outcome, task: int) -> float:
        """Add the duration so far of an attempt that lost and was stopped; return it scaled to a whole task."""
        self._model().stopped.add(seconds := whole_seconds(outcome, task, self.sizes))
        return seconds

    def task_completed(self, elapsed_seconds: float, *, by_backup: bool) -> None:
        """Record that a task is complete, so long after the stage's start; the stage's figures count it already."""
        if self.completions is not None:
            self.completions.add(elapsed_seconds)
        self.won_backups += by_backup
        if self._figures.completed == EVIDENCE and not self.history.count:
            # Early, as other stages of the same function have nothing better yet.
            self.share_durations()

    def share_durations(self) -> None:
        """Add this stage's durations to the history, for stages that call the same function, in this run and later."""
        if self.statistics.count and not self._is_small:
            self.history.merge(self.statistics)

    # -- questions of the scheduler

    @property
    def known_durations(self) -> DurationStatistics:
        """The stage's own durations where there are enough to decide from, else those of tasks of the same kind.

        A small stage never has enough of its own where others have been like it.
        """
        own, others = self.statistics, self.history
        enough = own.count >= min(EVIDENCE, self._figures.tasks / 2)
        if enough and not (self._is_small and others.count > own.count):
            return own
        return others if others.count else own

    @property
    def _is_small(self) -> bool:
        """True for a stage so small that its durations are shared one by one."""
        return self._figures.tasks < 2 * EVIDENCE

    def typical_seconds(self) -> float:
        """Return the median duration of whole tasks, cached until there are some 10% more."""
        count = self.statistics.count
        if count >= 1.1 * self._typical[0] + _TYPICAL_TASKS:
            self._typical = count, self.statistics.quantile(0.5)
        return self._typical[1]

    def slow(
        self, now: float, *, elapsed_seconds: float, draining: bool, idle_slots: int = 0
    ) -> list[A]:
        """Return the attempts whose tasks get a backup now, oldest first.

        Parameters
        ----------
        now : float
        elapsed_seconds : float
            Since the stage's first attempt was sent.
        draining : bool
            Whether slots are idle while nothing of the stage is queued.
        idle_slots : int
            Slots that nothing takes; negative where attempts wait for one.
        """
        self.checked_at = now
        view = self._view(now, elapsed_seconds, draining=draining, idle_slots=idle_slots)
        decision = decide(self.rule, view)
        self._snapshot = Snapshot(view.completed, self.copies.ended, draining, decision)
        age = decision.age_seconds
        if age is None or (room := self._room(decision)) <= 0:
            return []
        slow = list(islice(self._beyond(self._slow_threshold(age), now, decision.copies), room))
        if draining:
            self.copies.for_idle_slots.update(a.task for a in slow)
        return slow

    def may_try_another(self, attempt: A) -> bool:
        """Return whether an attempt that seems to hang may have a backup, even if the rule grants none.

        It may if it is the only one of its task, and there are backups at all.
        """
        decision, record = self.decision, attempt.task_record
        copies = 2 if decision is None else min(2, decision.copies)
        possible = record is None or self._may_have_another(record, attempt, copies)
        return self.active and possible and attempt.task not in self.backups

    def pays_for_another(self, seconds: float, now: float) -> bool:
        """Return whether the work so far pays for one more backup, of an attempt that has run for so long."""
        done = self._done_seconds + len(self.attempts) * now - self.started_at
        return self._kills or self.copies.paid_by(done, seconds, queued=len(self.backups), now=now)

    def in_vain(self, now: float, *, idle_slots: int = 0) -> list[A]:
        """Return the backups that are to be stopped by the last decision.

        Those have run in vain for long enough, or other tasks wait for their slots (``idle_slots`` is negative).
        """
        decision = self.decision
        return [] if decision is None else self.copies.to_stop(decision, now, idle_slots=idle_slots)

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
            room, slow_age = self._room(decision) - older, threshold.of_attempt(attempt)
            record = attempt.task_record
            possible = record is None or self._may_have_another(record, attempt, decision.copies)
        return verdict_of(
            decision,
            age_seconds=now - attempt.started,
            slow_age_seconds=slow_age,
            may_have_another=possible,
            room=room,
        )

    def next_check(self, *, draining: bool, idle_slots: int = 0) -> float:
        """Return the earliest time at which an attempt may be slow; infinity if that takes a report first."""
        if not self.active:
            return math.inf
        soon = self.checked_at + CHECK_SECONDS
        snapshot = self._snapshot
        if (
            snapshot is None
            or snapshot.completed != self._figures.completed
            or snapshot.ended_backups != self.copies.ended
            or snapshot.draining != draining
            or not steady(self.rule)
        ):
            return soon
        decision = snapshot.decision
        if idle_slots < 0 and self.copies.yields(decision):
            return soon
        stop = max(self.checked_at, self.copies.next_stop(decision))
        age = decision.age_seconds
        if age is None:
            return stop
        if self._room(decision) <= 0:
            # What may run grows with the work that was done, a little in a hundredth of the age.
            soon = self.checked_at + max(CHECK_SECONDS, _PATIENCE * age)
        threshold = self._slow_threshold(age)
        least, due = threshold.least, math.inf
        # Oldest first: once even the smallest task would be slow only after the earliest time found, none comes before.
        for attempt in self._candidates(decision.copies):
            if attempt.started + least >= due:
                break
            due = min(due, attempt.started + threshold.of_attempt(attempt))
        return min(stop, max(soon, due))

    # -- inside

    def _room(self, decision: BackupDecision) -> int:
        """Return the number of backups that may start now."""
        return decision.backups - self.copies.sent - len(self.backups)

    def _slow_threshold(self, seconds: float) -> SlowThreshold:
        floor = self.rule.floor_seconds + self._starts.cold_start_seconds
        return SlowThreshold(
            seconds=seconds, floor_seconds=floor, sizes=self.sizes, drift=self.drift
        )

    def _beyond(self, threshold: SlowThreshold, now: float, copies: int) -> Iterator[A]:
        """Yield the attempts that have run beyond the threshold, oldest first."""
        least = threshold.least
        for attempt in self._candidates(copies):
            if now < attempt.started + least:
                return
            if now >= attempt.started + threshold.of_attempt(attempt):
                yield attempt

    def _candidates(self, copies: int) -> Iterator[A]:
        """Yield the attempts whose tasks may have a backup if these are slow, oldest first."""
        for attempt in self.attempts.values():
            if not (attempt.timed_out or attempt.given_up or attempt.task in self.backups):
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
            and max(alive) == newest.id
        )

    def _model(self) -> RestartModel:
        model = self._restart_model = self._restart_model or RestartModel()
        return model

    def _share_longer(self, seconds: float, task: int) -> float:
        """Return the share of attempts that run longer than one of ``task`` that has run for so many seconds."""
        known = self.known_durations
        if not known.count:
            return 1.0
        whole = seconds / share_of(task, self.sizes, self.drift)
        below = known.share_below(whole) * known.count
        # Those of this stage that run now are longer than most: the quickest have ended first.
        running = len(self.attempts) if known is self.statistics else 0
        return 1.0 - below / (known.count + running)

    def _view(
        self, now: float, elapsed_seconds: float, *, draining: bool, idle_slots: int
    ) -> StageView:
        copies, like = self.copies.figures(now)
        own = self.statistics.count if self._is_small else 0
        running = max(0.0, len(self.attempts) * now - self.started_at - copies.running_seconds)
        whole = self.statistics.total_seconds
        return StageView(
            tasks=self._figures.tasks,
            completed=self._figures.completed,
            draining=draining,
            slots=self._slots(),
            running_backups=self.copies.sent,
            cancels=self._kills,
            metered=self._metered,
            statistics=self.known_durations,
            cold_start_seconds=self._starts.cold_start_seconds,
            copies=copies,
            like=like,
            like_tasks=max(0, self.history.count - own),
            work_seconds=self._done_seconds + running,
            running_seconds=running,
            mean_share=self._done_seconds / whole if whole > 0 else 1.0,
            idle_slots=idle_slots,
            restart_model=self._model(),
            elapsed_seconds=elapsed_seconds,
            completions=self.completions or _NO_DURATIONS,
        )
