"""The retries of a run: a task whose attempts failed is tried again after a wait, or has failed for good."""

from __future__ import annotations

import math
import random
from functools import cached_property
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from asyncexec.errors import WorkerInitializerError
from asyncexec.events.missing import failed
from asyncexec.events.outcome import Status
from asyncexec.policies.circuit import COUNTED, State
from asyncexec.policies.classification import FailureKind
from asyncexec.scheduler.failures import (
    FailDecision,
    RetryDecision,
    caused_by,
    charge,
    decide_retry,
    is_proven_poison,
    task_error,
)
from asyncexec.scheduler.host_losses import HostLosses
from asyncexec.scheduler.raised_by_user import policy_failed
from asyncexec.scheduler.retry_budget import RetryBudget

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.errors import TaskError
    from asyncexec.events.missing import MissingValue
    from asyncexec.events.outcome import ErrorInfo, Outcome
    from asyncexec.policies.circuit import CircuitBreaker
    from asyncexec.scheduler.event_buffer import EventBuffer
    from asyncexec.scheduler.run_state import RunState
    from asyncexec.scheduler.stage import AttemptRecord, StageState, TaskRecord


class Retries:
    """Decides about the tasks of one run whose attempts failed, and queues those that wait to be tried again.

    Parameters
    ----------
    state : RunState
    event_buffer : EventBuffer
    circuit : CircuitBreaker
    keep : callable
        Completes a task that has failed for good with that as its value (``on_failure="keep"``).
    seed : int, optional
        Of the jitter of waits.

    Attributes
    ----------
    circuit : CircuitBreaker
    budget : RetryBudget
        The retries that the whole plan may have.
    """

    def __init__(
        self,
        state: RunState,
        event_buffer: EventBuffer,
        circuit: CircuitBreaker,
        *,
        keep: Callable[[StageState, int, MissingValue, float], None],
        seed: int | None,
    ) -> None:
        self.circuit = circuit
        self.budget = RetryBudget(state.plan.name, state.stages)
        self._plan = state.plan.name
        self._event_buffer = event_buffer
        self._keep = keep
        self._seed = seed
        self._charged = 0
        self._hosts = state.workers.starts.hosts
        self._waiting: list[tuple[float, int, StageState, int, bool]] = []

    # Of most runs nothing fails, and none of these is made.

    @cached_property
    def _random(self) -> random.Random:
        return random.Random(self._seed)

    @cached_property
    def _host_losses(self) -> HostLosses:
        return HostLosses(self._hosts)

    # -- the wait

    @property
    def next_due(self) -> float:
        """The time at which the next task is to be tried again; infinity if none waits."""
        return self._waiting[0][0] if self._waiting else math.inf

    @property
    def idle(self) -> bool:
        """True where no task waits, and the circuit holds nothing back."""
        return not self._waiting and self.circuit.state is State.CLOSED

    def queue_due(self, now: float) -> None:
        """Make the tasks ready whose wait is over."""
        while self._waiting and self._waiting[0][0] <= now:
            _, _, stage, task, exclusive = heappop(self._waiting)
            if exclusive:
                stage.run_alone(task)
            else:
                # Before tasks that were never tried: what it holds up has waited longest.
                stage.readiness.queue.push_first(task)

    def clear(self) -> None:
        """Forget the tasks that wait."""
        self._waiting.clear()

    # -- decisions

    def count(
        self, attempt: AttemptRecord, record: TaskRecord, outcome: Outcome, *, tasks_left: int
    ) -> bool:
        """Count a failure of a task of which other attempts run; return whether it is poison: they are to be stopped.

        They are its next attempts: were it not counted, each of them could get a backup, and so on without end.
        """
        kind = self._kind(attempt.lease.stage, outcome)
        is_outage = self.circuit.is_outage(kind)
        left = self._left(outcome, tasks_left)
        charged = charge(attempt, record, outcome, kind, tasks_left=left, is_outage=is_outage)
        return is_proven_poison(charged, attempt, record)

    def decide(
        self,
        attempt: AttemptRecord,
        record: TaskRecord,
        outcome: Outcome,
        *,
        tasks_left: int,
        now: float,
    ) -> Exception | None:
        """Have a task tried again that has no attempt left, or have it fail for good.

        Returns the error that ends the run; None if it goes on.
        """
        stage = attempt.lease.stage
        kind = self._kind(stage, outcome)
        # Asked before the failure is recorded, which may be the one that opens the circuit.
        is_outage = self.circuit.is_outage(kind)
        try:
            decision = decide_retry(
                attempt,
                record,
                outcome,
                kind,
                plan=self._plan,
                tasks_left=self._left(outcome, tasks_left),
                is_outage=is_outage,
                rng=self._random,
            )
        except BaseException as raised:
            policy = stage.policies.retry
            raise policy_failed(self._plan, stage, "retry", policy, raised) from raised
        keeps = stage.stage.on_failure == "keep"
        gave_up = spent = None
        if isinstance(decision, FailDecision):
            if kind in COUNTED and keeps:
                gave_up = self._record_failure(attempt, str(decision.error), outcome.error, now)
            return gave_up or self._fail(attempt, record, decision.error, now)
        lost = kind is FailureKind.WORKER_LOST and outcome.started
        if lost and self._host_losses.is_known(outcome.worker, now=now):
            self._try_again(attempt, decision, now)  # The loss of its host is counted already.
            return None
        if (decision.counts_as_failure or is_outage) and kind in COUNTED:
            gave_up = self._record_failure(attempt, decision.reason, decision.info, now)
        if decision.counts_as_failure and gave_up is None:
            spent = self.budget.take(attempt, decision)
        if spent is not None and keeps:
            error = task_error(self._plan, attempt, outcome=outcome, kind=kind)
            error.add_note(str(spent))
            return self._fail(attempt, record, error, now)
        if gave_up is None and spent is None:
            self._try_again(attempt, decision, now)
        return gave_up or spent

    def _left(self, outcome: Outcome, tasks_left: int) -> int:
        """Return the tasks that are left, less the losses of workers that some task was charged with.

        Those whose workers were lost with it are forgiven for each of them, and not for a few in a row only.
        """
        self._charged += outcome.status is Status.LOST and outcome.started and bool(outcome.worker)
        return tasks_left - self._charged

    def _kind(self, stage: StageState, outcome: Outcome) -> FailureKind:
        retry = stage.policies.retry
        try:
            return retry.kind(outcome)
        except BaseException as error:
            raise policy_failed(self._plan, stage, "retry", retry, error) from error

    def _fail(
        self, attempt: AttemptRecord, record: TaskRecord, error: TaskError, now: float
    ) -> TaskError | None:
        """Return the error that a task failed with for good, or keep it in the task's place."""
        stage, task = attempt.lease.stage, attempt.task
        kept = stage.stage.on_failure == "keep" and not isinstance(error, WorkerInitializerError)
        self._event_buffer.failed(attempt, error, now, kept=kept)
        if not kept:
            return error
        record.complete = True
        stage.task_records.pop(task, None)
        stage.poison.forget(task)
        stage.figures.failed_tasks += 1
        self._keep(stage, task, failed(error), now)
        return None

    def _try_again(self, attempt: AttemptRecord, decision: RetryDecision, now: float) -> None:
        stage = attempt.lease.stage
        if decision.failed:
            stage.figures.retries += 1
            self._event_buffer.retry_scheduled(
                attempt,
                decision.delay_seconds,
                decision.reason,
                now,
                exception_type=decision.exception_type,
            )
        if decision.delay_seconds <= 0 and not decision.exclusive:
            stage.readiness.queue.push_first(attempt.task)
        else:
            due = now + decision.delay_seconds
            # The attempt's id orders equal times: stages cannot be compared.
            heappush(self._waiting, (due, attempt.id, stage, attempt.task, decision.exclusive))

    def _record_failure(
        self, attempt: AttemptRecord, reason: str, info: ErrorInfo | None, now: float
    ) -> Exception | None:
        """Record a failure that may be the backend's; return the error of a circuit that gives up."""
        stage, circuit = attempt.lease.stage, self.circuit
        changed = circuit.record(success=False, task=(stage.position, attempt.task), now=now)
        if circuit.gave_up:
            last = f"stage {stage.name!r}, task {attempt.task}: {reason}"
            return caused_by(circuit.error(self._plan, last=last), info)
        if changed is State.OPEN:
            self._event_buffer.circuit_opened(circuit.failures, circuit.pause_seconds, now)
        return None
