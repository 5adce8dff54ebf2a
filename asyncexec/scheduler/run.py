"""One execution as plain synchronous code: fed with reports and a clock, it says what to send and what to stop.

The driver calls, in any order: :meth:`Run.next_batch` (what to send), :meth:`Run.report` (what came back),
:meth:`Run.tick` (time has passed), :meth:`Run.stop` (enough). It reads :attr:`Run.unwanted` (attempts to cancel),
:attr:`Run.chronicle` (what to tell observers), :meth:`Run.next_deadline` and :attr:`Run.finished`. ``now`` is always
the driver's monotonic clock in seconds.

What happens to a task:

=============================  =====================================================================
an attempt succeeded           the task is complete, unless it was already; its other attempts are stopped
an attempt failed              if others of the task still run, they are waited for; else the retry policy
                               decides: another attempt after a while, or the plan fails
an attempt was lost unstarted  the task is ready again; nobody is charged
an attempt is too old          it is stopped, and counts as a failure
an attempt is slow             the task gets a backup
=============================  =====================================================================
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from asyncexec.backends.contract import Batch, Job, Started
from asyncexec.errors import RetryBudgetError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.policies.circuit import COUNTED, CircuitBreaker, State
from asyncexec.scheduler.attempts import Consignment, Running, Trouble
from asyncexec.scheduler.chronicle import Chronicle
from asyncexec.scheduler.failures import Again, Hopeless, caused_by, judge
from asyncexec.scheduler.limits import Limits
from asyncexec.scheduler.lookout import Lookout
from asyncexec.straggler.rule import EVIDENCE
from asyncexec.straggler.slow_workers import LEAST_SECONDS, SlowWorkers

if TYPE_CHECKING:
    from asyncexec.backends.contract import Capabilities, Report
    from asyncexec.scheduler.admission import Budget
    from asyncexec.scheduler.layout import Layout
    from asyncexec.scheduler.stage import StageState


class Run:
    """One execution's decisions.

    Attributes
    ----------
    stages : list of StageState
    left : int
        How many tasks are not complete.
    in_flight : int
        How many batches are with the backend.
    unwanted : list of int
        Attempts to cancel; the driver takes them away.
    chronicle : Chronicle
        What happened; the driver takes it away.
    abandoned : int
        Attempts given up that may still be running, on a backend that cannot kill.
    error : Exception or None
        Why the run failed.
    stopping : bool
        Whether nothing more is started.
    slow_workers : SlowWorkers
        Which workers are slow, whatever they are given.
    """

    def __init__(
        self,
        name: str,
        layout: Layout,
        budget: Budget,
        capabilities: Capabilities,
        *,
        ids: Iterator[int],
        epoch: float = 0.0,
        watched: bool = True,
        seed: int | None = None,
    ) -> None:
        self.name = name
        self.plan = layout.plan
        self.stages = layout.stages
        self.left = sum(stage.tasks for stage in self.stages)
        self.in_flight = 0
        self.unwanted: list[int] = []
        self.chronicle = Chronicle(name, epoch=epoch, watched=watched)
        self.abandoned = 0
        self.slow_workers = SlowWorkers()
        self.error: Exception | None = None
        self.stopping = False
        self._layout = layout
        self._settings = layout.settings
        self._budget = budget
        self._ids = ids
        self._random = random.Random(seed)
        self._waiting = sorted(self.stages, key=lambda s: (-s.depth, s.position))
        self._running: dict[int, Running] = {}
        self._delayed: list[tuple[float, int, StageState, int, bool]] = []
        self._circuit = CircuitBreaker()
        self._ticked_at = 0.0
        self._retries_left = layout.retries_allowed
        self._limits = Limits(layout.plan, layout.settings, layout.stages)
        self._lookout = Lookout(capabilities)
        self._workers: set[str] = set()
        self._kills = capabilities.kills
        self._tells_progress = capabilities.tells_progress

    # -- what the driver asks

    @property
    def finished(self) -> bool:
        """Whether everything is complete (or stopped) and nothing is with the backend."""
        return not self._running and (self.stopping or not self.left)

    @property
    def running(self) -> int:
        """How many attempts are with the backend."""
        return len(self._running)

    @property
    def stalled(self) -> bool:
        """Whether work is left and nothing will ever make it go on."""
        return (
            not self.stopping
            and self.left > 0
            and not self._running
            and not self._delayed
            and self._circuit.state is State.CLOSED
            and not any(stage.launchable for stage in self._waiting)
        )

    def begin(self, now: float) -> None:
        """Make the first tasks ready."""
        self._limits.begin(now)
        for stage in self.stages:
            if stage.resumed:
                stage.completed = stage.resumed
                self.left -= stage.resumed
                self.chronicle.stage_resumed(stage, now)
        for position in self._layout.begin():
            self._stage_completed(self.stages[position], now)

    def next_batch(self, now: float, slots: int) -> Batch | None:
        """Return what to send next, deepest stage first, booked in the budget; None where nothing can be sent now.

        A stage that waits for memory keeps the others waiting too, or small tasks would starve a large one; one that
        waits for a named resource does not.
        """
        if self.stopping:
            return None
        if self._budget.is_reserved_for(self):
            # What asked for everything goes before what is deeper, or both would wait for each other.
            return next((self._alone(s, now) for s in self._waiting if s.alone), None)
        for stage in self._waiting:
            if not stage.launchable or not self._budget.fits_resources(stage.stage.resources):
                continue
            if self._full or self._waits_its_turn(stage):
                continue
            if stage.alone:
                return self._alone(stage, now)
            needs = stage.stage.memory.projected_bytes
            if not self._budget.fits_memory(needs) or not self._circuit.allows(now):
                return None
            return self._batch(stage, now, slots)
        return None

    def report(self, reports: Iterable[Report], now: float) -> None:
        """Take in reports of the backend; those of attempts that are not in flight change nothing."""
        running = self._running
        for report in reports:
            if isinstance(report, Outcome):
                attempt = running.pop(report.attempt, None)
                if attempt is not None:
                    self._ended(attempt, report, now)
            else:
                attempt = running.get(report.attempt)
                if attempt is not None and attempt.started < 0:
                    self._started(attempt, report, now)

    def tick(self, now: float) -> None:
        """Do what is due: timeouts, retries, backups."""
        self._ticked_at = now
        if not self.stopping and (error := self._limits.exceeded(now)) is not None:
            self.stop(error)
        while self._delayed and self._delayed[0][0] <= now:
            _, _, stage, task, alone = heappop(self._delayed)
            if alone:
                stage.alone.append(task)
            else:
                stage.readiness.queue.push_first(task)
        for stage in self._waiting:
            if stage.started:
                self._check_attempts(stage, now)

    def next_deadline(self) -> float | None:
        """Return when :meth:`tick` is to be called next; None if only a report can change anything."""
        if self.stopping:
            return None
        times = list(self._limits.deadlines())
        if self._delayed:
            times.append(self._delayed[0][0])
        # Once told, a pause that is over is no reason to be told again: there may be nothing to send.
        if self._circuit.state is not State.CLOSED and self._circuit.resumes_at > self._ticked_at:
            times.append(self._circuit.resumes_at)
        idle = self._idle_slots()
        times.extend(self._lookout.next_look(s, idle) for s in self._waiting if s.started)
        return min(times, default=None)

    def stop(self, error: Exception | None = None) -> None:
        """Start nothing more, and have everything in flight cancelled."""
        if self.stopping:
            return
        self.stopping = True
        self.error = error
        self._delayed.clear()
        for stage in self.stages:
            stage.readiness.queue.clear()
            stage.backups.clear()
            stage.alone.clear()
        self.unwanted.extend(self._running)
        self._budget.withdraw(self)

    def forsake(self) -> int:
        """Let go of attempts whose outcomes do not come, and return how many there were."""
        forsaken = list(self._running.values())
        self._running.clear()
        for running in forsaken:
            self._give_back(running.consignment)
        return len(forsaken)

    # -- sending

    def _batch(self, stage: StageState, now: float, slots: int) -> Batch:
        if stage.backups:
            return self._send(stage, [stage.backups.popleft()], now, backup=True)
        queue = stage.readiness.queue
        one = self._circuit.state is not State.CLOSED or self._is_suspect(stage, queue.first)
        most = 1 if one else stage.batch.size(queue.count, slots)
        if (limit := self._settings.most_in_flight) is not None:
            most = min(most, limit - len(self._running))
        return self._send(stage, queue.take(most), now)

    def _is_suspect(self, stage: StageState, task: int | None) -> bool:
        """Whether a task may have been what others of its batch failed by, so that it goes alone this time."""
        if self._tells_progress or task is None:
            return False
        trouble = stage.troubles.get(task)
        return trouble is not None and trouble.failures > 0

    @property
    def _full(self) -> bool:
        limit = self._settings.most_in_flight
        return limit is not None and len(self._running) >= limit

    def _waits_its_turn(self, stage: StageState) -> bool:
        """Whether another stage is under way, where they go one at a time."""
        return (
            self._settings.one_stage_at_a_time
            and stage.first_at is None
            and any(s.first_at is not None and s.completed < s.tasks for s in self.stages)
        )

    def _alone(self, stage: StageState, now: float) -> Batch | None:
        """Send a task that ran out of memory with nothing beside it: what is in flight is let finish first."""
        if not self._budget.reserve(self) or not self._circuit.allows(now):
            return None
        return self._send(stage, [stage.alone.popleft()], now, exclusive=True)

    def _send(
        self,
        stage: StageState,
        tasks: Sequence[int],
        now: float,
        *,
        exclusive: bool = False,
        backup: bool = False,
    ) -> Batch:
        memory_bytes = stage.stage.memory.projected_bytes
        self._budget.take(memory_bytes, stage.stage.resources, exclusive=exclusive)
        self.in_flight += 1
        consignment = Consignment(stage, len(tasks), memory_bytes, exclusive=exclusive)
        if stage.first_at is None:
            stage.first_at = now
            self.chronicle.stage_started(stage, now)
        stage.attempts += len(tasks)
        inputs, running, ids = stage.inputs, self._running, self._ids
        jobs: list[Job] = []
        for task in tasks:
            attempt = next(ids)
            record = running[attempt] = Running(attempt, task, consignment, now)
            if stage.troubles and task in stage.troubles:
                self._another(stage, record, now, backup=backup)
            jobs.append(Job(attempt, task, inputs(task)))
        return Batch(stage.program, jobs, _others(stage, tasks) if backup else frozenset())

    def _another(self, stage: StageState, running: Running, now: float, *, backup: bool) -> None:
        """Make a further attempt known to its task."""
        trouble = stage.troubles[running.task]
        trouble.attempts += 1
        running.trouble = trouble
        running.number = trouble.attempts
        running.backup = backup
        if backup:
            stage.backed_up += 1
            stage.running_backups += 1
            first = next(iter(trouble.alive.values()))
            self.chronicle.backup_started(running, max(0.0, now - first.started), now)
        trouble.alive[running.id] = running

    # -- what came back

    def _started(self, running: Running, report: Started, now: float) -> None:
        running.started = now
        running.worker = report.worker
        if report.worker not in self._workers:
            # The least: others may have waited for a slot as well as for their worker to come up.
            self._workers.add(report.worker)
            delay = max(0.0, now - running.sent)
            self._lookout.cold_start_seconds = min(self._lookout.cold_start_seconds, delay)
        running.consignment.stage.started[running.id] = running
        self.chronicle.started(running, report.worker, now)

    def _ended(self, running: Running, outcome: Outcome, now: float) -> None:
        consignment = running.consignment
        stage = consignment.stage
        self._give_back(consignment)
        if outcome.status is Status.CANCELLED:
            outcome = self._stopped(running, outcome, now)
        if running.started >= 0:
            stage.started.pop(running.id, None)
        if running.backup:
            stage.running_backups -= 1
            stage.backups_settled += outcome.started
        stage.busy_seconds += outcome.seconds
        stage.peak_bytes = max(stage.peak_bytes, outcome.peak_bytes)
        self.chronicle.ended(running, outcome, now)
        if outcome.status is Status.SUCCEEDED:
            stage.batch.measured(outcome.seconds)
            seconds = stage.whole_seconds(outcome, running.task)
            stage.statistics.add(seconds)
            if seconds >= LEAST_SECONDS:
                self.slow_workers.ran(outcome.worker, seconds, stage.typical_seconds(), now)
            stage.read_bytes += outcome.read_bytes
            stage.written_bytes += outcome.written_bytes
            trouble = running.trouble
            if trouble is not None and not self._first_success(running, trouble, stage):
                return
            self._complete(running, stage, outcome, now)
        else:
            self._unsuccessful(running, stage, outcome, now)

    def _stopped(self, running: Running, outcome: Outcome, now: float) -> Outcome:
        """Return a cancelled attempt's outcome as what it was cancelled for."""
        if outcome.started and not self._kills:
            self.abandoned += 1
            self.chronicle.abandoned(running, now)
        return outcome._replace(status=Status.TIMED_OUT) if running.timed_out else outcome

    def _give_back(self, consignment: Consignment) -> None:
        consignment.left -= 1
        if not consignment.left:
            self.in_flight -= 1
            self._budget.give_back(
                consignment.memory_bytes,
                consignment.stage.stage.resources,
                exclusive=consignment.exclusive,
            )

    def _first_success(self, running: Running, trouble: Trouble, stage: StageState) -> bool:
        """Settle a task that had several attempts; return whether this one is the first to succeed."""
        trouble.alive.pop(running.id, None)
        if trouble.complete:
            return False
        trouble.complete = True
        self.unwanted.extend(trouble.alive)
        stage.troubles.pop(running.task, None)
        stage.poison.forget(running.task)
        if stage.backups and running.task in stage.backups:
            stage.backups.remove(running.task)
        return True

    def _complete(self, running: Running, stage: StageState, outcome: Outcome, now: float) -> None:
        if self.stopping:
            return
        task = running.task
        stage.completed += 1
        if stage.completions is not None:
            stage.completions.add(now - (stage.first_at or 0.0))
        stage.backups_won += running.backup
        if stage.completed == EVIDENCE and not stage.experience.count:
            stage.share_experience()  # There is nothing better yet for stages that call the same function.
        self.left -= 1
        if (
            self._circuit.failures
            and self._circuit.record(success=True, task=None, now=now) is State.CLOSED
        ):
            self.chronicle.circuit_closed(now)
        self.chronicle.succeeded(running, now)
        self._layout.complete(stage, task, outcome.value)
        if not stage.readiness.left:
            self._stage_completed(stage, now)

    def _stage_completed(self, stage: StageState, now: float) -> None:
        stage.last_at = now
        stage.share_experience()
        self._waiting = [s for s in self._waiting if s.readiness.left]
        self.chronicle.stage_completed(stage, now)

    def _unsuccessful(
        self, running: Running, stage: StageState, outcome: Outcome, now: float
    ) -> None:
        if self.stopping:
            return
        trouble = running.trouble
        if trouble is None:
            trouble = running.trouble = stage.troubles[running.task] = Trouble()
        trouble.alive.pop(running.id, None)
        if trouble.complete:
            if outcome.started:
                stage.outlook.stopped.add(stage.whole_seconds(outcome, running.task))
            return
        if outcome.status is not Status.CANCELLED or outcome.started:
            stage.failed += 1
        if stage.backups and running.task in stage.backups:
            stage.backups.remove(running.task)  # a task that is tried again needs no backup as well
        if trouble.alive:
            return
        kind = stage.settings.retry.kind(outcome)
        excused = self._circuit.excuses(kind)
        decision = judge(
            self.plan.name,
            stage,
            running,
            trouble=trouble,
            outcome=outcome,
            rng=self._random,
            left=self.left,
            excused=excused,
        )
        if isinstance(decision, Hopeless):
            self._fail(running, decision, now)
            return
        if (decision.charged or excused) and kind in COUNTED:
            self._record_failure(stage, running, decision, now)
        self._again(running, stage, decision, now)

    def _again(self, running: Running, stage: StageState, decision: Again, now: float) -> None:
        if self.stopping:
            return
        if decision.charged:
            self._retries_left -= 1
            if self._retries_left < 0:
                self._out_of_retries(running, stage, decision)
                return
        if decision.failed:
            stage.retried += 1
            self.chronicle.retry_scheduled(running, decision.delay_seconds, decision.reason, now)
        if decision.delay_seconds <= 0 and not decision.alone:
            stage.readiness.queue.push_first(running.task)
        else:
            due = now + decision.delay_seconds
            heappush(self._delayed, (due, running.id, stage, running.task, decision.alone))

    def _out_of_retries(self, running: Running, stage: StageState, decision: Again) -> None:
        error = RetryBudgetError(
            f"plan {self.plan.name!r}: more than {self._layout.retries_allowed:g} retries, the plan's budget; the last "
            f"was to be of stage {stage.name!r}, task {running.task} ({decision.reason}). Something is wrong with "
            f"most tasks; see the events, or raise Retry(budget=...)"
        )
        self.stop(caused_by(error, decision.info))

    def _fail(self, running: Running, decision: Hopeless, now: float) -> None:
        self.chronicle.failed(running, decision.error, now)
        self.stop(decision.error)

    def _record_failure(
        self, stage: StageState, running: Running, decision: Again, now: float
    ) -> None:
        changed = self._circuit.record(success=False, task=(stage.position, running.task), now=now)
        if self._circuit.gave_up:
            last = f"stage {stage.name!r}, task {running.task}: {decision.reason}"
            self.stop(caused_by(self._circuit.error(self.plan.name, last=last), decision.info))
        elif changed is State.OPEN:
            pause = self._circuit.pause_seconds
            self.chronicle.circuit_opened(self._circuit.failures, pause, now)

    # -- the clock

    def _check_attempts(self, stage: StageState, now: float) -> None:
        stage.looked_at = now
        overdue = list(self._lookout.overdue(stage, now))
        for running in overdue:
            running.timed_out = True
            if stage.watches_hangs:
                self._trouble(stage, running).hangs += 1
        self.unwanted.extend(running.id for running in overdue)
        if self.stopping or not stage.stage.idempotent:
            return
        for running in self._lookout.slow(stage, now, self._idle_slots()):
            self._trouble(stage, running)
            stage.backups.append(running.task)

    @staticmethod
    def _trouble(stage: StageState, running: Running) -> Trouble:
        """Return what is kept of the task of an attempt that runs."""
        if running.trouble is None:
            running.trouble = stage.troubles[running.task] = Trouble()
            running.trouble.alive[running.id] = running
        return running.trouble

    def _idle_slots(self) -> int:
        return self._layout.slots() - self._budget.batches


def _others(stage: StageState, tasks: Iterable[int]) -> frozenset[str]:
    """Return the workers that are known to run attempts of these tasks."""
    alive = (r for task in tasks for r in stage.troubles[task].alive.values())
    return frozenset(running.worker for running in alive if running.worker)
