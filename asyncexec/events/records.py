"""Events of runs, as frozen records in the past tense.

``at`` is seconds since the epoch on the driver; ``execution`` names the run; ``task`` is the task's flat (row-major)
index in its stage (``PlanStarted`` has the shapes to unravel it).

The three events that every task has are named tuples, which cost half of what frozen dataclasses cost to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncexec.events.outcome import Outcome


class Attempt(NamedTuple):
    """One run of a task.

    Attributes
    ----------
    id : int
        Unique in its engine.
    execution, stage : str
    task : int
        Flat index of the task.
    number : int
        1 for the task's first attempt.
    backup : bool
        Whether it started while another attempt of the task was still running.
    """

    id: int
    execution: str
    stage: str
    task: int
    number: int = 1
    backup: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadFigures:
    """A stage that another reads: its name, and the relation as plain data (:mod:`asyncexec.plan.outline`)."""

    stage: str
    relation: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFigures:
    """A stage, as observers need to know it."""

    name: str
    operation: str
    shape: tuple[int, ...]
    tasks: int
    projected_bytes: int = 0
    allowed_bytes: int | None = None
    idempotent: bool = True
    reads: tuple[ReadFigures, ...] = ()
    waits_for: tuple[str, ...] = ()
    """The stages that give its size, where that is known only during the run; then 0 stands for unknown lengths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of every event."""

    execution: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStarted(Event):
    """A plan was accepted and begins to run."""

    plan: str
    fingerprint: str
    executor: str
    slots: int
    stages: tuple[StageFigures, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSucceeded(Event):
    """Every task is complete."""

    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFailed(Event):
    """The plan ended with an error; everything it started has stopped."""

    plan: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCancelled(Event):
    """The plan was cancelled; everything it started has stopped."""

    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(Event):
    """The first task of a stage was handed to the backend."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResumed(Event):
    """An earlier run had completed these tasks already."""

    stage: str
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCompleted(Event):
    """The last task of a stage completed."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSized(Event):
    """The size of a stage, which other stages were to give, is known; it comes before all else of that stage."""

    stage: str
    shape: tuple[int, ...]
    tasks: int
    reads: tuple[ReadFigures, ...] = ()


class AttemptStarted(NamedTuple):
    """An attempt started on a worker."""

    attempt: Attempt
    worker: str
    at: float


class AttemptEnded(NamedTuple):
    """An attempt ended, one way or another; ``outcome`` holds what the worker measured."""

    attempt: Attempt
    outcome: Outcome
    at: float


class TaskSucceeded(NamedTuple):
    """A task is complete: once per task, whatever its attempts did."""

    attempt: Attempt
    at: float


@dataclass(frozen=True, slots=True)
class TaskFailed:
    """A task failed for good, and the plan with it."""

    attempt: Attempt
    error: str
    at: float


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """A failed attempt will be followed by another after ``delay_seconds``."""

    attempt: Attempt
    delay_seconds: float
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class BackupStarted:
    """A second attempt was handed out while ``running_seconds`` of the first had passed."""

    attempt: Attempt
    running_seconds: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptAbandoned:
    """An attempt that cannot be stopped was given up; what it still does is fenced off."""

    attempt: Attempt
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitOpened(Event):
    """The backend fails whatever is sent to it; nothing is sent for ``pause_seconds``."""

    failures: int
    pause_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitClosed(Event):
    """The backend works again."""


type AnyEvent = (
    Event
    | AttemptStarted
    | AttemptEnded
    | AttemptAbandoned
    | TaskSucceeded
    | TaskFailed
    | RetryScheduled
    | BackupStarted
)
