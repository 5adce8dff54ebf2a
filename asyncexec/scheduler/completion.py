"""The completion of tasks and stages: what follows when a task has its value, or has none for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from asyncexec.policies.circuit import State
from asyncexec.scheduler.lazy_slots import drop, made
from asyncexec.scheduler.stage import StageState

if TYPE_CHECKING:
    from asyncexec.events.missing import MissingValue
    from asyncexec.policies.circuit import CircuitBreaker
    from asyncexec.scheduler.event_buffer import EventBuffer
    from asyncexec.scheduler.late_stages import LateStages
    from asyncexec.scheduler.outlet import Outlet
    from asyncexec.scheduler.run_state import RunState
    from asyncexec.scheduler.run_status import RunStatus
    from asyncexec.scheduler.stage import AttemptRecord
    from asyncexec.straggler.slow_workers import SlowWorkers


class SendingRun(Protocol):
    """A run as the sending of its tasks needs it."""

    @property
    def slow_workers(self) -> SlowWorkers:
        """The workers and hosts that backups keep apart from."""
        ...

    def skip(self, stage: StageState, task: int, missing: MissingValue, now: float, /) -> None:
        """Complete a task with what is missing of its inputs."""
        ...


class Completion:
    """Completes the tasks of one run, and the stages whose last task that was.

    Parameters
    ----------
    state : RunState
    status : RunStatus
    late : LateStages
    circuit : CircuitBreaker
    event_buffer : EventBuffer
    epoch : float
        The offset from the clock of the driver to seconds since the epoch.

    Attributes
    ----------
    outlet : Outlet or None
        Takes values as they come, if anything does.
    """

    def __init__(
        self,
        state: RunState,
        *,
        status: RunStatus,
        late: LateStages,
        circuit: CircuitBreaker,
        event_buffer: EventBuffer,
        epoch: float,
    ) -> None:
        self.outlet: Outlet | None = None
        self._state = state
        self._status = status
        self._late = late
        self._circuit = circuit
        self._event_buffer = event_buffer
        self._epoch = epoch
        self._recovery = state.recovery

    def complete(self, attempt: AttemptRecord, stage: StageState, value: Any, now: float) -> None:
        """Complete the task of an attempt that was the first to succeed."""
        if self._status.stopping:
            # The run is over, but what the task has done is done: a run that resumes this one need not repeat it.
            self._state.complete_late(stage, attempt.task, value)
            return
        # A task that ran again for its lost output has been counted as complete before.
        if self._recovery.readers and self._replaces(stage, attempt.task, value, now):
            return
        stage.figures.completed += 1
        stage.running.monitor.task_completed(
            now - (stage.first_at or 0.0), by_backup=attempt.backup
        )
        if (
            self._circuit.failures
            and self._circuit.record(success=True, task=None, now=now) is State.CLOSED
        ):
            self._event_buffer.circuit_closed(now)
        if self._event_buffer.watched:
            self._event_buffer.succeeded(attempt, now)
        self._completed(stage, attempt.task, value, now)

    def without_value(
        self, stage: StageState, task: int, missing: MissingValue, now: float
    ) -> None:
        """Complete a task whose value is missing."""
        self._state.values.has_missing = True
        if self._replaces(stage, task, missing, now):
            return
        stage.figures.completed += 1
        self._completed(stage, task, missing, now)

    def skip(self, stage: StageState, task: int, missing: MissingValue, now: float) -> None:
        """Complete a task without a value because an input is missing, or because it says so itself."""
        stage.figures.skipped_tasks += 1
        stage.task_records.pop(task, None)
        self._event_buffer.skipped(stage, task, missing.reason, now)
        self.without_value(stage, task, missing, now)

    def stage_completed(self, stage: StageState, now: float) -> None:
        """Complete a stage of which no task is left."""
        stage.figures.ended_at = self._epoch + now
        running = made(stage, StageState.running)
        if running is not None:
            running.monitor.share_durations()
        if self._late.unresolved:
            self._late.completed(stage.position)
        self._event_buffer.stage_completed(stage, now)
        # Backups that were sent may still run, and are counted in the end.
        if running is None or running.monitor.idle:
            stage.worker_watch = None
            stage.backups = ()
            drop(stage, StageState.running)
            if stage.keeps_values and not self._state.keeps_programs:
                drop(stage, StageState.program)

    def _completed(self, stage: StageState, task: int, value: Any, now: float) -> None:
        self._status.left -= 1
        self._state.complete(stage, task, value)
        if (outlet := self.outlet) is not None:
            outlet.completed(stage.position, task)
        if not stage.readiness.left:
            self.stage_completed(stage, now)

    def _replaces(self, stage: StageState, task: int, value: Any, now: float) -> bool:
        """Take in the value of a task that has run again for it; return False if it did not."""
        if not self._recovery.complete((stage.position, task), value, now):
            return False
        if self._late.lacks_value:
            self._late.postpone(lacks_value=bool(self._recovery.readers))
        return True
