"""Events of runs, as frozen records in the past tense.

Every event is an :class:`Event`: ``execution`` names its run, and ``at`` is its time, in seconds since the epoch on the
driver. An event of a plan or a stage is a :class:`PlanEvent`; an event of a task has ``attempt``, whose ``task`` is the
task's flat (row-major) index in its stage (``PlanStarted`` has the shapes to unravel it). ``as_dict()`` is the event as
plain data for JSON.

The three events that every task has are named tuples, which cost half of what frozen dataclasses cost to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from asyncexec.events.plain import event_as_dict

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
    grows: bool = False
    """Whether its size grows while items are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFigures:
    """The abilities of a run's backend, and policies of the run, as observers need to know them.

    Attributes
    ----------
    kills : bool
        Whether the backend can stop an attempt that runs.
    avoids : bool
        Whether it can leave chosen workers idle, and place an attempt apart from others.
    holds : bool
        Whether an abandoned attempt occupies its worker; otherwise another takes the worker's place.
    metered : bool
        Whether worker time is billed.
    straggler : str
        The name of the run's straggler rule.
    barriers : bool
        Whether stages wait for those they read to be complete.
    retry_attempts : int
        How many attempts of a task may fail, where its stage says nothing else,
    retry_base_seconds, retry_cap_seconds : float
        and the scale and upper bound of the waits between them.
    """

    kills: bool = True
    avoids: bool = True
    holds: bool = True
    metered: bool = False
    straggler: str = ""
    barriers: bool = False
    retry_attempts: int = 4
    retry_base_seconds: float = 0.5
    retry_cap_seconds: float = 30.0


@runtime_checkable
class Event(Protocol):
    """The attributes of every event; ``isinstance(record, Event)`` holds for each of them.

    A protocol and not a base class: a named tuple cannot have a base of its own.
    """

    @property
    def execution(self) -> str:
        """The run that it belongs to."""
        ...

    @property
    def at(self) -> float:
        """Its time, in seconds since the epoch on the driver."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanEvent:
    """Base of the events of a plan or a stage, as opposed to those of a task."""

    execution: str
    at: float

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON; see :func:`asyncexec.events.plain.event_as_dict`."""
        return event_as_dict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanStarted(PlanEvent):
    """A plan was accepted and begins to run: the first event of every run.

    ``fingerprint`` and the ``reads`` of the stages are empty where no observer of the run wants them. ``run_id`` is
    unique anywhere, and ``run_name`` is the run's name for people.
    """

    plan: str
    fingerprint: str
    executor: str
    slots: int
    stages: tuple[StageFigures, ...]
    run_id: str = ""
    run_name: str = ""
    workflow: str = ""
    namespace: str = ""
    run: RunFigures | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSucceeded(PlanEvent):
    """Every task of the plan is complete: the last event of a run that succeeded."""

    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFailed(PlanEvent):
    """The plan ended with an error, and everything it had started has stopped: the last event of the run."""

    plan: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCancelled(PlanEvent):
    """The plan was cancelled, and everything it had started has stopped: the last event of the run."""

    plan: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStarted(PlanEvent):
    """The first task of a stage was handed to the backend."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResumed(PlanEvent):
    """So many tasks of a stage were found complete from an earlier run, and are not run again."""

    stage: str
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCompleted(PlanEvent):
    """The last task of a stage completed."""

    stage: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSkipped(PlanEvent):
    """A task is complete without having run, because a value that it reads is missing: its own is missing, too."""

    stage: str
    task: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLost(PlanEvent):
    """The output of a complete task was found lost or damaged (``reason``): the task runs again for it."""

    stage: str
    task: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGrew(PlanEvent):
    """Items were read for a stage, which has so many ``tasks`` by now; there may be more."""

    stage: str
    tasks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSized(PlanEvent):
    """The size of a stage that depends on the values of others is known: before any other event of that stage.

    Of a stage that grew while items were read, it comes when there are no more.
    """

    stage: str
    shape: tuple[int, ...]
    tasks: int
    reads: tuple[ReadFigures, ...] = ()


class AttemptStarted(NamedTuple):
    """An attempt started on a worker."""

    attempt: Attempt
    worker: str
    at: float

    @property
    def execution(self) -> str:
        return self.attempt.execution

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON; see :func:`asyncexec.events.plain.event_as_dict`."""
        return event_as_dict(self)


class AttemptEnded(NamedTuple):
    """An attempt ended, with success or without; ``outcome`` holds what the worker measured."""

    attempt: Attempt
    outcome: Outcome
    at: float

    @property
    def execution(self) -> str:
        return self.attempt.execution

    @property
    def exception_type(self) -> str:
        """Qualified name of the class of what the attempt failed with; ``""`` where it did not fail."""
        return self.outcome.exception_type

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON; see :func:`asyncexec.events.plain.event_as_dict`."""
        return {**event_as_dict(self), "exception_type": self.exception_type}


class TaskSucceeded(NamedTuple):
    """A task is complete, by its first attempt that succeeded: once per task, however many attempts it had."""

    attempt: Attempt
    at: float

    @property
    def execution(self) -> str:
        return self.attempt.execution

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON; see :func:`asyncexec.events.plain.event_as_dict`."""
        return event_as_dict(self)


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """Base of the rarer events of a task: of its latest ``attempt``."""

    attempt: Attempt

    @property
    def execution(self) -> str:
        return self.attempt.execution

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data for JSON; see :func:`asyncexec.events.plain.event_as_dict`."""
        return event_as_dict(self)


@dataclass(frozen=True, slots=True)
class TaskFailed(TaskEvent):
    """A task failed for good (no further retry is allowed), and the plan with it, unless the failure is ``kept``.

    Then the run goes on, and the task is complete: a ``Failed`` holds its place. ``error`` is the message of the
    :class:`~asyncexec.TaskError`, and ``exception_type`` its attribute of that name: the class of what the task raised.
    """

    error: str
    at: float
    kept: bool = False
    exception_type: str = ""


@dataclass(frozen=True, slots=True)
class RetryScheduled(TaskEvent):
    """An attempt failed, and another will be sent after ``delay_seconds``.

    ``exception_type`` is the qualified name of the class of what it failed with.
    """

    delay_seconds: float
    reason: str
    at: float
    exception_type: str = ""


@dataclass(frozen=True, slots=True)
class BackupStarted(TaskEvent):
    """A second attempt of a slow task was sent to the backend, when the first had run for ``running_seconds``."""

    running_seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class AttemptAbandoned(TaskEvent):
    """An attempt that cannot be stopped is no longer waited for; whatever it still writes is ignored."""

    at: float


@dataclass(frozen=True, slots=True)
class TaskProgressed(TaskEvent):
    """A task said how far it is: a ``fraction`` of 0.0 to 1.0, perhaps in words too."""

    fraction: float
    words: str
    worker: str
    at: float


@dataclass(frozen=True, slots=True)
class TaskLogged(TaskEvent):
    """A task logged a record, warned, or printed a line, in a process other than the driver's.

    ``level`` is that of the module ``logging``; a printed line's ``logger`` is ``asyncexec.stdout`` or
    ``asyncexec.stderr``.
    """

    level: int
    logger: str
    message: str
    worker: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitOpened(PlanEvent):
    """The last ``failures`` attempts all failed, on the backend's account; nothing is sent for ``pause_seconds``."""

    failures: int
    pause_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitClosed(PlanEvent):
    """An attempt succeeded after the circuit had opened: work is sent as before."""


type AnyEvent = PlanEvent | TaskEvent | AttemptStarted | AttemptEnded | TaskSucceeded
