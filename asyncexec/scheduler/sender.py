"""The sending of a run's attempts: which are sent next, and the account of those that are with the backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.backends.contract import AttemptSpec, Batch
from asyncexec.errors import InputError
from asyncexec.events.missing import MissingValue
from asyncexec.policies.circuit import State
from asyncexec.scheduler.stage import AttemptRecord, BatchLease, StageState, workers_of
from asyncexec.scheduler.throttle import opens_at

if TYPE_CHECKING:
    from asyncexec.backends.contract import Capabilities
    from asyncexec.events.outcome import Outcome
    from asyncexec.policies.circuit import CircuitBreaker
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.scheduler.event_buffer import EventBuffer
    from asyncexec.scheduler.outlet import Outlet
    from asyncexec.scheduler.result_store import ResultStore
    from asyncexec.scheduler.run_policies import RunPolicies

new = tuple.__new__  # A named tuple's own constructor takes three times as long.


class Sender:
    """Chooses the tasks of one run that are sent next, and makes attempts and batches of them.

    Parameters
    ----------
    owner : object
        The run, as the budget names it in a reservation.
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
    skip : callable
        Completes a task without running it, with what is missing of its inputs.

    Attributes
    ----------
    waiting : list of StageState
        Those with tasks to send, now or later, in the order in which their tasks are sent.
    running : dict of int to AttemptRecord
        The attempts that are with the backend, by id.
    in_flight : int
        The batches that are with the backend.
    lacks_memory : bool
        Whether the memory was not free that a task needs, when a batch was last asked for.
    lacks : set of str
        The named resources that were not free then.
    """

    def __init__(
        self,
        owner: object,
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
        skip: Callable[[StageState, int, MissingValue, float], None],
    ) -> None:
        self.waiting: list[StageState] = []
        self.running: dict[int, AttemptRecord] = {}
        self.in_flight = 0
        self._owner = owner
        self._plan = plan
        self._stages = stages
        self._policies = policies
        self._budget = budget
        self._circuit = circuit
        self._tells_progress = capabilities.tells_progress
        self._shares_slots = capabilities.shares_slots
        self._ids = ids
        self._event_buffer = event_buffer
        self._epoch = epoch
        self._values = values
        self._skip = skip
        self._passed_on = 0
        self._paced = policies.one_stage_at_a_time or policies.most_in_flight is not None
        self._throttled = False
        self.outlet: Outlet | None = None
        self.lacks_memory = False
        self.lacks: set[str] = set()
        self.add(s for s in stages if s.stage.grows or not s.stage.is_late)

    def add(self, stages: Iterable[StageState]) -> None:
        """Send tasks of further stages, too."""
        known = set(self.waiting)
        added = [stage for stage in stages if stage not in known]
        for stage in added:
            # Not where tasks run again: then it has them, and attempts of it may be in flight.
            stage.throttles = stage.throttles or self._budget.throttles_of(stage.stage)
            self._throttled |= bool(stage.throttles)
        self.waiting = in_order_of_sending((*self.waiting, *added))

    @property
    def launchable(self) -> bool:
        """True where tasks could be sent if nothing held them back."""
        return any(stage.launchable for stage in self.waiting)

    def next_batch(self, now: float, slots: int, held: Collection[str] = ()) -> Batch | None:
        """Return the next batch, taken from the budget; None if nothing can be sent now.

        The named resources ``held`` are for other runs.
        """
        self.lacks_memory = False
        self.lacks.clear()
        while True:
            before = self._passed_on
            batch = self._next_batch(now, slots, held)
            # Tasks that were passed on have made others ready, perhaps of a stage that was looked at before.
            if batch is not None or self._passed_on == before:
                return batch

    def _next_batch(self, now: float, slots: int, held: Collection[str]) -> Batch | None:
        """Return the next batch, of the deepest stage first, taken from the budget; None if nothing can be sent now.

        A stage that waits for memory blocks the others, or small tasks would starve a large one; a stage that waits for
        a named resource does not.
        """
        budget = self._budget
        if budget.is_reserved_for(self._owner):
            # The task that has the reservation goes before deeper stages, or both would wait for each other.
            return next((self._exclusive(s, now) for s in self.waiting if s.exclusive), None)
        for stage in self.waiting:
            if not stage.launchable or (self._paced and self._waits_its_turn(stage)):
                continue
            if self._is_held_back(stage, now, slots):
                continue
            if stage.stage.resources and self._lacks_resources(stage.stage.resources, held):
                continue
            if stage.exclusive:
                return self._exclusive(stage, now)
            if not self._circuit.allows(now):
                return None
            if not budget.fits_memory(stage.stage.memory.projected_bytes):
                self.lacks_memory = True
                return None
            batch = self._batch(stage, now, slots)
            if batch is not None:
                return batch
        return None

    def opening(self, after: float) -> float:
        """Return the earliest time after ``after`` at which limits let a task be sent; infinity if none will."""
        if not self._throttled:
            return math.inf
        return min(
            (
                at
                for stage in self.waiting
                if stage.throttles
                and stage.launchable
                and (at := opens_at(stage.throttles)) > after
            ),
            default=math.inf,
        )

    def ended(self, attempt: AttemptRecord, outcome: Outcome | None, now: float) -> None:
        """Record that an attempt has ended, or is given up; give back what its batch took, if that was its last."""
        lease = attempt.lease
        if lease.stage.throttles:
            _free_limits(attempt, outcome, now)
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

    def _batch(self, stage: StageState, now: float, slots: int) -> Batch | None:
        if stage.backups:
            return self._send(stage, [stage.backups.popleft()], now, backup=True)
        queue = stage.readiness.queue
        one = (
            self._circuit.state is not State.CLOSED
            or bool(stage.throttles)
            or (not self._tells_progress and stage.is_suspect(queue.first))
        )
        most = 1 if one else stage.batch.size(queue.count, slots)
        if (at_once := stage.program.concurrency) > 1:
            needs, resources = stage.stage.memory.projected_bytes, stage.stage.resources
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
        return self._send(stage, tasks, now)

    def _with_inputs(self, stage: StageState, tasks: Sequence[int], now: float) -> Sequence[int]:
        """Return those of ``tasks`` of which no input is missing; the others are complete by that."""
        left: list[int] = []
        for task in tasks:
            (inputs,) = self._gathered(stage, (task,))
            missing = next((i for i in inputs if isinstance(i, MissingValue)), None)
            if missing is None:
                left.append(task)
            else:
                self._passed_on += 1
                self._skip(stage, task, missing, now)
        return left

    def _is_held_back(self, stage: StageState, now: float, slots: int) -> bool:
        """Return whether a limit is reached, whoever takes the values is behind, or too many values are kept.

        While those exceed their budget, a stage that only adds to them goes on with one task at a time.
        """
        if stage.throttles and opens_at(stage.throttles) > now:
            return True
        if self._budget.values.must_wait and self._budget.batches and not stage.stage.reads:
            return True
        return self.outlet is not None and self.outlet.holds_back(stage, slots)

    def _lacks_resources(self, resources: Mapping[str, float], held: Collection[str]) -> bool:
        if self._budget.fits_resources(resources):
            return bool(held) and not resources.keys().isdisjoint(held)
        self.lacks.update(resources)
        return True

    def _waits_its_turn(self, stage: StageState) -> bool:
        """Return whether enough is in flight, or stages run one at a time and it is another's turn."""
        limit = self._policies.most_in_flight
        return (limit is not None and len(self.running) >= limit) or (
            self._policies.one_stage_at_a_time
            and stage.first_at is None
            and any(s.first_at is not None and s.figures.completed < s.tasks for s in self._stages)
        )

    def _exclusive(self, stage: StageState, now: float) -> Batch | None:
        """Return a batch of one task that runs while nothing else does; None until nothing else is in flight."""
        if stage.throttles and opens_at(stage.throttles) > now:
            return None  # Before the budget is reserved: that keeps all others waiting.
        if not self._budget.reserve(self._owner) or not self._circuit.allows(now):
            return None
        return self._send(stage, [stage.exclusive.popleft()], now, exclusive=True)

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
            stage.first_at = now
            stage.figures.started_at = self._epoch + now
            self._event_buffer.stage_started(stage, now)
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
        return Batch(stage.program, jobs, workers_of(stage, tasks) if backup else frozenset())

    def _gathered(self, stage: StageState, tasks: Sequence[int]) -> list[tuple[Any, ...]]:
        """Return the inputs of ``tasks``, before anything is taken for them: a sequence of the user's may raise."""
        gathered: list[tuple[Any, ...]] = []
        try:
            gathered.extend(map(stage.inputs, tasks))  # As far as it comes, which is told.
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
        memory_bytes, resources = stage.stage.memory.projected_bytes, stage.stage.resources
        limit = stage.program.concurrency
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
            stage.monitor.backup_sent()
            first = next(iter(record.alive.values()))
            self._event_buffer.backup_started(attempt, max(0.0, now - first.started), now)
        record.alive[attempt.id] = attempt


def _free_limits(attempt: AttemptRecord, outcome: Outcome | None, now: float) -> None:
    """Record for the limits that an attempt has ended, or was given up where there is no outcome."""
    unknown = attempt.started < 0
    started = unknown and (outcome is None or outcome.started)
    seconds = 0.0 if outcome is None else outcome.seconds
    for throttle in attempt.lease.stage.throttles:
        if started:
            throttle.started(now - seconds)
        throttle.ended(unstarted=unknown and not started)


def in_order_of_sending(stages: Iterable[StageState]) -> list[StageState]:
    """Return ``stages`` in the order in which their tasks are sent."""
    return sorted(stages, key=lambda s: (-s.stage.priority, -s.depth, s.position))
