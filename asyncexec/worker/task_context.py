"""The context of the attempt that runs: what a task can ask about its run.

One context variable is set for every attempt, and one for its batch; all else is found out when a task asks. They are
set in the attempt's own context, so they are right in coroutines that share a thread, and in threads that a task starts
with ``contextvars.copy_context()``.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from asyncexec.errors import UsageError
from asyncexec.plan.box import unravel
from asyncexec.worker.records import NO_ATTEMPT, Note

if TYPE_CHECKING:
    from asyncexec.plan.box import Index, Shape
    from asyncexec.worker.control import AttemptControl
    from asyncexec.worker.records import AttemptSpec
    from asyncexec.worker.reports import ReportSink
    from asyncexec.worker.run_scope import RunScope, StageScope

PROGRESS_SECONDS = 0.1
"""The least time between two reports of a task's progress."""


class Forwards(Protocol):
    """Passes on what attempts log and print."""

    pending: bool
    """Whether :meth:`flush` has something to do."""

    def begin(self, batch: BatchContext, /) -> None:
        """Prepare for a batch."""
        ...

    def flush(self, attempt: int | None = None, /) -> None:
        """Send what has not been sent of an attempt that has ended, or of all at the end of a batch."""
        ...


class BatchContext:
    """Things that the attempts of one batch have in common.

    Attributes
    ----------
    scope : StageScope
    shape : tuple of int
        The stage's index space.
    worker : str
        The worker's name in reports.
    control : AttemptControl
        The control that says whether an attempt is to stop.
    sink : ReportSink
        The place that notes go to.
    owns_process : bool
        Whether nothing else runs in this process, so that what is said outside attempts is said by its tasks.
    forwarding : Forwarding or None
        What has the records and lines of its attempts; None where the run does not want them.
    """

    __slots__ = (
        "_progressed",
        "control",
        "forwarding",
        "owns_process",
        "scope",
        "shape",
        "sink",
        "worker",
    )

    def __init__(
        self,
        scope: StageScope,
        shape: Shape,
        worker: str,
        *,
        control: AttemptControl,
        sink: ReportSink,
        owns_process: bool = False,
    ) -> None:
        self.scope = scope
        self.shape = shape
        self.worker = worker
        self.control = control
        self.sink = sink
        self.owns_process = owns_process
        self.forwarding: Forwards | None = None
        self._progressed: dict[int, float] = {}

    def noted(self, spec: AttemptSpec | None, kind: str, text: str, **more: Any) -> None:
        """Report a note of an attempt, or of the worker."""
        attempt, task, number = (NO_ATTEMPT, 0, 1) if spec is None else (spec[0], spec[1], spec[3])
        stage = "" if spec is None else self.scope.stage
        if (
            not text.isascii()
        ):  # Names of files that are no text, say, which no handler could write.
            text = text.encode(errors="backslashreplace").decode()
        self.sink.noted(
            Note(attempt, kind, text, self.worker, stage, task, number, time.time(), **more)
        )

    def progressed(self, spec: AttemptSpec, fraction: float, words: str) -> None:
        """Report progress, unless some was reported a moment ago; the end is reported in any case."""
        now = time.monotonic()
        if fraction < 1.0 and now - self._progressed.get(spec.attempt, -1.0) < PROGRESS_SECONDS:
            return
        self._progressed[spec.attempt] = now
        self.noted(spec, "progress", words, fraction=fraction)


CURRENT: ContextVar[AttemptSpec | None] = ContextVar("asyncexec_attempt", default=None)
"""The attempt that runs."""

BATCH: ContextVar[BatchContext | None] = ContextVar("asyncexec_batch", default=None)
"""The batch of the attempt that runs."""


def current_attempt() -> tuple[BatchContext, AttemptSpec] | None:
    """Return the attempt that runs here, with its batch; None where none does."""
    spec, batch = CURRENT.get(), BATCH.get()
    return None if spec is None or batch is None else (batch, spec)


class RunContext:
    """The context of the task that runs; see :func:`get_run_context`.

    >>> def long(item):
    ...     context = ax.get_run_context()
    ...     for step in range(100):
    ...         if context.cancelled:
    ...             break
    ...         context.progress(step / 100, "warming up")
    ...     context.logger.info("item %s is done", item)
    ...     return context.run_name != "", context.executor, context.input
    >>> plan = ax.Plan.map(long, [7])
    >>> ax.sync.execute(ax.Plan(plan.stages, context={"input": "x"})).value
    [(True, 'threads', 'x')]
    """

    __slots__ = ("_batch", "_run", "_spec")

    def __init__(self, batch: BatchContext, spec: AttemptSpec) -> None:
        self._batch = batch
        self._spec = spec
        self._run: RunScope = batch.scope.run.open()

    @property
    def input(self) -> Any:
        """The input of the workflow; None for a plan that has no such input."""
        return self._run.input

    @property
    def namespace(self) -> str:
        """The namespace of the run; ``""`` where it has none."""
        return self._run.namespace

    @property
    def executor(self) -> str:
        """The executor's name (``"threads"``)."""
        return self._run.executor

    @property
    def execution(self) -> str:
        """The execution's name in events and messages."""
        return self._run.execution

    @property
    def run_id(self) -> str:
        """The run's id, unique among all runs anywhere."""
        return self._run.run_id

    @property
    def run_name(self) -> str:
        """The run's name for people (``"amber-falcon-3f2a"``)."""
        return self._run.run_name

    @property
    def workflow(self) -> str:
        """The workflow's name; ``""`` for a plan that is of none."""
        return self._run.workflow

    @property
    def plan(self) -> str:
        """The plan's name."""
        return self._batch.scope.plan

    @property
    def stage(self) -> str:
        """The stage's name."""
        return self._batch.scope.stage

    @property
    def task(self) -> int:
        """The task's flat index in its stage."""
        return self._spec.task

    @property
    def index(self) -> Index:
        """The task's index in its stage's index space: ``(3,)`` in a map; ``()`` where the stage is one task."""
        return unravel(self._spec.task, self._batch.shape)

    @property
    def attempt(self) -> int:
        """The number of this attempt of the task: 1 for the first."""
        return self._spec.number

    @property
    def worker(self) -> str:
        """The worker's name, as in events."""
        return self._batch.worker

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration that is meant for this task."""
        return self._run.config

    @property
    def extras(self) -> Mapping[str, Any]:
        """Whatever else was attached to the plan or the run, by name."""
        return self._run.extras

    @property
    def cancelled(self) -> bool:
        """True once this attempt is to stop, for loops that can end early; its result is no longer wanted then.

        Where an executor kills, an attempt may be ended before it can see that.
        """
        return bool(self._batch.control.left)

    @property
    def logger(self) -> TaskLogger:
        """A logger of the standard library, whose records have ``plan``, ``stage``, ``task``, ``attempt``, ``worker``.

        It is called ``asyncexec.tasks``. Where the driver shows its records, the message begins with those too.
        """
        return TaskLogger(self, here=self._batch.scope.logs is None)

    def progress(self, fraction: float, words: str = "") -> None:
        """Report how far the task is, 0.0 to 1.0, to observers of the run; ten times a second at most.

        Raises
        ------
        UsageError
            If ``fraction`` is not a number.
        """
        share = float(fraction)
        if math.isnan(share):
            raise UsageError("progress takes the share of the task that is done, 0.0 to 1.0: nan")
        self._batch.progressed(self._spec, min(max(share, 0.0), 1.0), str(words))

    def __repr__(self) -> str:
        return (
            f"<RunContext of {self.run_name}: plan {self.plan!r}, stage {self.stage!r}, task {self.index}, attempt "
            f"{self.attempt}, worker {self.worker}>"
        )


class TaskLogger(logging.LoggerAdapter[logging.Logger]):
    """The logger of a task; in the driver's process it puts the task before each message itself."""

    def __init__(self, task: RunContext, *, here: bool) -> None:
        names = ("plan", "stage", "task", "attempt", "worker", "run_name")
        super().__init__(logging.getLogger("asyncexec.tasks"), {n: getattr(task, n) for n in names})
        # No percent sign, which the message is formatted with.
        prefix = task_prefix(task.plan, task.stage, task.task, task.worker)
        self._prefix = prefix.replace("%", "") if here else ""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the task to a record, and what the caller adds."""
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return f"{self._prefix}{msg}" if self._prefix else msg, kwargs


def task_prefix(plan: str, stage: str, task: int, worker: str) -> str:
    """Return what stands before the message of a task's log record."""
    return f"{plan}/{stage}[{task}] on {worker}: "


def get_run_context() -> RunContext:
    """Return the context of the task that runs here: its run, stage and index.

    Callable in any function that a task calls, in coroutines, and in threads that a task starts with
    ``contextvars.copy_context().run``.

    >>> def where(item):
    ...     context = ax.get_run_context()
    ...     return f"{context.stage}[{context.task}] of {context.plan}, attempt {context.attempt}"
    >>> ax.sync.execute(ax.Plan.map(where, "ab", name="look")).value
    ['look[0] of look, attempt 1', 'look[1] of look, attempt 1']
    >>> ax.get_run_context()
    Traceback (most recent call last):
        ...
    UsageError: there is no run context here: ...

    Raises
    ------
    UsageError
        If no task runs here.
    """
    current = current_attempt()
    if current is None:
        raise UsageError(
            "there is no run context here: get_run_context() works in functions that a task calls, and in threads that "
            "it starts with contextvars.copy_context().run"
        )
    return RunContext(*current)
