"""The parts of a run that follow what it has sent: made with its first batch, as most of a thousand runs only wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.scheduler.attempt_reports import AttemptReports
from asyncexec.scheduler.completion import Completion
from asyncexec.scheduler.retries import Retries
from asyncexec.scheduler.run_clock import RunClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.backends.contract import Capabilities
    from asyncexec.policies.circuit import CircuitBreaker
    from asyncexec.scheduler.admission import AdmissionBudget
    from asyncexec.scheduler.event_buffer import EventBuffer
    from asyncexec.scheduler.late_stages import LateStages
    from asyncexec.scheduler.run_state import RunState
    from asyncexec.scheduler.run_status import RunStatus
    from asyncexec.scheduler.sender import Sender


class ReportParts:
    """The parts of one run that follow its attempts, its tasks and the time.

    Parameters
    ----------
    state : RunState
    status : RunStatus
    late : LateStages
    sender : Sender
    circuit : CircuitBreaker
    event_buffer : EventBuffer
    budget : AdmissionBudget
    capabilities : Capabilities
        Of the backend.
    epoch : float
        The offset from the clock of the driver to seconds since the epoch.
    seed : int, optional
        Of the jitter of waits before retries.
    stop : callable
        Ends the run with an error.

    Attributes
    ----------
    completion : Completion
    retries : Retries
    attempts : AttemptReports
    clock : RunClock
    recovery : Recovery
        That of the state, which has tasks sent by ``attempts``.
    """

    __slots__ = ("attempts", "clock", "completion", "recovery", "retries")

    def __init__(
        self,
        state: RunState,
        *,
        status: RunStatus,
        late: LateStages,
        sender: Sender,
        circuit: CircuitBreaker,
        event_buffer: EventBuffer,
        budget: AdmissionBudget,
        capabilities: Capabilities,
        epoch: float,
        seed: int | None,
        stop: Callable[[Exception], None],
    ) -> None:
        self.completion = Completion(
            state,
            status=status,
            late=late,
            circuit=circuit,
            event_buffer=event_buffer,
            epoch=epoch,
        )
        keep = self.completion.without_value
        self.retries = Retries(state, event_buffer, circuit, keep=keep, seed=seed)
        self.attempts = AttemptReports(
            state,
            status=status,
            sender=sender,
            completion=self.completion,
            retries=self.retries,
            event_buffer=event_buffer,
            capabilities=capabilities,
            stop=stop,
        )
        self.clock = RunClock(state, budget, sender, self.retries)
        self.recovery = state.recovery
