"""The starts and ends of a run's attempts, and what becomes of their tasks.

The course of a task:

=============================  =====================================================================
an attempt succeeded           the task is complete, unless it was already; its other attempts are stopped
an attempt failed              if others of the task still run, they are waited for, as its next attempts; else
                               the retry policy decides: another attempt after a while, or the task has failed
                               for good
a task failed for good         the plan fails, or the task is complete without a value (``on_failure="keep"``)
a value that it reads is       a task is complete without a value, and without having run
missing
an attempt says that there     the task is complete without a value
is nothing to do
an attempt was lost unstarted  the task is ready again; it does not count as a failure
an attempt is too old          it is stopped, and counts as a failure
an attempt is slow             the task gets a backup
=============================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from asyncexec.events.missing import is_skip, skipped
from asyncexec.events.outcome import Outcome, Status, ValueHandle
from asyncexec.scheduler.causes import with_own_name
from asyncexec.scheduler.failures import with_reason
from asyncexec.scheduler.recovery import done_again, lost_text, reading_lost
from asyncexec.scheduler.stage import AttemptRecord, TaskRecord
from asyncexec.straggler.worker_watch import LEAST_SECONDS
from asyncexec.worker.records import WIDTH

if TYPE_CHECKING:
    from asyncexec.backends.contract import Capabilities, Note
    from asyncexec.scheduler.completion import Completion
    from asyncexec.scheduler.event_buffer import EventBuffer
    from asyncexec.scheduler.outputs import TaskKey
    from asyncexec.scheduler.retries import Retries
    from asyncexec.scheduler.run_state import RunState
    from asyncexec.scheduler.run_status import RunStatus
    from asyncexec.scheduler.sender import Sender
    from asyncexec.scheduler.stage import StageState


class AttemptReports:
    """Takes in what the backend reports of attempts in flight.

    Parameters
    ----------
    state : RunState
    status : RunStatus
    sender : Sender
    completion : Completion
    retries : Retries
    event_buffer : EventBuffer
    capabilities : Capabilities
        Of the backend.
    stop : callable
        Ends the run with an error.

    Attributes
    ----------
    completion : Completion
    retries : Retries
    recovery : Recovery
        That of the state, which has tasks sent by this.
    """

    def __init__(
        self,
        state: RunState,
        *,
        status: RunStatus,
        sender: Sender,
        completion: Completion,
        retries: Retries,
        event_buffer: EventBuffer,
        capabilities: Capabilities,
        stop: Callable[[Exception], None],
    ) -> None:
        self._stages = state.stages
        self._values = state.values
        self.recovery = state.recovery
        self.recovery.send = self._run_again
        self._starts = state.workers.starts
        self._status = status
        self._sender = sender
        self._running = sender.running
        self._changed = sender.changed
        self.completion = completion
        self.retries = retries
        self._event_buffer = event_buffer
        self._kills = capabilities.kills
        self._tells_progress = capabilities.tells_progress
        self._stop = stop

    def started(self, attempt: AttemptRecord, worker: str, now: float) -> None:
        """Record that an attempt has started on a worker."""
        attempt.started = now
        attempt.worker = worker
        stage = attempt.lease.stage
        if stage.first_at is None:
            self._sender.begin_stage(stage, now)
        if stage.throttles:
            self._sender.attempt_started(stage, now)
        if worker not in self._starts.workers:
            self._starts.add(worker, now - attempt.sent)
        stage.running.monitor.attempts[attempt.id] = attempt
        # The sum of all starts, from which the mean age follows without a pass over the attempts.
        stage.running.monitor.started_at += now
        if attempt.backup:
            stage.running.monitor.copies.started(attempt, now)
        self._changed[stage] = None
        if self._event_buffer.watched:
            self._event_buffer.started(attempt, worker, now)

    def noted(self, note: Note, now: float) -> None:
        """Take in what a task or a worker says."""
        attempt = self._running.get(note.attempt)
        # What a task says is the first sign of its start, unless all comes at the end of its batch.
        if attempt is not None and attempt.started < 0 and self._tells_progress:
            self.started(attempt, note.worker, now)
        if note.kind == WIDTH:
            if attempt is not None:
                self._sender.widen(attempt.lease.stage, note.width)
            return
        self._event_buffer.noted(attempt, note, now)

    def ended(self, attempt: AttemptRecord, outcome: Outcome, now: float) -> None:
        """Record that an attempt has ended, which is with the backend no more, and do what follows for its task."""
        stage = attempt.lease.stage
        # It went along behind what it reads, and was never begun: that is no failure of its task.
        if attempt.lease.behind is not None and not self._followed(attempt, outcome, now):
            return
        monitor = stage.running.monitor
        succeeded = outcome[1] is Status.SUCCEEDED
        # First, so that the budget has back what the attempt took, whatever follows.
        self._sender.ended(attempt, outcome, now)
        if not succeeded:
            outcome = with_own_name(self._unlike_reported(attempt, outcome, now))
        if monitor.attempts:
            if monitor.attempts.pop(attempt.id, None) is not None:
                monitor.started_at -= attempt.started
            self._changed[stage] = None
        if attempt.backup:
            monitor.copies.ended_with(attempt, outcome, now)
        stage.figures.add(outcome)
        if self._event_buffer.watched:
            self._event_buffer.ended(attempt, outcome, now)
        if not succeeded:
            self._unsuccessful(attempt, stage, outcome, now)
            return
        # By position, as this is done for every task: seconds, and the width that its slot wants.
        stage.running.batch.measured(outcome[4], outcome[11])
        seconds = monitor.succeeded(outcome, attempt.task)
        watch = stage.worker_watch
        if seconds >= LEAST_SECONDS or (watch is not None and watch.ranks is not None):
            stage.compare_worker(attempt, outcome.worker, seconds, now)
        record = attempt.task_record
        if record is None or self._first_success(attempt, record, stage):
            self.completion.complete(attempt, stage, outcome[8], now)
        else:
            # A second success: the first has its value kept, and readers may have it already.
            self._values.delete((outcome.value,))

    def _followed(self, attempt: AttemptRecord, outcome: Outcome, now: float) -> bool:
        """Record that an attempt has ended which followed another one in its batch; return whether it had started.

        If it had not, as that other one has no value or was cancelled, its task is sent when what it reads is complete.
        """
        stage = attempt.lease.stage
        again = not (outcome.started or self._status.stopping)
        stage.readiness.queue.let_go(attempt.task, again=again)
        if not outcome.started:
            self._sender.ended(attempt, None, now)
        elif stage.first_at is None:
            self._sender.begin_stage(stage, now)
        return outcome.started

    def _unlike_reported(self, attempt: AttemptRecord, outcome: Outcome, now: float) -> Outcome:
        """Return an outcome with the status that backends do not know: timed out, or skipped."""
        if outcome.status is not Status.FAILED:
            self._values.discard(outcome)
        if outcome.status is Status.CANCELLED:
            return self._stopped(attempt, outcome, now)
        if is_skip(outcome) and attempt.lease.stage.stage.holds_values:
            return outcome._replace(status=Status.SKIPPED)
        return outcome

    def _stopped(self, attempt: AttemptRecord, outcome: Outcome, now: float) -> Outcome:
        """Return a cancelled attempt's outcome, as a timeout if that was the reason."""
        # One that has ended by raising `CancelledError` was not given up.
        if outcome.started and outcome.error is None and not self._kills:
            self._status.abandoned += 1
            attempt.lease.stage.figures.abandoned += 1
            self._event_buffer.abandoned(attempt, now)
        status = Status.TIMED_OUT if attempt.timed_out else outcome.status
        return outcome._replace(status=status, error=None)

    def _first_success(self, attempt: AttemptRecord, record: TaskRecord, stage: StageState) -> bool:
        """Close the record of a task with several attempts; return whether this is the first that succeeded."""
        record.alive.pop(attempt.id, None)
        if record.complete:
            return False
        # Before its other attempts are stopped: their outcomes must find that nothing is left to decide.
        record.complete = True
        # They go on until the backend has stopped them; the first success counts, whatever they report.
        self._status.give_up(record.alive)
        stage.task_records.pop(attempt.task, None)
        stage.poison.forget(attempt.task)
        if stage.backups and attempt.task in stage.backups:
            stage.running.monitor.backups.remove(attempt.task)
        return True

    def _unsuccessful(
        self, attempt: AttemptRecord, stage: StageState, outcome: Outcome, now: float
    ) -> None:
        # Nothing is tried again then, and the error that ends the run is known.
        if self._status.stopping:
            return
        record = attempt.task_record
        if record is None:
            record = attempt.task_record = stage.task_records[attempt.task] = TaskRecord()
        record.alive.pop(attempt.id, None)
        if record.complete or (attempt.given_up and outcome.status is Status.CANCELLED):
            if outcome.started:
                seconds = stage.running.monitor.stopped(outcome, attempt.task)
                stage.compare_worker(attempt, outcome.worker, seconds, now, complete=False)
            if record.complete or record.alive:
                return
            # A backup was given up, and what it was for has failed meanwhile: through no fault of the task's.
            outcome = outcome._replace(worker="", started_at=0.0)
        if outcome.status is Status.SKIPPED:
            self._first_success(attempt, record, stage)
            self.completion.skip(stage, attempt.task, skipped(outcome), now)
            return
        if stage.backups and attempt.task in stage.backups:
            stage.running.monitor.backups.remove(
                attempt.task
            )  # a task that is tried again needs no backup as well
        if record.alive:
            if not self.retries.count(attempt, record, outcome, tasks_left=self._status.left):
                return
            self._status.give_up(record.alive)  # each of them would kill one more worker
        self._decided(attempt, record, stage, outcome, now)

    def _decided(
        self,
        attempt: AttemptRecord,
        record: TaskRecord,
        stage: StageState,
        outcome: Outcome,
        now: float,
    ) -> None:
        """Decide about a task that has no attempt left, or none that may run on."""
        if type(outcome.value) is ValueHandle and outcome.error is not None:
            if not (why_not := self._recover(attempt, stage, outcome, now)):
                return
            outcome = with_reason(outcome, f"it is not {done_again(outcome.value)}: {why_not}")
        error = self.retries.decide(attempt, record, outcome, tasks_left=self._status.left, now=now)
        if error is not None:
            self._stop(error)

    def _recover(
        self, attempt: AttemptRecord, stage: StageState, outcome: Outcome, now: float
    ) -> str:
        """Have what an attempt found lost made again, and its task run after that; return why that cannot be, if so."""
        reader, lost = (stage.position, attempt.task), outcome.value
        why_not = self.recovery.begin(reader, lost, sent_at=attempt.sent, now=now)
        if not why_not:
            stage.figures.retries += 1
            raised = outcome.exception_type
            self._event_buffer.retry_scheduled(
                attempt, 0.0, reading_lost(lost), now, exception_type=raised
            )
        return why_not

    def _run_again(self, tasks: Sequence[TaskKey], lost: ValueHandle, now: float) -> None:
        """Send tasks that run again for their lost outputs, and add their events."""
        for position, task in tasks:
            stage = self._stages[position]
            stage.figures.recomputed += 1
            self._event_buffer.output_lost(stage, task, lost_text(lost), now)
        self._sender.add({position: self._stages[position] for position, _ in tasks}.values())
