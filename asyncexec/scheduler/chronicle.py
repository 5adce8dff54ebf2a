"""Tells what happens in a run, as events; nothing is made while nobody listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.events.records import (
    AttemptAbandoned,
    AttemptEnded,
    AttemptStarted,
    BackupStarted,
    CircuitClosed,
    CircuitOpened,
    RetryScheduled,
    StageCompleted,
    StageResumed,
    StageStarted,
    TaskFailed,
    TaskSucceeded,
)

if TYPE_CHECKING:
    from asyncexec.events.outcome import Outcome
    from asyncexec.events.records import AnyEvent
    from asyncexec.scheduler.attempts import Running
    from asyncexec.scheduler.stage import StageState


class Chronicle:
    """The events of one run that nobody has been told of yet.

    Attributes
    ----------
    events : list
        In order; whoever passes them on takes them away.
    watched : bool
        Whether anybody listens.
    """

    def __init__(self, execution: str, *, epoch: float, watched: bool) -> None:
        self.events: list[AnyEvent] = []
        self.watched = watched
        self._execution = execution
        self._epoch = epoch

    # Every task comes through these three: they look at `watched` first and make what they need in place.

    def started(self, running: Running, worker: str, now: float) -> None:
        if self.watched:
            record = running.described(self._execution)
            self.events.append(AttemptStarted(record, worker, self._epoch + now))

    def ended(self, running: Running, outcome: Outcome, now: float) -> None:
        if self.watched:
            record = running.record or running.described(self._execution)
            at = self._epoch + now
            if running.started < 0 and outcome.started_at > 0:
                self.events.append(AttemptStarted(record, outcome.worker, at - outcome.seconds))
            self.events.append(AttemptEnded(record, outcome, at))

    def succeeded(self, running: Running, now: float) -> None:
        if self.watched:
            record = running.record or running.described(self._execution)
            self.events.append(TaskSucceeded(record, self._epoch + now))

    # These are rare.

    def abandoned(self, running: Running, now: float) -> None:
        attempt = running.described(self._execution)
        self._add(AttemptAbandoned(attempt=attempt, at=self._epoch + now))

    def backup_started(self, running: Running, running_seconds: float, now: float) -> None:
        record = running.described(self._execution)
        self._add(BackupStarted(record, running_seconds, self._epoch + now))

    def retry_scheduled(
        self, running: Running, delay_seconds: float, reason: str, now: float
    ) -> None:
        record = running.described(self._execution)
        self._add(RetryScheduled(record, delay_seconds, reason, self._epoch + now))

    def failed(self, running: Running, error: Exception, now: float) -> None:
        record = running.described(self._execution)
        self._add(TaskFailed(record, str(error), self._epoch + now))

    def stage_started(self, stage: StageState, now: float) -> None:
        at = self._epoch + now
        self._add(StageStarted(execution=self._execution, at=at, stage=stage.name))

    def stage_resumed(self, stage: StageState, now: float) -> None:
        at = self._epoch + now
        self._add(
            StageResumed(execution=self._execution, at=at, stage=stage.name, tasks=stage.resumed)
        )

    def stage_completed(self, stage: StageState, now: float) -> None:
        at = self._epoch + now
        self._add(StageCompleted(execution=self._execution, at=at, stage=stage.name))

    def circuit_opened(self, failures: int, pause_seconds: float, now: float) -> None:
        at = self._epoch + now
        self._add(
            CircuitOpened(
                execution=self._execution, at=at, failures=failures, pause_seconds=pause_seconds
            )
        )

    def circuit_closed(self, now: float) -> None:
        self._add(CircuitClosed(execution=self._execution, at=self._epoch + now))

    def _add(self, event: AnyEvent) -> None:
        if self.watched:
            self.events.append(event)
