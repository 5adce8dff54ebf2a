"""One execution as plain synchronous code: given reports and the time, it decides which attempts to send and to stop.

The driver calls, in any order: :meth:`Run.next_batch` (for a batch to send), :meth:`Run.report` (with reports of the
backend), :meth:`Run.tick` (as time has passed), :meth:`Run.stop`. It reads :attr:`Run.unwanted` (attempts to cancel),
:attr:`Run.event_buffer` (events for observers), :meth:`Run.next_deadline` and :attr:`Run.finished`. Where
:attr:`Run.late` says that sizes of stages are due, it calls what :meth:`Run.take_sizing` returns, in a thread, and
hands the result to :meth:`Run.sized`. ``now`` is always the driver's monotonic clock in seconds.

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

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncexec.backends.contract import Batch, Note
from asyncexec.errors import InputError, ValueLostError
from asyncexec.events.missing import is_skip, skipped
from asyncexec.events.outcome import Outcome, Status, ValueHandle
from asyncexec.policies.circuit import State
from asyncexec.scheduler.causes import with_own_name
from asyncexec.scheduler.event_buffer import EventBuffer
from asyncexec.scheduler.failures import with_reason
from asyncexec.scheduler.growth import Growth
from asyncexec.scheduler.late_stages import LateStages
from asyncexec.scheduler.recovery import done_again, lost_text, reading_lost
from asyncexec.scheduler.retries import Retries
from asyncexec.scheduler.run_clock import RunClock
from asyncexec.scheduler.sender import Sender
from asyncexec.scheduler.stage import AttemptRecord, TaskRecord
from asyncexec.straggler.worker_watch import LEAST_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.backends.contract import Capabilities, Report
    from asyncexec.events.missing import MissingValue
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.scheduler.growth import GrowingStages, ReadItems
    from asyncexec.scheduler.late_stages import SizedStages
    from asyncexec.scheduler.outputs import TaskKey
    from asyncexec.scheduler.run_state import RunState
    from asyncexec.scheduler.stage import StageState


class Run:
    """The decisions of one execution.

    Attributes
    ----------
    stages : list of StageState
    left : int
        The tasks that are not complete, as far as is known.
    late : LateStages
        The stages whose sizes are not known yet.
    sender : Sender
        The choice of what is sent next.
    growth : Growth
        The stages that grow as items are read.
    unwanted : list of int
        Attempts to cancel; the dispatch takes them out.
    event_buffer : EventBuffer
        The events so far; the dispatch takes them out.
    notes : list of Note
        What tasks and workers have said; the dispatch takes it out.
    abandoned : int
        Attempts that are no longer waited for and may still be running, on a backend that cannot kill.
    error : Exception or None
        The error that the run failed with.
    priority : int
        A run of higher priority is served first.
    stopping : bool
        Whether nothing more is started.
    retries : Retries
        The tasks whose attempts failed, and the circuit breaker.
    recovery : Recovery
        The values and chunks that are lost or damaged, and made again.
    slow_workers : SlowWorkers
        The workers on which every task takes long.
    """

    def __init__(
        self,
        name: str,
        state: RunState,
        budget: AdmissionBudget,
        capabilities: Capabilities,
        *,
        ids: Iterator[int],
        epoch: float = 0.0,
        watched: bool = True,
        seed: int | None = None,
    ) -> None:
        self.name = name
        self.plan = state.plan
        self.stages = state.stages
        self.left = sum(stage.tasks for stage in self.stages)
        self.late = LateStages(state.plan.stages)
        self.unwanted: list[int] = []
        self.event_buffer = EventBuffer(name, epoch=epoch, watched=watched)
        self.notes: list[Note] = []
        self.abandoned = 0
        self.slow_workers = state.slow_workers
        self.error: Exception | None = None
        self.priority = state.policies.priority
        self.stopping = False
        self._state = state
        self._journal = state.journal
        self._resumes = state.policies.resume
        self._budget = budget
        self.retries = Retries(state, self.event_buffer, keep=self._without_value, seed=seed)
        self._circuit = self.retries.circuit
        self.sender = Sender(
            self,
            state.plan.name,
            self.stages,
            policies=state.policies,
            budget=budget,
            circuit=self._circuit,
            capabilities=capabilities,
            ids=ids,
            event_buffer=self.event_buffer,
            epoch=epoch,
            values=state.values,
            skip=self._skip,
            slow_workers=state.slow_workers,
        )
        self._running = self.sender.running
        self.recovery = state.recovery
        self.recovery.send = self._run_again
        self._clock = RunClock(state, budget, self.sender, self.retries)
        self.growth = Growth(state, self.retries.budget, self.event_buffer)
        self._starts = state.worker_starts
        self._epoch = epoch
        self._kills = capabilities.kills
        self._tells_progress = capabilities.tells_progress

    # -- called by the driver

    @property
    def finished(self) -> bool:
        """True once everything is complete (or stopped) and no attempt is with the backend."""
        return not (self._running or self.late.sizing) and (self.stopping or not self.incomplete)

    @property
    def incomplete(self) -> bool:
        """True while tasks are left, sizes are not known, items may come, or lost values are not there again."""
        late = self.late.unresolved or self.growth.open
        return bool(self.left or late or self.recovery.readers)

    @property
    def running(self) -> int:
        """The number of attempts that are with the backend."""
        return len(self._running)

    @property
    def ready_tasks(self) -> int:
        """The number of tasks that could be sent if there were slots."""
        return self.sender.order.ready_tasks

    @property
    def stalled(self) -> bool:
        """True where tasks are left and nothing can ever start them: a mistake of the scheduler or a rule."""
        return (
            not self.stopping
            and self.incomplete
            and not (self._running or self.late.due or self.late.sizing or self.growth.open)
            and self.retries.idle
            and not self.sender.order.launchable
        )

    def begin(self, now: float) -> None:
        """Make the first tasks ready."""
        self._clock.begin(now)
        for stage in self.stages:
            self._resume(stage, now)
        for position in self._state.begin():
            self._stage_completed(self.stages[position], now)

    def take_sizing(self) -> Callable[[], SizedStages]:
        """Return a function that finds the sizes of the stages that are due; it may block, and raises if it fails."""
        return partial(self._state.size, self.late.take(), watched=self.event_buffer.watched)

    def sized(self, sized: SizedStages | Exception, now: float) -> None:
        """Continue with stages whose sizes are known now, or fail because they could not be found."""
        if self.stopping:
            self.late.sized()
        elif isinstance(sized, ValueLostError) and self.recovery.reopen(sized):
            self.late.postpone(lacks_value=bool(self.recovery.readers))
        elif isinstance(sized, Exception):
            self.late.sized()
            self.stop(sized)
        else:
            self.late.sized(tuple(sized.stages))
            self._install(sized, now)

    def fed(self, group: GrowingStages, read: ReadItems, now: float) -> None:
        """Take in items that were read for growing stages, the end of them, or the error that ended them."""
        if self.stopping:
            return
        self.left += self.growth.add(group, read.rows, now)
        if read.error is not None:
            self.stop(read.error)
        elif read.ended:
            for stage in self.growth.close(group, now):
                self._stage_completed(stage, now)

    def _install(self, sized: SizedStages, now: float) -> None:
        known = sum(self.stages[position].tasks for position in sized.stages)
        self._state.install(sized)
        self.sender.add(sized.stages.values())
        added = sum(stage.tasks for stage in sized.stages.values()) - known
        self.left += added
        self.retries.budget.grow(added)
        for position, stage in sized.stages.items():
            self.event_buffer.stage_sized(stage, sized.reads[position], now)
            self._resume(stage, now)
        for position in sized.complete:
            self._stage_completed(self.stages[position], now)

    def next_batch(self, now: float, slots: int, held: Collection[str] = ()) -> Batch | None:
        """Return the next batch that can be sent now, if any; the named resources ``held`` are for other runs."""
        try:
            return None if self.stopping else self.sender.next_batch(now, slots, held)
        except InputError as error:
            self.stop(error)
            return None

    def report(self, reports: Iterable[Report], now: float) -> None:
        """Process reports of the backend; those of attempts that are not in flight are ignored."""
        running = self._running
        for report in reports:
            if isinstance(report, Outcome):
                attempt = running.pop(report[0], None)
                if attempt is not None:
                    self._ended(attempt, report, now)
            elif isinstance(report, Note):
                self._noted(report, now)
            else:
                attempt = running.get(report.attempt)
                if attempt is not None and attempt.started < 0:
                    self._started(attempt, report.worker, now)
        if self._journal is not None and self._journal.error is not None:
            self.stop(self._journal.error)

    def tick(self, now: float) -> None:
        """Apply timeouts, retries and backups that are due."""
        due = self._clock.take_due(now)
        if not self.stopping and (error := self._clock.exceeded(due, now)) is not None:
            self.stop(error)
        self.unwanted.extend(self._clock.check(due, now, stopping=self.stopping))

    def next_deadline(self, now: float) -> float | None:
        """Return the time of the next :meth:`tick`; None if only a report can change anything."""
        return None if self.stopping else self._clock.next_deadline(now)

    def stop(self, error: Exception | None = None) -> None:
        """Start nothing more, and cancel everything in flight."""
        if self.stopping:
            return
        self.stopping = True
        self.error = error
        self.retries.clear()
        self.growth.stop()
        for stage in self.stages:
            stage.clear()
        self.unwanted.extend(self._running)
        self._budget.withdraw(self)

    def abandon_all(self, now: float) -> int:
        """Stop waiting for the attempts in flight, and return their number."""
        self.late.sized()
        abandoned = list(self._running.values())
        self._running.clear()
        for attempt in abandoned:
            self.sender.ended(attempt, None, now)
        return len(abandoned)

    def _resume(self, stage: StageState, now: float) -> None:
        """Count the tasks that an earlier run completed, and those whose chunks have been damaged since."""
        for task in self._state.damaged(stage) if self._resumes else ():
            stage.figures.recomputed += 1
            self.event_buffer.output_lost(stage, task, "what it had written is damaged", now)
        if resumed := stage.figures.resumed:
            stage.figures.completed = resumed
            self.left -= resumed
            self.event_buffer.stage_resumed(stage, now)
            if self.sender.outlet is not None and self._journal is not None:
                done = self._journal.done(stage.name, stage.tasks)
                self.sender.outlet.resumed(stage.position, done)

    # -- reports

    def _started(self, attempt: AttemptRecord, worker: str, now: float) -> None:
        attempt.started = now
        attempt.worker = worker
        stage = attempt.lease.stage
        if stage.throttles:
            self.sender.attempt_started(stage, now)
        if worker not in self._starts.workers:
            self._starts.add(worker, now - attempt.sent)
        stage.monitor.attempts[attempt.id] = attempt
        stage.monitor.started_at += now
        if attempt.backup:
            stage.monitor.copies.started(attempt, now)
        self._clock.changed[stage] = None
        if self.event_buffer.watched:
            self.event_buffer.started(attempt, worker, now)

    def _noted(self, note: Note, now: float) -> None:
        attempt = self._running.get(note.attempt)
        # What a task says is the first sign of its start, unless all comes at the end of its batch.
        if attempt is not None and attempt.started < 0 and self._tells_progress:
            self._started(attempt, note.worker, now)
        self.notes.append(note)
        self.event_buffer.noted(attempt, note, now)

    def _ended(self, attempt: AttemptRecord, outcome: Outcome, now: float) -> None:
        stage = attempt.lease.stage
        monitor = stage.monitor
        succeeded = outcome[1] is Status.SUCCEEDED
        self.sender.ended(attempt, outcome, now)
        if not succeeded:
            outcome = with_own_name(self._unlike_reported(attempt, outcome, now))
        if monitor.attempts:
            if monitor.attempts.pop(attempt.id, None) is not None:
                monitor.started_at -= attempt.started
            self._clock.changed[stage] = None
        if attempt.backup:
            monitor.copies.ended_with(attempt, outcome, now)
        stage.figures.add(outcome)
        if self.event_buffer.watched:
            self.event_buffer.ended(attempt, outcome, now)
        if not succeeded:
            self._unsuccessful(attempt, stage, outcome, now)
            return
        stage.batch.measured(outcome[4])
        if outcome[11]:
            stage.batch.widen(outcome[11])
        seconds = monitor.succeeded(outcome, attempt.task)
        watch = stage.worker_watch
        if watch is not None and (seconds >= LEAST_SECONDS or watch.ranks is not None):
            stage.compare_worker(attempt, outcome.worker, seconds, now)
        record = attempt.task_record
        if record is None or self._first_success(attempt, record, stage):
            self._complete(attempt, stage, outcome[8], now)
        else:
            self._state.values.delete((outcome.value,))

    def _unlike_reported(self, attempt: AttemptRecord, outcome: Outcome, now: float) -> Outcome:
        """Return an outcome with the status that backends do not know: timed out, or skipped."""
        if outcome.status is not Status.FAILED:
            self._state.values.discard(outcome)
        if outcome.status is Status.CANCELLED:
            return self._stopped(attempt, outcome, now)
        if is_skip(outcome) and attempt.lease.stage.stage.holds_values:
            return outcome._replace(status=Status.SKIPPED)
        return outcome

    def _stopped(self, attempt: AttemptRecord, outcome: Outcome, now: float) -> Outcome:
        """Return a cancelled attempt's outcome, as a timeout if that was the reason."""
        # One that has ended by raising `CancelledError` was not given up.
        if outcome.started and outcome.error is None and not self._kills:
            self.abandoned += 1
            attempt.lease.stage.figures.abandoned += 1
            self.event_buffer.abandoned(attempt, now)
        status = Status.TIMED_OUT if attempt.timed_out else outcome.status
        return outcome._replace(status=status, error=None)

    def _first_success(self, attempt: AttemptRecord, record: TaskRecord, stage: StageState) -> bool:
        """Close the record of a task with several attempts; return whether this is the first that succeeded."""
        record.alive.pop(attempt.id, None)
        if record.complete:
            return False
        record.complete = True
        self.unwanted.extend(record.alive)
        stage.task_records.pop(attempt.task, None)
        stage.poison.forget(attempt.task)
        if stage.backups and attempt.task in stage.backups:
            stage.backups.remove(attempt.task)
        return True

    def _complete(self, attempt: AttemptRecord, stage: StageState, value: Any, now: float) -> None:
        if self.stopping:
            self._state.complete_late(stage, attempt.task, value)
            return
        if self.recovery.readers and self._replaces(stage, attempt.task, value, now):
            return
        stage.figures.completed += 1
        stage.monitor.task_completed(now - (stage.first_at or 0.0), by_backup=attempt.backup)
        if (
            self._circuit.failures
            and self._circuit.record(success=True, task=None, now=now) is State.CLOSED
        ):
            self.event_buffer.circuit_closed(now)
        if self.event_buffer.watched:
            self.event_buffer.succeeded(attempt, now)
        self._task_completed(stage, attempt.task, value, now)

    def _task_completed(self, stage: StageState, task: int, value: Any, now: float) -> None:
        self.left -= 1
        self._state.complete(stage, task, value)
        if (outlet := self.sender.outlet) is not None:
            outlet.completed(stage.position, task)
        if not stage.readiness.left:
            self._stage_completed(stage, now)

    def _without_value(
        self, stage: StageState, task: int, missing: MissingValue, now: float
    ) -> None:
        """Complete a task whose value is missing."""
        self._state.values.has_missing = True
        if self._replaces(stage, task, missing, now):
            return
        stage.figures.completed += 1
        self._task_completed(stage, task, missing, now)

    def _skip(self, stage: StageState, task: int, missing: MissingValue, now: float) -> None:
        """Complete a task without running it, because one of its inputs is missing."""
        stage.figures.skipped_tasks += 1
        stage.task_records.pop(task, None)
        self.event_buffer.skipped(stage, task, missing.reason, now)
        self._without_value(stage, task, missing, now)

    def _stage_completed(self, stage: StageState, now: float) -> None:
        stage.figures.ended_at = self._epoch + now
        stage.monitor.share_durations()
        if self.late.unresolved:
            self.late.completed(stage.position)
        self.event_buffer.stage_completed(stage, now)

    def _unsuccessful(
        self, attempt: AttemptRecord, stage: StageState, outcome: Outcome, now: float
    ) -> None:
        if self.stopping:
            return
        record = attempt.task_record
        if record is None:
            record = attempt.task_record = stage.task_records[attempt.task] = TaskRecord()
        record.alive.pop(attempt.id, None)
        if record.complete or (attempt.given_up and outcome.status is Status.CANCELLED):
            if outcome.started:
                seconds = stage.monitor.stopped(outcome, attempt.task)
                stage.compare_worker(attempt, outcome.worker, seconds, now, complete=False)
            if record.complete or record.alive:
                return
            # A backup was given up, and what it was for has failed meanwhile: through no fault of the task's.
            outcome = outcome._replace(worker="", started_at=0.0)
        if outcome.status is Status.SKIPPED:
            self._first_success(attempt, record, stage)
            self._skip(stage, attempt.task, skipped(outcome), now)
            return
        if stage.backups and attempt.task in stage.backups:
            stage.backups.remove(attempt.task)  # a task that is tried again needs no backup as well
        if record.alive:
            if not self.retries.count(attempt, record, outcome, tasks_left=self.left):
                return
            self.unwanted.extend(record.alive)  # each of them would kill one more worker
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
        error = self.retries.decide(attempt, record, outcome, tasks_left=self.left, now=now)
        if error is not None:
            self.stop(error)

    def release(self) -> None:
        """Break the circles in which its parts refer to each other; it is of no use after that.

        The run is gone at once then, with functions, items and values of the caller's, and not at some later collection
        of garbage.
        """
        for stage in self.stages:
            stage.release()
        for part in (self._state, self):
            vars(part).clear()

    def _recover(
        self, attempt: AttemptRecord, stage: StageState, outcome: Outcome, now: float
    ) -> str:
        """Have what an attempt found lost made again, and its task run after that; return why that cannot be, if so."""
        reader, lost = (stage.position, attempt.task), outcome.value
        why_not = self.recovery.begin(reader, lost, sent_at=attempt.sent, now=now)
        if not why_not:
            stage.figures.retries += 1
            raised = outcome.exception_type
            self.event_buffer.retry_scheduled(
                attempt, 0.0, reading_lost(lost), now, exception_type=raised
            )
        return why_not

    def _run_again(self, tasks: Sequence[TaskKey], lost: ValueHandle, now: float) -> None:
        """Send tasks that run again for their lost outputs, and add their events."""
        for position, task in tasks:
            stage = self.stages[position]
            stage.figures.recomputed += 1
            self.event_buffer.output_lost(stage, task, lost_text(lost), now)
        self.sender.add({position: self.stages[position] for position, _ in tasks}.values())

    def _replaces(self, stage: StageState, task: int, value: Any, now: float) -> bool:
        """Take in the value of a task that has run again for it; return False if it did not."""
        if not self.recovery.complete((stage.position, task), value, now):
            return False
        if self.late.lacks_value:
            self.late.postpone(lacks_value=bool(self.recovery.readers))
        return True
