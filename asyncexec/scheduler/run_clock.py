"""The clock of a run: what is due at a time, and the time at which something will be due next.

A stage is looked at when it has changed, or something of it is due; all are only after as many changes as there are
stages with attempts, or a while. So a report costs the same however many stages run at once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from asyncexec.policies.circuit import State
from asyncexec.scheduler.deadlines import Deadlines
from asyncexec.scheduler.limits import Limits, back_up_slow, give_up_backups, next_check, time_out
from asyncexec.straggler.monitor import CHECK_SECONDS

if TYPE_CHECKING:
    from asyncexec.errors import ExecutionError
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.scheduler.retries import Retries
    from asyncexec.scheduler.run_state import RunState
    from asyncexec.scheduler.sender import Sender
    from asyncexec.scheduler.stage import StageState

ALL_SECONDS = 1.0
"""The time after a change within which all stages are looked at: what is known of durations is known to many."""


class RunClock:
    """Finds the timeouts, retries and backups of a run that are due.

    Parameters
    ----------
    state : RunState
    budget : AdmissionBudget
    sender : Sender
    retries : Retries

    Attributes
    ----------
    changed : dict of StageState
        The stages of which attempts have been sent, started or ended since they were looked at.
    """

    def __init__(
        self, state: RunState, budget: AdmissionBudget, sender: Sender, retries: Retries
    ) -> None:
        self.changed = sender.changed
        self._limits = Limits(state.plan, state.policies)
        self._plan = state.plan.name
        self._stages = state.stages
        self._recovery = state.recovery
        self._slots = state.slots
        self._budget = budget
        self._sender = sender
        self._retries = retries
        self._ticked_at = 0.0
        # The stages with attempts that run, and the times at which something is due, by position.
        self._watched: dict[StageState, None] = {}
        self._due = Deadlines()
        self._changes = 0
        self._all_at = math.inf
        self._had_idle_slots = False

    def begin(self, now: float) -> None:
        """Start the plan's clock; a stage's starts with its first task."""
        self._limits.begin(now)

    def take_due(self, now: float) -> list[StageState]:
        """Return the stages of which something is due now, in the order of the plan; each is looked at after that."""
        self._ticked_at = now
        self._date(now)
        # Sorted, so that the same run decides the same in the same order, as simulations rely on.
        due = [self._stages[position] for position in sorted(self._due.take_due(now))]
        # They are looked at again for their next times, as what was due of them is being done now.
        self.changed.update(dict.fromkeys(due))
        return due

    def exceeded(self, due: Collection[StageState], now: float) -> ExecutionError | None:
        """Return the error of the plan, or of one of the stages ``due``, that exceeds its limit; None if none does."""
        return self._limits.exceeded(due, now)

    def check(self, due: Collection[StageState], now: float, *, stopping: bool) -> list[int]:
        """Queue retries and backups that are due, and return the attempts that run for too long."""
        self._retries.queue_due(now)
        too_old: list[int] = []
        idle = self._idle_slots()
        for stage in due:
            if self._watches(stage):
                too_old += time_out(stage, now, idle, others=self._watched, stopping=stopping)
                if not stopping:
                    back_up_slow(self._plan, stage, now, idle)
                    too_old += give_up_backups(stage, now, idle)
        return too_old

    def next_deadline(self, now: float) -> float | None:
        """Return the time at which something is due next; None if only a report can change anything."""
        self._date(now)
        due = min(
            self._limits.plan_deadline, self._retries.next_due, self._due.earliest, self._all_at
        )
        circuit = self._retries.circuit
        # One tick after the pause is enough: there may be nothing to send, and it must not tick for ever.
        if circuit.state is not State.CLOSED and circuit.resumes_at > self._ticked_at:
            due = min(due, circuit.resumes_at)
        due = min(due, self._sender.opening(self._ticked_at))
        return None if due == math.inf else due

    def _date(self, now: float) -> None:
        """Find out when something is due for the stages that have changed, or for all with attempts that run."""
        changed, watched = self.changed, self._watched
        if not changed and not watched:
            self._all_at = math.inf
            return
        idle = self._idle_slots()
        if idle >= 0 and not self._had_idle_slots:  # Any stage may be draining now.
            self._all_at = min(self._all_at, now + CHECK_SECONDS)
        self._had_idle_slots = idle >= 0
        self._changes += len(changed)
        stages: Collection[StageState] = changed
        if self._changes >= len(watched) or now >= self._all_at:
            stages = {**watched, **changed}
            self._changes, self._all_at = 0, math.inf
        elif changed:
            self._all_at = min(self._all_at, now + ALL_SECONDS)
        for stage in stages:
            if self._watches(stage):
                watched[stage] = None
            else:
                watched.pop(stage, None)
            self._due.set(stage.position, min(self._dues(stage, idle), default=math.inf))
        changed.clear()

    def _dues(self, stage: StageState, idle: int) -> Iterator[float]:
        """Yield the times at which something is due of a stage."""
        if stage in self._watched:
            yield next_check(stage, idle)
        limit = stage.policies.timeout.stage
        if limit is not None and stage.first_at is not None and stage.readiness.left:
            yield stage.first_at + limit

    def _watches(self, stage: StageState) -> bool:
        """Return whether attempts of a stage run, and are not such as are no longer needed."""
        # What is complete has no monitor any more.
        left = stage.readiness.left or self._recovery.runs(stage.position)
        return bool(left and stage.running.monitor.attempts)

    def _idle_slots(self) -> int:
        return self._slots() - math.ceil(self._budget.slots_taken - 1e-6)
