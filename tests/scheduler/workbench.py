"""A run without a backend: the test says itself what becomes of each attempt."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

from asyncexec.backends.contract import AttemptSpec, Batch, Capabilities, Started
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.plan.plan import Plan
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.scheduler.run import Run
from asyncexec.scheduler.run_policies import RunPolicies
from asyncexec.scheduler.run_setup import RunSetup
from asyncexec.scheduler.run_state import RunState

TRANSIENT = ErrorInfo("builtins.ConnectionError", ("builtins.OSError",), "reset")
PERMANENT = ErrorInfo("builtins.ValueError", ("builtins.Exception",), "no")
MEMORY = ErrorInfo("builtins.MemoryError", ("builtins.Exception",), "")


class Workbench:
    """Drives a run by hand, on a clock of its own.

    Attributes
    ----------
    now : float
        The clock.
    jobs : dict
        What is in flight, by attempt id: (stage, task).
    """

    def __init__(
        self,
        plan: Plan,
        *,
        slots: int = 2,
        budget: AdmissionBudget | None = None,
        kills: bool = True,
        batch: int = 1,
        call_seconds: float = 0.0,
        tells_progress: bool = True,
        value_store: Any = None,
        shares_slots: bool = False,
        follows: bool = False,
        **policies: Any,
    ) -> None:
        order = {
            n: policies.pop(n) for n in ("most_in_flight", "one_stage_at_a_time") if n in policies
        }
        settings = RunPolicies.of(straggler=policies.pop("straggler", "off"), **policies)
        settings = replace(settings, **order)
        self.capabilities = Capabilities(
            name="bench",
            kills=kills,
            batch_limit=batch,
            call_seconds=call_seconds,
            tells_progress=tells_progress,
            shares_slots=shares_slots,
            follows=follows,
        )
        self.slots = slots
        self.budget = budget or AdmissionBudget()
        setup = RunSetup(
            plan=plan,
            name="run",
            policies=settings,
            capabilities=self.capabilities,
            slots=lambda: self.slots,
            value_store=value_store,
            value_account=self.budget.values,
        )
        self.state = state = RunState(setup)
        self.run = Run("run", state, self.budget, self.capabilities, ids=count(1), seed=0)
        self.now = 0.0
        self.jobs: dict[int, tuple[str, int]] = {}
        self.batches: list[Batch] = []
        self.run.begin(self.now)

    def send(self, most: int = 1000) -> list[AttemptSpec]:
        """Take what can be sent, as the driver does."""
        sent: list[AttemptSpec] = []
        while len(sent) < most and self.budget.slots_taken < 2 * self.slots:
            batch = self.run.next_batch(self.now, self.slots)
            if batch is None:
                break
            self.batches.append(batch)
            for each in (batch, *batch.following):
                for job in each.jobs:
                    self.jobs[job.attempt] = (each.program.stage, job.task)
                    sent.append(job)
        return sent

    def start(self, job: AttemptSpec, worker: str = "w") -> None:
        """Report that an attempt started on a worker."""
        self.run.report([Started(job.attempt, worker)], self.now)

    def end(self, job: AttemptSpec, status: Status = Status.SUCCEEDED, **fields: Any) -> None:
        """Report that an attempt ended."""
        self.jobs.pop(job.attempt, None)
        fields.setdefault("started_at", 1.0)
        fields.setdefault("worker", "w")
        self.run.report([Outcome(job.attempt, status, **fields)], self.now)

    def fail(self, job: AttemptSpec, error: ErrorInfo = TRANSIENT, **fields: Any) -> None:
        """Report that an attempt raised."""
        self.end(job, Status.FAILED, error=error, **fields)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with a tick at every deadline on the way."""
        until = self.now + seconds
        for _ in range(100_000):
            deadline = self.run.next_deadline(self.now)
            if deadline is None or deadline > until:
                break
            self.now = max(self.now, deadline)
            self.run.tick(self.now)
        else:
            raise AssertionError("the run asks for ticks without end")
        self.now = until
        self.run.tick(self.now)

    def cancelled(self) -> list[int]:
        """Take the attempts that the run wants cancelled."""
        unwanted, self.run.status.unwanted = self.run.status.unwanted, ()
        return list(unwanted)

    def finish(self) -> None:
        """Let everything succeed to the end."""
        for _ in range(100_000):
            if self.run.finished:
                return
            jobs = self.send()
            if not jobs:
                self.pass_time(60.0)
            for job in jobs:
                self.end(job, value=job.task)
        raise AssertionError("the run does not finish")

    def kinds(self) -> list[str]:
        """Take the names of the events so far."""
        events, self.run.event_buffer.events = self.run.event_buffer.events, []
        return [type(event).__name__ for event in events]


def with_memory(plan: Plan, projected_bytes: int) -> Plan:
    """Return ``plan`` with every stage projected to need so much."""
    return Plan(
        tuple(
            replace(s, memory=replace(s.memory, projected_bytes=projected_bytes))
            for s in plan.stages
        ),
        plan.name,
    )
