"""The figures of a run so far, stage by stage, added up from its events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncexec.events.records import (
    AnyEvent,
    AttemptAbandoned,
    AttemptEnded,
    AttemptStarted,
    BackupStarted,
    CircuitOpened,
    OutputLost,
    PlanCancelled,
    PlanEvent,
    PlanFailed,
    PlanStarted,
    PlanSucceeded,
    RetryScheduled,
    StageCompleted,
    StageGrew,
    StageResumed,
    StageSized,
    StageStarted,
    TaskFailed,
    TaskProgressed,
    TaskSkipped,
    TaskSucceeded,
)
from asyncexec.events.stage_result import StageResult

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(slots=True, kw_only=True)
class Tally:
    """The figures of one run; ``add`` takes each of its events, in order, starting with ``PlanStarted``.

    Attributes
    ----------
    execution, plan, fingerprint, executor, run_id, run_name, workflow, namespace : str
        As in ``PlanStarted``.
    slots : int
    stages : dict of str to StageResult
        In the plan's order.
    status : str
        ``"running"``, ``"succeeded"``, ``"failed"`` or ``"cancelled"``.
    error : str
    circuit_openings : int
    words : dict of str to str
        By stage, the latest words of a task about its progress.
    started_at, ended_at : float
        Seconds since the epoch on the driver; ``ended_at`` is 0.0 while it runs.
    """

    execution: str
    plan: str
    fingerprint: str = ""
    executor: str = ""
    run_id: str = ""
    run_name: str = ""
    workflow: str = ""
    namespace: str = ""
    slots: int = 0
    stages: dict[str, StageResult] = field(default_factory=dict[str, StageResult])
    status: str = "running"
    error: str = ""
    circuit_openings: int = 0
    words: dict[str, str] = field(default_factory=dict[str, str])
    started_at: float = 0.0
    ended_at: float = 0.0

    @classmethod
    def of(cls, started: PlanStarted) -> Tally:
        """Return the tally of a run that begins."""
        return cls(
            execution=started.execution,
            plan=started.plan,
            fingerprint=started.fingerprint,
            executor=started.executor,
            run_id=started.run_id,
            run_name=started.run_name,
            workflow=started.workflow,
            namespace=started.namespace,
            slots=started.slots,
            stages={figures.name: StageResult.of(figures) for figures in started.stages},
            started_at=started.at,
        )

    @property
    def late(self) -> bool:
        """True while the number of tasks of some stage is not known."""
        return any(stage.late for stage in self.stages.values())

    @property
    def wall_seconds(self) -> float:
        """The time from the plan's start to its end; 0.0 while it runs."""
        return max(0.0, self.ended_at - self.started_at) if self.ended_at else 0.0

    def add(self, event: AnyEvent) -> None:
        """Add one event of this run."""
        # By frequency: the three that come with every task go first.
        if isinstance(event, AttemptEnded):
            self.stages[event.attempt.stage].add(event.outcome)
        elif isinstance(event, TaskSucceeded):
            self.stages[event.attempt.stage].completed += 1
        elif isinstance(event, PlanEvent):
            self._add_milestone(event)
        elif not isinstance(event, AttemptStarted):
            self._add_rare(event)

    def _add_rare(self, event: AnyEvent) -> None:
        match event:
            case RetryScheduled():
                self.stages[event.attempt.stage].retries += 1
            case TaskProgressed():
                said = f" {event.words}" if event.words else ""
                attempt = event.attempt
                self.words[attempt.stage] = f"task {attempt.task}: {event.fraction:.0%}{said}"
            case BackupStarted():
                self.stages[event.attempt.stage].backups += 1
            case AttemptAbandoned():
                self.stages[event.attempt.stage].abandoned += 1
            case TaskFailed() if event.kept:
                self.stages[event.attempt.stage].failed_tasks += 1
                self.stages[event.attempt.stage].completed += 1
            case _:
                pass

    def _add_milestone(self, event: PlanEvent) -> None:
        match event:
            case StageGrew() | StageSized():
                self.stages[event.stage].tasks = event.tasks
                self.stages[event.stage].late = isinstance(event, StageGrew)
            case StageStarted():
                self.stages[event.stage].started_at = event.at
            case StageResumed():
                self.stages[event.stage].resumed += event.tasks
                self.stages[event.stage].completed += event.tasks
            case TaskSkipped() | OutputLost():
                self._add_task_without_attempt(event)
            case StageCompleted():
                self.stages[event.stage].ended_at = event.at
            case CircuitOpened():
                self.circuit_openings += 1
            case PlanSucceeded():
                self._end("succeeded", event.at)
            case PlanFailed():
                self.error = event.error
                self._end("failed", event.at)
            case PlanCancelled():
                self._end("cancelled", event.at)
            case _:
                pass

    def _add_task_without_attempt(self, event: TaskSkipped | OutputLost) -> None:
        stage = self.stages[event.stage]
        if isinstance(event, OutputLost):
            stage.recomputed += 1
        else:
            stage.skipped_tasks += 1
            stage.completed += 1

    def _end(self, status: str, at: float) -> None:
        self.status = status
        self.ended_at = at
        # Of a run that failed or was cancelled, some stages never completed.
        for stage in self.stages.values():
            if stage.started_at and not stage.ended_at:
                stage.ended_at = at


class Tallies:
    """The tallies of several runs, by execution; of those that ended, the latest ``kept`` stay.

    Of a run that is not known from its start, only its end counts.

    Attributes
    ----------
    runs : dict of str to Tally
        In the order of their starts.
    """

    __slots__ = ("_kept", "runs")

    def __init__(self, kept: int = 64) -> None:
        self._kept = kept
        self.runs: dict[str, Tally] = {}

    def add(self, events: Iterable[AnyEvent]) -> None:
        """Add events, of any of the runs."""
        runs = self.runs
        for event in events:
            if (tally := runs.get(event.execution)) is not None:
                tally.add(event)
            else:
                self._begin(event)

    def _begin(self, event: AnyEvent) -> None:
        match event:
            case PlanStarted():
                tally = Tally.of(event)
            case PlanSucceeded() | PlanFailed() | PlanCancelled():
                # It ended before PlanStarted: its storage could not be opened, say.
                tally = Tally(execution=event.execution, plan=event.plan, started_at=event.at)
                tally.add(event)
            case _:
                return
        self._drop_old()
        self.runs[tally.execution] = tally

    def _drop_old(self) -> None:
        ended = [execution for execution, tally in self.runs.items() if tally.ended_at]
        for execution in ended[: len(ended) - self._kept + 1]:
            del self.runs[execution]
