"""One execution as plain synchronous code: given reports and the time, it decides which attempts to send and to stop.

The driver calls, in any order: :meth:`Run.next_batch` (for a batch to send), :meth:`Run.report` (with reports of the
backend), :meth:`Run.tick` (as time has passed), :meth:`Run.stop`. It reads :attr:`Run.status` (attempts to cancel),
:attr:`Run.event_buffer` (events for observers), :meth:`Run.next_deadline` and :attr:`Run.finished`. Where
:attr:`Run.late` says that sizes of stages are due, it calls what :meth:`Run.take_sizing` returns, in a thread, and
hands the result to :meth:`Run.sized`. ``now`` is always the driver's monotonic clock in seconds.

The parts: ``sender`` chooses what is sent, ``attempt_reports`` follows attempts and tasks, ``completion`` completes
tasks and stages, ``retries`` decides about failures, ``run_clock`` finds what is due.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from asyncexec.backends.contract import Batch, Note
from asyncexec.errors import InputError, ValueLostError
from asyncexec.events.outcome import Outcome
from asyncexec.policies.circuit import CircuitBreaker
from asyncexec.scheduler.attempt_reports import AttemptReports
from asyncexec.scheduler.completion import Completion
from asyncexec.scheduler.event_buffer import EventBuffer
from asyncexec.scheduler.growth import Growth
from asyncexec.scheduler.late_stages import LateStages
from asyncexec.scheduler.lazy_slots import clear, lazy, lazy_slots, made
from asyncexec.scheduler.retries import Retries
from asyncexec.scheduler.run_clock import RunClock
from asyncexec.scheduler.run_status import RunStatus
from asyncexec.scheduler.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.backends.contract import Capabilities, Report
    from asyncexec.events.missing import MissingValue
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.scheduler.growth import GrowingStages, ReadItems
    from asyncexec.scheduler.late_stages import SizedStages
    from asyncexec.scheduler.outlet import Outlet
    from asyncexec.scheduler.recovery import Recovery
    from asyncexec.scheduler.run_state import RunState
    from asyncexec.scheduler.stage import StageState
    from asyncexec.straggler.slow_workers import SlowWorkers


@lazy_slots
class Run:
    """The decisions of one execution; what follows attempts and the time is made with the first batch.

    Attributes
    ----------
    stages : list of StageState
    status : RunStatus
        What is left, whether the run stops, and the attempts to cancel.
    late : LateStages
        The stages whose sizes are not known yet.
    sender : Sender
        The choice of what is sent next.
    growth : Growth
        The stages that grow as items are read.
    event_buffer : EventBuffer
        The events and notes so far; the dispatch takes them out.
    priority : int
        A run of higher priority is served first.
    """

    # Not formatted: a line a name says no more.
    __slots__ = (
        "_budget", "_capabilities", "_circuit", "_epoch", "_journal", "_resumes", "_running",
        "_seed", "_state", "event_buffer", "growth", "late", "name", "plan", "priority", "sender",
        "stages", "status",
    )  # fmt: skip

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
        self.status = RunStatus(sum([stage.readiness.tasks for stage in self.stages]))
        self.late = LateStages(state.plan.stages)
        self.event_buffer = EventBuffer(name, epoch=epoch, watched=watched)
        self.priority = state.policies.priority
        self._state = state
        self._journal = state.journal
        self._resumes = state.policies.resume
        self._budget = budget
        self._capabilities = capabilities
        self._epoch = epoch
        self._seed = seed
        self._circuit = CircuitBreaker()
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
            journaled=state.journal is not None,
        )
        self._running = self.sender.running
        self.growth = Growth(state, self.event_buffer)

    # -- what follows attempts and the time

    @lazy
    def attempts(self) -> AttemptReports:
        """The reports of attempts, and what they lead to."""
        events, circuit = self.event_buffer, self._circuit
        completion = Completion(
            self._state,
            status=self.status,
            late=self.late,
            circuit=circuit,
            event_buffer=events,
            epoch=self._epoch,
        )
        keep = completion.without_value
        return AttemptReports(
            self._state,
            status=self.status,
            sender=self.sender,
            completion=completion,
            retries=Retries(self._state, events, circuit, keep=keep, seed=self._seed),
            event_buffer=events,
            capabilities=self._capabilities,
            stop=self.stop,
        )

    @lazy
    def clock(self) -> RunClock:
        """The times at which something is due."""
        return RunClock(self._state, self._budget, self.sender, self.retries)

    # -- what it is asked

    @property
    def retries(self) -> Retries:
        """The tasks whose attempts failed."""
        return self.attempts.retries

    @property
    def slow_workers(self) -> SlowWorkers:
        """The workers on which every task takes long."""
        return self._state.workers.slow

    @property
    def known_slow_workers(self) -> SlowWorkers | None:
        """The same, if any worker was compared."""
        return self._state.workers.known_slow

    def rests_are_due(self, now: float) -> bool:
        """Return whether the workers to leave idle may be others now."""
        known = self.known_slow_workers
        return known is not None and known.is_due(now)

    @property
    def pause_ends(self) -> float:
        """The time at which a worker is tried again that is left idle; infinity while there is none."""
        known = self.known_slow_workers
        return math.inf if known is None else known.next_change

    @property
    def recovery(self) -> Recovery:
        """The values and chunks that are lost or damaged, and made again."""
        return self.attempts.recovery

    @property
    def left(self) -> int:
        """The number of tasks that are not complete, as far as is known."""
        return self.status.left

    @property
    def stopping(self) -> bool:
        """True where nothing more is started."""
        return self.status.stopping

    @property
    def error(self) -> Exception | None:
        """The error that the run failed with."""
        return self.status.error

    @property
    def finished(self) -> bool:
        """True once everything is complete (or stopped) and no attempt is with the backend."""
        return not (self._running or self.late.sizing) and (
            self.status.stopping or not self.incomplete
        )

    @property
    def incomplete(self) -> bool:
        """True while tasks are left, sizes are not known, items may come, or lost values are not there again."""
        late = self.late.unresolved or self.growth.open
        return bool(self.status.left or late or self._state.recovery.readers)

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
            not self.status.stopping
            and self.incomplete
            and not (self._running or self.late.due or self.late.sizing or self.growth.open)
            and ((attempts := made(self, Run.attempts)) is None or attempts.retries.idle)
            and not self.sender.order.launchable
        )

    def begin(self, now: float) -> None:
        """Make the first tasks ready."""
        if self._state.policies.timeout.plan is not None:
            self.clock.begin(now)
        for stage in self.stages:
            self._resume(stage, now)
        for position in self._state.begin():
            self.attempts.completion.stage_completed(self.stages[position], now)

    def hand_over_to(self, outlet: Outlet) -> None:
        """Have the values of one stage taken as they come, instead of at the end."""
        self._state.values.hand_over(outlet.position)
        self.sender.outlet = self.attempts.completion.outlet = outlet

    def take_sizing(self) -> Callable[[], SizedStages]:
        """Return a function that finds the sizes of the stages that are due; it may block, and raises if it fails."""
        return partial(self._state.size, self.late.take(), watched=self.event_buffer.watched)

    def sized(self, sized: SizedStages | Exception, now: float) -> None:
        """Continue with stages whose sizes are known now, or fail because they could not be found."""
        if self.status.stopping:
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
        if self.status.stopping:
            return
        self._more_tasks(self.growth.add(group, read.rows, now))
        if read.error is not None:
            self.stop(read.error)
        elif read.ended:
            for stage in self.growth.close(group, now):
                self.attempts.completion.stage_completed(stage, now)

    def skip(self, stage: StageState, task: int, missing: MissingValue, now: float) -> None:
        """Complete a task without running it, with what is missing of its inputs."""
        self.attempts.completion.skip(stage, task, missing, now)

    def _more_tasks(self, added: int) -> None:
        self.status.left += added
        # Where there are no retries yet, their budget will be that of all tasks there are by then.
        if (attempts := made(self, Run.attempts)) is not None:
            attempts.retries.budget.grow(added)

    def _install(self, sized: SizedStages, now: float) -> None:
        known = sum(self.stages[position].tasks for position in sized.stages)
        self._state.install(sized)
        self.sender.add(sized.stages.values())
        added = sum(stage.tasks for stage in sized.stages.values()) - known
        self._more_tasks(added)
        for position, stage in sized.stages.items():
            self.event_buffer.stage_sized(stage, sized.reads[position], now)
            self._resume(stage, now)
        for position in sized.complete:
            self.attempts.completion.stage_completed(self.stages[position], now)

    def next_batch(self, now: float, slots: int, held: Collection[str] = ()) -> Batch | None:
        """Return the next batch that can be sent now, if any; the named resources ``held`` are for other runs."""
        try:
            return None if self.status.stopping else self.sender.next_batch(now, slots, held)
        except InputError as error:
            self.stop(error)
            return None

    def report(self, reports: Iterable[Report], now: float) -> None:
        """Process reports of the backend; those of attempts that are not in flight are ignored."""
        running, attempts = self._running, self.attempts
        for report in reports:
            if isinstance(report, Outcome):
                attempt = running.pop(report[0], None)
                if attempt is not None:
                    attempts.ended(attempt, report, now)
            elif isinstance(report, Note):
                attempts.noted(report, now)
            else:
                attempt = running.get(report.attempt)
                if attempt is not None and attempt.started < 0:
                    attempts.started(attempt, report.worker, now)
        if self._journal is not None and self._journal.error is not None:
            self.stop(self._journal.error)

    def tick(self, now: float) -> None:
        """Apply timeouts, retries and backups that are due."""
        clock = self.clock
        due = clock.take_due(now)
        if not self.status.stopping and (error := clock.exceeded(due, now)) is not None:
            self.stop(error)
        if too_old := clock.check(due, now, stopping=self.status.stopping):
            self.status.give_up(too_old)

    def next_deadline(self, now: float) -> float | None:
        """Return the time of the next :meth:`tick`; None if only a report can change anything."""
        if self.status.stopping:
            return None
        if made(self, Run.attempts) is not None:  # Something has been sent, or is to be in time.
            return self.clock.next_deadline(now)
        opening = self.sender.opening(0.0)
        return None if opening == math.inf else opening

    def stop(self, error: Exception | None = None) -> None:
        """Start nothing more, and cancel everything in flight."""
        status = self.status
        if status.stopping:
            return
        status.stopping = True
        status.error = error
        if (attempts := made(self, Run.attempts)) is not None:
            attempts.retries.clear()
        self.growth.stop()
        for stage in self.stages:
            stage.clear()
        status.give_up(self._running)
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
            self.status.left -= resumed
            self.event_buffer.stage_resumed(stage, now)
            if (outlet := self.sender.outlet) is not None and self._journal is not None:
                done = self._journal.done(stage.name, stage.tasks)
                outlet.resumed(stage.position, done)

    # -- reports

    def release(self) -> None:
        """Break the circles in which its parts refer to each other; it is of no use after that.

        The run is gone at once then, with functions, items and values of the caller's, and not at some later collection
        of garbage.
        """
        for stage in self.stages:
            stage.release()
        if (attempts := made(self, Run.attempts)) is not None:
            vars(attempts).clear()
        for part in (self._state, self):
            clear(part)
