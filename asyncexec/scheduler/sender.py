"""The sending of a run's attempts: which are sent next, and the account of those that are with the backend."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from asyncexec.backends.contract import AttemptSpec, Batch
from asyncexec.errors import InputError
from asyncexec.events.missing import MissingValue
from asyncexec.policies.circuit import State
from asyncexec.scheduler.batching import DEAR_SECONDS
from asyncexec.scheduler.run_ahead import RunAhead
from asyncexec.scheduler.stage import AttemptRecord, BatchLease, StageState, workers_of
from asyncexec.scheduler.stage_order import StageOrder
from asyncexec.scheduler.throttle import closed, free_limits
from asyncexec.scheduler.waits import LimitWait, MemoryWait, ResourceWait, SlotWait, ValueWait, Wait

if TYPE_CHECKING:
    from asyncexec.backends.contract import Capabilities
    from asyncexec.events.outcome import Outcome
    from asyncexec.policies.circuit import CircuitBreaker
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.scheduler.completion import SendingRun
    from asyncexec.scheduler.event_buffer import EventBuffer
    from asyncexec.scheduler.outlet import Outlet
    from asyncexec.scheduler.result_store import ResultStore
    from asyncexec.scheduler.run_policies import RunPolicies

new = tuple.__new__  # A named tuple's own constructor takes three times as long.


class Sender:
    """Chooses the tasks of one run that are sent next, and makes attempts and batches of them.

    Parameters
    ----------
    owner : SendingRun
        The run, as the budget names it in a reservation; it completes tasks that need not run.
    plan : str
        Its name, for messages.
    stages : list of StageState
        As they are at any time.
    policies : RunPolicies
    budget : AdmissionBudget
    circuit : CircuitBreaker
    capabilities : Capabilities
    ids : iterator of int
        Gives the ids of attempts.
    event_buffer : EventBuffer
    epoch : float
        The offset from the clock of the driver to seconds since the epoch.
    values : ResultStore
    journaled : bool
        Whether each value is noted as it comes, before anything reads it.

    Attributes
    ----------
    order : StageOrder
        The stages with tasks to send.
    running : dict of int to AttemptRecord
        The attempts that are with the backend, by id.
    in_flight : int
        The batches that are with the backend.
    changed : dict of StageState
        The stages that the run's clock is to look at, as attempts of them have been sent.
    """

    def __init__(
        self,
        owner: SendingRun,
        plan: str,
        stages: list[StageState],
        *,
        policies: RunPolicies,
        budget: AdmissionBudget,
        circuit: CircuitBreaker,
        capabilities: Capabilities,
        ids: Iterator[int],
        event_buffer: EventBuffer,
        epoch: float,
        values: ResultStore,
        journaled: bool = False,
    ) -> None:
        self.order = StageOrder()
        self.running: dict[int, AttemptRecord] = {}
        self.in_flight = 0
        self.changed: dict[StageState, None] = {}
        self._owner = owner
        self._plan = plan
        self._stages = stages
        self._policies = policies
        self._budget = budget
        self._circuit = circuit
        self._tells_progress = capabilities.tells_progress
        self._shares_slots = capabilities.shares_slots
        self._is_dear = capabilities.call_seconds >= DEAR_SECONDS
        self._ids = ids
        self._event_buffer = event_buffer
        self._epoch = epoch
        self._values = values
        self._begun: dict[StageState, None] | None = {} if policies.one_stage_at_a_time else None
        self._memory_wait: MemoryWait | None = None
        follows = capabilities.follows and not journaled
        one_by_one = policies.one_stage_at_a_time or policies.most_in_flight is not None
        self._follows = follows and not one_by_one
        self._run_ahead: RunAhead | None = None  # made with the first batch
        self.outlet: Outlet | None = None
        self.add([s for s in stages if s.stage.grows or not s.stage.is_late])

    def add(self, stages: Iterable[StageState]) -> None:
        """Send tasks of further stages, too."""
        for stage in stages:
            # Not where tasks run again: then it has them, and attempts of it may be in flight.
            stage.throttles = stage.throttles or self._budget.throttles_of(stage.stage)
            self.order.add(stage)

    @property
    def launchable(self) -> bool:
        """True where tasks could be sent if nothing held them back."""
        return self.order.launchable

    @property
    def waits(self) -> frozenset[Wait]:
        """All that tasks wait for and other runs may bring about, as was found when a batch was last asked for."""
        queues, mine = self.order.queues, self._memory_wait
        waits: Iterable[Wait] = queues.waits if queues.waiting else ()
        return frozenset(waits if mine is None else (*waits, mine))

    def next_batch(self, now: float, slots: int, held: Collection[str] = ()) -> Batch | None:
        """Return the next batch, of the deepest stage first, taken from the budget; None if nothing can be sent now.

        A stage that waits for memory blocks the others, or small tasks would starve a large one; a stage that waits for
        a named resource does not. The named resources ``held`` are for other runs.
        """
        self._memory_wait = None
        if self._budget.reserved_for is self._owner:
            # The task that has the reservation goes before deeper stages, or both would wait for each other.
            alone = min(
                (s for s in self._stages if s.exclusive), key=attrgetter("rank"), default=None
            )
            return None if alone is None else self._exclusive(alone, now)
        limit = self._policies.most_in_flight
        if limit is not None and len(self.running) >= limit:
            return None
        return self._next_batch(now, slots, held)

    def _next_batch(self, now: float, slots: int, held: Collection[str]) -> Batch | None:
        budget, order = self._budget, self.order
        order.resume(now, lambda wait: wait.is_over(budget, now))
        while (stage := order.first()) is not None:
            if self._is_held_back(stage, now, slots, held):
                continue
            if stage.exclusive:
                return self._exclusive(stage, now)
            if not self._circuit.allows(now):
                return None
            if not budget.fits_memory(stage.task_bytes):
                self._memory_wait = MemoryWait.of(stage.task_bytes)
                return None
            # None where each task lacks an input, and is complete by that: others may be ready now.
            batch = self._batch(stage, now, slots)
            if batch is not None:
                return batch
        return None

    def opening(self, after: float) -> float:
        """Return the earliest time after ``after`` at which limits let a task be sent; infinity if none will.

        Limits that runs share are not among them.
        """
        return self.order.next_opening(after)

    def attempt_started(self, stage: StageState, at: float) -> None:
        """Record for the limits of a stage, which has some, that an attempt has started."""
        for throttle in stage.throttles:
            throttle.started(at)
        self.order.offer(stage)

    def ended(self, attempt: AttemptRecord, outcome: Outcome | None, now: float) -> None:
        """Record that an attempt has ended, or is given up; give back what its batch took, if that was its last."""
        lease = attempt.lease
        if lease.stage.throttles:
            free_limits(lease.stage.throttles, outcome, now, unknown=attempt.started < 0)
            self.order.offer(lease.stage)
        if lease.behind is not None:
            lease = lease.behind
            if lease.left == 1 and self._run_ahead is not None:
                self._run_ahead.ended(now - attempt.sent)
        left = lease.left = lease.left - 1
        if left >= lease.at_once:
            return
        if not left:
            self.in_flight -= 1
            self._budget.give_back(
                lease.memory_bytes,
                lease.stage.stage.resources,
                exclusive=lease.exclusive,
                slots=lease.slot_share or 1.0,
            )
        else:
            resources = lease.stage.stage.resources
            self._budget.give_back_part(lease.memory_bytes, resources, lease.slot_share)

    def widen(self, stage: StageState, width: int) -> None:
        """Let a slot run up to ``width`` tasks of a stage at once, of which each takes less of it from now on."""
        batch = stage.running.batch
        if width > batch.at_once:
            batch.widen(width)
            leases = {a.lease for a in self.running.values() if a.lease.stage is stage}
            self._budget.slots_taken -= sum(each.shrink(1 / batch.at_once) for each in leases)

    def _batch(self, stage: StageState, now: float, slots: int) -> Batch | None:
        if stage.backups:
            return self._send(stage, [stage.running.monitor.backups.pop(0)], now, backup=True)
        queue = stage.readiness.queue
        one = (
            self._circuit.state is not State.CLOSED
            or bool(stage.throttles)
            or (not self._tells_progress and stage.is_suspect(queue.first))
        )
        most = 1 if one else stage.running.batch.size(queue.count, slots)
        if (at_once := stage.running.batch.at_once) > 1:
            needs, resources = stage.task_bytes, stage.stage.resources
            room = self._budget.room(needs, resources, at_once)
            most = most if room >= at_once else min(most, room)
        if (limit := self._policies.most_in_flight) is not None:
            most = min(most, limit - len(self.running))
        if self.outlet is not None:
            most = self.outlet.most(stage, most, slots)
        tasks = queue.take(most)
        if self.outlet is not None:
            self.outlet.taken(stage, tasks)
        if self._values.has_missing and not stage.stage.takes_missing:
            tasks = self._with_inputs(stage, tasks, now)
            if not tasks:
                return None
        batch = self._send(stage, tasks, now)
        if one or self.outlet is not None or not self._follows:
            return batch
        if self._run_ahead is None:
            self._run_ahead = RunAhead(self._stages, self.running, self._ids)
        return self._run_ahead.followed(batch, stage, now)

    def _with_inputs(self, stage: StageState, tasks: Sequence[int], now: float) -> Sequence[int]:
        """Return those of ``tasks`` of which no input is missing; the others are complete by that."""
        left: list[int] = []
        for task in tasks:
            (inputs,) = self._gathered(stage, (task,))
            missing = next((i for i in inputs if isinstance(i, MissingValue)), None)
            if missing is None:
                left.append(task)
            else:
                self._owner.skip(stage, task, missing, now)
        return left

    def _is_held_back(
        self, stage: StageState, now: float, slots: int, held: Collection[str]
    ) -> bool:
        """Put the first stage where it waits, if it does, and return whether it does.

        It may wait for its turn, a limit, values to be taken, a free slot, or a named resource. While the values that
        are kept exceed their budget, a stage that only adds to them goes on with one task at a time.
        """
        if self._begun is not None and self._waits_its_turn(stage):
            self.order.set_aside()
            return True
        if stage.throttles and (throttle := closed(stage.throttles, now)) is not None:
            if throttle.shared:
                self.order.park(LimitWait(throttle))
            else:
                self.order.delay(throttle.opens_at)
            return True
        wait: Wait | None = None
        budget, resources = self._budget, stage.stage.resources
        if budget.values.must_wait and budget.batches and not stage.stage.reads:
            wait = ValueWait()
        elif self._is_dear and budget.slots_taken >= slots and stage.running.batch.is_unmeasured:
            wait = SlotWait(slots)
        elif resources and not (
            budget.fits_resources(resources) and resources.keys().isdisjoint(held)
        ):
            wait = ResourceWait.of(resources)
        if wait is not None:
            self.order.park(wait)
            return True
        if self.outlet is not None and self.outlet.holds_back(stage, slots):
            self.order.set_aside()
            return True
        return False

    def _waits_its_turn(self, stage: StageState) -> bool:
        """Return whether stages run one at a time and it is another's turn."""
        begun = self._begun or {}
        for other in [s for s in begun if s.figures.completed >= s.tasks]:
            del begun[other]
        return stage.first_at is None and bool(begun)

    def _exclusive(self, stage: StageState, now: float) -> Batch | None:
        """Return a batch of one task that runs while nothing else does; None until nothing else is in flight."""
        if closed(stage.throttles, now) is not None:
            return None  # Before the budget is reserved: that keeps all others waiting.
        if not self._budget.reserve(self._owner):
            self._memory_wait = MemoryWait.of(stage.task_bytes)
            return None
        if not self._circuit.allows(now):
            return None
        return self._send(stage, [stage.take_alone()], now, exclusive=True)

    def _send(
        self,
        stage: StageState,
        tasks: Sequence[int],
        now: float,
        *,
        exclusive: bool = False,
        backup: bool = False,
    ) -> Batch:
        gathered = self._gathered(stage, tasks)
        self.in_flight += 1
        lease = self._lease(stage, len(tasks), exclusive=exclusive)
        if stage.first_at is None:
            self.begin_stage(stage, now)
        if stage.running.monitor.attempts:
            self.changed[stage] = None
        for throttle in stage.throttles:
            throttle.sent()
        running, ids, records = self.running, self._ids, stage.task_records
        jobs: list[AttemptSpec] = []
        for task, inputs in zip(tasks, gathered, strict=True):
            attempt_id = next(ids)
            attempt = running[attempt_id] = AttemptRecord(attempt_id, task, lease, now)
            if records and task in records:
                self._another(stage, attempt, now, backup=backup)
            jobs.append(new(AttemptSpec, (attempt_id, task, inputs, attempt.number)))
        if not backup:
            return Batch(stage.program, jobs)
        apart = self._owner.slow_workers.apart_from(workers_of(stage, tasks))
        return Batch(stage.program, jobs, apart)

    def begin_stage(self, stage: StageState, now: float) -> None:
        """Record that the first attempt of a stage was sent; of one that follows another, that it has started."""
        stage.first_at = now
        if self._begun is not None:
            self._begun[stage] = None
        stage.figures.started_at = self._epoch + now
        self._event_buffer.stage_started(stage, now)
        if stage.policies.timeout.stage is not None:
            self.changed[stage] = None

    def _gathered(self, stage: StageState, tasks: Sequence[int]) -> list[tuple[Any, ...]]:
        """Return the inputs of ``tasks``, before anything is taken for them: a sequence of the user's may raise."""
        gathered: list[tuple[Any, ...]] = []
        try:
            gathered.extend(map(stage.running.inputs, tasks))  # As far as it comes, which is told.
        except Exception as error:
            item = tasks[len(gathered)]
            raise InputError(
                f"plan {self._plan!r}, stage {stage.name!r}: item {item} could not be taken from the sequence of its "
                f"items: {type(error).__name__}: {error}. Its length must be that of what it gives",
                plan=self._plan,
                stage=stage.name,
                item=item,
            ) from error
        return gathered

    def _lease(self, stage: StageState, tasks: int, *, exclusive: bool) -> BatchLease:
        """Take from the budget what a batch needs."""
        memory_bytes, resources = stage.task_bytes, stage.stage.resources
        limit = stage.running.batch.at_once
        if limit == 1:
            self._budget.take(memory_bytes, resources, exclusive=exclusive)
            return BatchLease(stage, tasks, memory_bytes, exclusive=exclusive)
        at_once = min(limit, tasks)
        share = 1.0 / limit if self._shares_slots else 0.0
        slots = at_once * share or 1.0
        self._budget.take(memory_bytes, resources, exclusive=exclusive, tasks=at_once, slots=slots)
        return BatchLease(
            stage, tasks, memory_bytes, exclusive=exclusive, at_once=at_once, slot_share=share
        )

    def _another(
        self, stage: StageState, attempt: AttemptRecord, now: float, *, backup: bool
    ) -> None:
        """Add a further attempt to its task's record."""
        record = stage.task_records[attempt.task]
        record.attempts += 1
        attempt.task_record = record
        attempt.number = record.attempts
        attempt.backup = backup
        if backup:
            stage.figures.backups += 1
            stage.running.monitor.copies.sent += 1
            first = next(iter(record.alive.values()))
            self._event_buffer.backup_started(attempt, max(0.0, now - first.started), now)
        record.alive[attempt.id] = attempt
