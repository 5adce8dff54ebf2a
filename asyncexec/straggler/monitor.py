"""The attempts of one stage that run now: which of them are slow enough for their tasks to get a backup.

The scheduler reports to the monitor which attempts started and how they ended, and asks it from time to time. The rule
(:mod:`asyncexec.straggler.rule`) decides at which age a task gets a backup; the monitor finds the attempts beyond that
age, and keeps the figures that rules look at. Nothing here reads a clock: times are handed in.

Attempts are kept oldest first, so that a check costs what is overdue, not what runs.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from asyncexec.events.outcome import Status
from asyncexec.straggler.restart_model import RestartModel
from asyncexec.straggler.rule import EVIDENCE, StageView, steady
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
"""Thresholds, which move with the statistics, are checked once in this time."""

_TYPICAL_TASKS = 16
_NO_DURATIONS = DurationStatistics()


class WatchedTask(Protocol):
    """A task that has had several attempts, or is about to."""

    @property
    def complete(self) -> bool:
        """Whether an attempt has succeeded."""
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
        """Whether it is being stopped, as it ran for too long."""
        ...

    @property
    def task_record(self) -> WatchedTask | None:
        """Its task's record; None while the task has had no other attempt."""
        ...


class StragglerSnapshot(NamedTuple):
    """The stage at the last check, and what its rule answered: while neither changes, the rule need not be asked."""

    completed: int
    draining: bool
    threshold_seconds: float | None
    copies: int


class AttemptMonitor[A: WatchedAttempt]:
    """Finds the slow attempts of a stage.

    Parameters
    ----------
    rule : Rule
    figures : StageResult
        Of the stage, kept by the scheduler.
    history : DurationStatistics
        How long tasks like these took, in any stage and run; what is learned here is added to it.
    sizes : TaskSizes or None
    starts : WorkerStarts
    slots : callable
        How many attempts the backend runs at once, now.
    kills, metered : bool
        Whether the backend can stop an attempt that runs, and whether worker time is billed.

    Attributes
    ----------
    attempts : dict of int to attempt
        Those known to run on a worker, by id, oldest first.
    backups : deque of int
        Tasks that are to get a backup; the scheduler takes them away as it sends them.
    statistics : DurationStatistics
        How long attempts ran on their workers, as if each had been of a whole task.
    completions : DurationStatistics or None
        How long after the stage's start each task was complete; None where the rule does not look at the clock.
    active : bool
        Whether there may be backups at all.
    checked_at : float
        When attempts were last checked.
    settled_backups, won_backups : int
        Backups that started on a worker and have ended, and those that were the first to succeed.
    """

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
    ) -> None:
        self.rule = rule
        self.active = rule.name != "off"
        self.history = history
        self.sizes = sizes
        self.attempts: dict[int, A] = {}
        self.backups: deque[int] = deque()
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
        self._restart_model = RestartModel()
        self._snapshot: StragglerSnapshot | None = None
        self._typical = (-2 * _TYPICAL_TASKS, 0.0)

    # -- what the scheduler reports

    def succeeded(self, outcome: Outcome, task: int) -> float:
        """Add the duration of an attempt that succeeded; return it as if its task had been a whole one."""
        seconds = outcome.seconds if self.sizes is None else self._whole_seconds(outcome, task)
        self.statistics.add(seconds)
        return seconds

    def stopped(self, outcome: Outcome, task: int) -> None:
        """Note for how long an attempt had run that was stopped because another of its task had succeeded."""
        self._restart_model.stopped.add(self._whole_seconds(outcome, task))

    def task_completed(self, elapsed_seconds: float, *, by_backup: bool) -> None:
        """Note that a task is complete, so long after the stage's start; its figures count it already."""
        if self.completions is not None:
            self.completions.add(elapsed_seconds)
        self.won_backups += by_backup
        if self._figures.completed == EVIDENCE and not self.history.count:
            self.share_durations()  # There is nothing better yet for stages that call the same function.

    def backup_sent(self) -> None:
        """Note that a backup is with the backend."""
        self._running_backups += 1

    def backup_ended(self, *, started: bool) -> None:
        """Note that a backup has ended, on a worker or before it had one."""
        self._running_backups -= 1
        self.settled_backups += started

    def share_durations(self) -> None:
        """Let stages that call the same function, in this run and later ones, know how long its tasks take."""
        if self.statistics.count:
            self.history.merge(self.statistics)

    # -- what the scheduler asks

    @property
    def known_durations(self) -> DurationStatistics:
        """The stage's own durations where there are enough to go by, and those of tasks like its own otherwise."""
        own = self.statistics
        enough = own.count >= min(EVIDENCE, self._figures.tasks / 2)
        return own if enough or not self.history.count else self.history

    def typical_seconds(self) -> float:
        """Return the median of what whole tasks took, computed anew whenever there are a few and a tenth more."""
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
            Whether slots are idle and nothing of the stage waits for one.
        """
        self.checked_at = now
        view = self._view(elapsed_seconds, draining=draining)
        threshold = self.rule.threshold(view)
        copies = self.rule.copies(view)
        self._snapshot = StragglerSnapshot(view.completed, draining, threshold, copies)
        if threshold is None:
            return []
        allowed = self.rule.backups(view) - self._running_backups - len(self.backups)
        if allowed <= 0:
            return []
        return list(islice(self._beyond(self._slow_threshold(threshold), now, copies), allowed))

    def next_check(self, *, draining: bool) -> float:
        """Return when some attempt may be slow, as far as is known now; infinity if only a report can change it."""
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
        if snapshot.threshold_seconds is None:
            return math.inf
        threshold = self._slow_threshold(snapshot.threshold_seconds)
        least, due = threshold.least, math.inf
        for attempt in self._candidates(snapshot.copies):
            if attempt.started + least >= due:
                break
            due = min(due, attempt.started + threshold.of_task(attempt.task))
        return max(soon, due)

    # -- inside

    def _whole_seconds(self, outcome: Outcome, task: int) -> float:
        """Return how long an attempt would have run if its task were a whole one."""
        sizes = self.sizes
        if sizes is None:
            return outcome.seconds
        nbytes = outcome.read_bytes + outcome.written_bytes
        # What was stopped may have read its inputs and written nothing; and not every backend reports bytes.
        measured = nbytes and outcome.status is Status.SUCCEEDED
        return outcome.seconds / (sizes.of_bytes(nbytes) if measured else sizes.of(task))

    def _slow_threshold(self, seconds: float) -> SlowThreshold:
        floor = self.rule.floor_seconds + self._starts.cold_start_seconds
        return SlowThreshold(seconds=seconds, floor_seconds=floor, sizes=self.sizes)

    def _beyond(self, threshold: SlowThreshold, now: float, copies: int) -> Iterator[A]:
        """Iterate over attempts that have run for so long that their tasks may have a backup."""
        least = threshold.least
        for attempt in self._candidates(copies):
            if now < attempt.started + least:
                return
            if threshold.sizes is None or now >= attempt.started + threshold.of_task(attempt.task):
                yield attempt

    def _candidates(self, copies: int) -> Iterator[A]:
        """Iterate over attempts whose tasks may have a backup if these are slow, oldest first."""
        for attempt in self.attempts.values():
            if not attempt.timed_out and attempt.task not in self.backups:
                record = attempt.task_record
                if record is None or _may_have_another(record, attempt, copies):
                    yield attempt

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
            restart_model=self._restart_model,
            elapsed_seconds=elapsed_seconds,
            completions=self.completions or _NO_DURATIONS,
        )


def _may_have_another(record: WatchedTask, newest: WatchedAttempt, copies: int) -> bool:
    """Whether ``newest`` is the task's newest attempt and one more is allowed.

    A task that is complete has losers that still run until they are stopped: they get no backup.
    """
    alive = record.alive
    return not record.complete and len(alive) < copies and next(reversed(alive)) == newest.id
