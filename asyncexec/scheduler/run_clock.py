"""The clock of a run: what is due at a time, and the time at which something will be due next."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from asyncexec.policies.circuit import State
from asyncexec.scheduler.limits import Limits, back_up_slow, next_check, time_out

if TYPE_CHECKING:
    from asyncexec.errors import ExecutionError
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.scheduler.retries import Retries
    from asyncexec.scheduler.run_state import RunState
    from asyncexec.scheduler.sender import Sender
    from asyncexec.scheduler.stage import StageState


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
    limits : Limits
        The timeouts of the plan and its stages as a whole.
    """

    def __init__(
        self, state: RunState, budget: AdmissionBudget, sender: Sender, retries: Retries
    ) -> None:
        self.limits = Limits(state.plan, state.policies, state.stages)
        self._plan = state.plan.name
        self._slots = state.slots
        self._budget = budget
        self._sender = sender
        self._retries = retries
        self._ticked_at = 0.0
        self._watched: dict[StageState, None] = {}

    def exceeded(self, now: float) -> ExecutionError | None:
        """Return the error of a plan or stage that exceeds its limit now; None if none does."""
        self._ticked_at = now
        return self.limits.exceeded(now)

    def check(self, now: float, *, stopping: bool) -> list[int]:
        """Queue retries and backups that are due, and return the attempts that run for too long."""
        self._retries.queue_due(now)
        too_old: list[int] = []
        idle = self._idle_slots()
        for stage in self._with_attempts():
            too_old += time_out(stage, now)
            if not stopping:
                back_up_slow(self._plan, stage, now, idle)
        return too_old

    def next_deadline(self) -> float | None:
        """Return the time at which something is due next; None if only a report can change anything."""
        times = list(self.limits.deadlines())
        if (due := self._retries.next_due) < math.inf:
            times.append(due)
        circuit = self._retries.circuit
        # One tick after the pause is enough: there may be nothing to send, and it must not tick for ever.
        if circuit.state is not State.CLOSED and circuit.resumes_at > self._ticked_at:
            times.append(circuit.resumes_at)
        if (opening := self._sender.opening(self._ticked_at)) < math.inf:
            times.append(opening)
        idle = self._idle_slots()
        times.extend(next_check(stage, idle) for stage in self._with_attempts())
        return min(times, default=None)

    def watch(self, stage: StageState) -> None:
        """Check the attempts of a stage, which begin to run."""
        self._watched[stage] = None

    def forget(self, stage: StageState) -> None:
        """Check the attempts of a stage no longer: its tasks are complete."""
        self._watched.pop(stage, None)

    def _with_attempts(self) -> list[StageState]:
        """Return the stages with attempts that run."""
        watched = list(self._watched)
        for stage in watched:
            if not stage.monitor.attempts:
                del self._watched[stage]
        return list(self._watched)

    def _idle_slots(self) -> int:
        return self._slots() - math.ceil(self._budget.slots_taken - 1e-6)
