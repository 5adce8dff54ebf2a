"""The buffer of a run's events, which the driver sends to observers; none is made where there is no observer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.events.records import (
    Attempt,
    AttemptAbandoned,
    AttemptEnded,
    AttemptStarted,
    BackupStarted,
    CircuitClosed,
    CircuitOpened,
    OutputLost,
    RetryScheduled,
    StageCompleted,
    StageGrew,
    StageResumed,
    StageSized,
    StageStarted,
    TaskFailed,
    TaskLogged,
    TaskProgressed,
    TaskSkipped,
    TaskSucceeded,
)
from asyncexec.worker.records import NO_ATTEMPT

if TYPE_CHECKING:
    from asyncexec.errors import TaskError
    from asyncexec.events.outcome import Outcome
    from asyncexec.events.records import AnyEvent, ReadFigures
    from asyncexec.scheduler.stage import AttemptRecord, StageState
    from asyncexec.worker.records import Note


class EventBuffer:
    """The events of one run that have not been sent yet.

    Attributes
    ----------
    events : list
        In order; the dispatch takes them out.
    notes : tuple of Note
        What tasks and workers have said, for the driver's logging; the dispatch takes them out, too.
    watched : bool
        Whether there is any observer.
    """

    def __init__(self, execution: str, *, epoch: float, watched: bool) -> None:
        self.events: list[AnyEvent] = []
        self.notes: tuple[Note, ...] = ()
        self.watched = watched
        self._execution = execution
        self._epoch = epoch

    # Every task comes through these three: they are called where `watched` only, and build what they need in place.

    def started(self, attempt: AttemptRecord, worker: str, now: float) -> None:
        described = attempt.described(self._execution)
        self.events.append(AttemptStarted(described, worker, self._epoch + now))

    def ended(self, attempt: AttemptRecord, outcome: Outcome, now: float) -> None:
        described = attempt.event_record or attempt.described(self._execution)
        at = self._epoch + now
        # Backends that report nothing before the end: the start is made up for, by the worker's measured duration.
        if attempt.started < 0 and outcome.started_at > 0:
            self.events.append(AttemptStarted(described, outcome.worker, at - outcome.seconds))
        self.events.append(AttemptEnded(described, outcome, at))

    def succeeded(self, attempt: AttemptRecord, now: float) -> None:
        described = attempt.event_record or attempt.described(self._execution)
        self.events.append(TaskSucceeded(described, self._epoch + now))

    # These are rare.

    def noted(self, attempt: AttemptRecord | None, note: Note, now: float) -> None:
        """Add a note and its event; one that comes after the end of its attempt says itself whose it is."""
        # Notes go to the driver's logging too, whether anybody observes or not.
        self.notes = (*self.notes, note)
        if not self.watched or note.attempt == NO_ATTEMPT:
            return
        execution, at = self._execution, self._epoch + now
        if attempt is None:
            described = Attempt(note.attempt, execution, note.stage, note.task, note.number)
        else:
            described = attempt.described(execution)
        if note.kind == "progress":
            self.events.append(TaskProgressed(described, note.fraction, note.text, note.worker, at))
        else:
            logger = note.logger or f"asyncexec.{note.kind}"
            self.events.append(
                TaskLogged(described, note.level, logger, note.text, note.worker, at)
            )

    def abandoned(self, attempt: AttemptRecord, now: float) -> None:
        described = attempt.described(self._execution)
        self._add(AttemptAbandoned(attempt=described, at=self._epoch + now))

    def backup_started(self, attempt: AttemptRecord, running_seconds: float, now: float) -> None:
        described = attempt.described(self._execution)
        self._add(BackupStarted(described, running_seconds, self._epoch + now))

    def retry_scheduled(
        self,
        attempt: AttemptRecord,
        delay_seconds: float,
        reason: str,
        now: float,
        *,
        exception_type: str,
    ) -> None:
        described = attempt.described(self._execution)
        at = self._epoch + now
        self._add(RetryScheduled(described, delay_seconds, reason, at, exception_type))

    def failed(
        self, attempt: AttemptRecord, error: TaskError, now: float, *, kept: bool = False
    ) -> None:
        described = attempt.described(self._execution)
        at = self._epoch + now
        self._add(TaskFailed(described, str(error), at, kept, error.exception_type))

    def skipped(self, stage: StageState, task: int, reason: str, now: float) -> None:
        at = self._epoch + now
        self._add(
            TaskSkipped(
                execution=self._execution, at=at, stage=stage.name, task=task, reason=reason
            )
        )

    def stage_started(self, stage: StageState, now: float) -> None:
        if not self.watched:
            return
        at = self._epoch + now
        name = stage.stage.name
        self.events.append(StageStarted(execution=self._execution, at=at, stage=name))

    def stage_sized(self, stage: StageState, reads: tuple[ReadFigures, ...], now: float) -> None:
        self._add(
            StageSized(
                execution=self._execution,
                at=self._epoch + now,
                stage=stage.name,
                shape=stage.stage.shape,
                tasks=stage.tasks,
                reads=reads,
            )
        )

    def stage_grew(self, stage: StageState, now: float) -> None:
        at = self._epoch + now
        self._add(StageGrew(execution=self._execution, at=at, stage=stage.name, tasks=stage.tasks))

    def stage_resumed(self, stage: StageState, now: float) -> None:
        at = self._epoch + now
        self._add(
            StageResumed(
                execution=self._execution, at=at, stage=stage.name, tasks=stage.figures.resumed
            )
        )

    def output_lost(self, stage: StageState, task: int, reason: str, now: float) -> None:
        at = self._epoch + now
        self._add(
            OutputLost(execution=self._execution, at=at, stage=stage.name, task=task, reason=reason)
        )

    def stage_completed(self, stage: StageState, now: float) -> None:
        if not self.watched:
            return
        at = self._epoch + now
        self._add(StageCompleted(execution=self._execution, at=at, stage=stage.stage.name))

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
