"""What a run amounts to so far: the figures of each stage, added up from the events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from asyncexec.events.outcome import Status
from asyncexec.events.records import (
    AnyEvent,
    AttemptAbandoned,
    AttemptEnded,
    AttemptStarted,
    BackupStarted,
    CircuitOpened,
    Event,
    PlanCancelled,
    PlanFailed,
    PlanStarted,
    PlanSucceeded,
    RetryScheduled,
    StageCompleted,
    StageResumed,
    StageStarted,
    TaskSucceeded,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncexec.events.outcome import Outcome
    from asyncexec.events.records import StageFigures


@dataclass(slots=True, kw_only=True)
class StageTally:
    """One stage of one run.

    Attributes
    ----------
    name, operation : str
    tasks : int
        How many there are.
    projected_bytes : int
        The most memory a task was projected to need; 0 where nobody knew.
    allowed_bytes : int or None
    completed : int
        Tasks that are complete, those of earlier runs included.
    resumed : int
        Tasks that an earlier run had completed.
    attempts : int
        Attempts that have ended, one way or another.
    failed, lost, timed_out, cancelled, abandoned : int
        How many of them ended so.
    retries, backups : int
    read_bytes, written_bytes : int
        Chunk data, not encoded, by all attempts.
    peak_bytes : int
        The most memory any attempt was measured to take; 0 where nobody measured.
    busy_seconds : float
        Time on workers, by all attempts.
    started_at, ended_at : float
        Seconds since the epoch on the driver; 0.0 where it has not.
    """

    name: str
    operation: str = ""
    tasks: int = 0
    projected_bytes: int = 0
    allowed_bytes: int | None = None
    completed: int = 0
    resumed: int = 0
    attempts: int = 0
    failed: int = 0
    lost: int = 0
    timed_out: int = 0
    cancelled: int = 0
    abandoned: int = 0
    retries: int = 0
    backups: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    peak_bytes: int = 0
    busy_seconds: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0

    @property
    def failures(self) -> int:
        """Attempts that failed, timed out or were lost."""
        return self.failed + self.lost + self.timed_out

    @property
    def wall_seconds(self) -> float:
        """From the first task's hand-out to the last one's completion; 0.0 where either is missing."""
        return (
            max(0.0, self.ended_at - self.started_at) if self.started_at and self.ended_at else 0.0
        )


@dataclass(slots=True, kw_only=True)
class Tally:
    """One run; ``add`` takes each of its events, in order, starting with ``PlanStarted``.

    Attributes
    ----------
    execution, plan, fingerprint, executor : str
    slots : int
    stages : dict of str to StageTally
        In the plan's order.
    status : str
        ``"running"``, ``"succeeded"``, ``"failed"`` or ``"cancelled"``.
    error : str
    circuit_openings : int
    started_at, ended_at : float
        Seconds since the epoch on the driver; 0.0 where it has not.
    """

    execution: str
    plan: str
    fingerprint: str = ""
    executor: str = ""
    slots: int = 0
    stages: dict[str, StageTally] = field(default_factory=dict[str, StageTally])
    status: str = "running"
    error: str = ""
    circuit_openings: int = 0
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
            slots=started.slots,
            stages={figures.name: _stage(figures) for figures in started.stages},
            started_at=started.at,
        )

    @property
    def wall_seconds(self) -> float:
        """From the plan's start to its end; 0.0 while it runs."""
        return max(0.0, self.ended_at - self.started_at) if self.ended_at else 0.0

    def add(self, event: AnyEvent) -> None:
        """Add one event of this run."""
        # The three that come with every task go first.
        if isinstance(event, AttemptEnded):
            _end(self.stages[event.attempt.stage], event.outcome)
        elif isinstance(event, TaskSucceeded):
            self.stages[event.attempt.stage].completed += 1
        elif isinstance(event, Event):
            self._add_milestone(event)
        elif not isinstance(event, AttemptStarted):
            self._add_trouble(event)

    def _add_trouble(self, event: AnyEvent) -> None:
        match event:
            case RetryScheduled():
                self.stages[event.attempt.stage].retries += 1
            case BackupStarted():
                self.stages[event.attempt.stage].backups += 1
            case AttemptAbandoned():
                self.stages[event.attempt.stage].abandoned += 1
            case _:
                pass

    def _add_milestone(self, event: Event) -> None:
        match event:
            case StageStarted():
                self.stages[event.stage].started_at = event.at
            case StageResumed():
                self.stages[event.stage].resumed += event.tasks
                self.stages[event.stage].completed += event.tasks
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

    def _end(self, status: str, at: float) -> None:
        self.status = status
        self.ended_at = at
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
            if (tally := runs.get(execution_of(event))) is not None:
                tally.add(event)
            else:
                self._begin(event)

    def _begin(self, event: AnyEvent) -> None:
        match event:
            case PlanStarted():
                tally = Tally.of(event)
            case PlanSucceeded() | PlanFailed() | PlanCancelled():
                # It ended before it began: its storage could not be opened, say.
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


def execution_of(event: AnyEvent) -> str:
    """Return the run that ``event`` belongs to."""
    return event.execution if isinstance(event, Event) else event.attempt.execution


def _stage(figures: StageFigures) -> StageTally:
    return StageTally(
        name=figures.name,
        operation=figures.operation,
        tasks=figures.tasks,
        projected_bytes=figures.projected_bytes,
        allowed_bytes=figures.allowed_bytes,
    )


def _end(stage: StageTally, outcome: Outcome) -> None:
    stage.attempts += 1
    stage.busy_seconds += outcome.seconds
    stage.read_bytes += outcome.read_bytes
    stage.written_bytes += outcome.written_bytes
    if outcome.peak_bytes > stage.peak_bytes:  # noqa: PLR1730 - half the cost of max(), for every attempt
        stage.peak_bytes = outcome.peak_bytes
    status = outcome.status
    if status is Status.SUCCEEDED:
        return
    if status is Status.FAILED:
        stage.failed += 1
    elif status is Status.LOST:
        stage.lost += 1
    elif status is Status.TIMED_OUT:
        stage.timed_out += 1
    else:
        stage.cancelled += 1
