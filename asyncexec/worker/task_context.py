"""The context of the attempt that runs: what a task can ask about its run.

``run_attempt`` sets one context variable for every attempt; all else is found out when a task asks. The variable is set
in the attempt's own context, so it is right in coroutines that share a thread, and in threads that a task starts with
``contextvars.copy_context()``.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from asyncexec.errors import UsageError
from asyncexec.plan.box import unravel

if TYPE_CHECKING:
    from asyncexec.plan.box import Index, Shape
    from asyncexec.worker.control import AttemptControl
    from asyncexec.worker.records import AttemptSpec
    from asyncexec.worker.run_scope import RunScope, StageScope


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
    """

    __slots__ = ("control", "scope", "shape", "worker")

    def __init__(
        self, scope: StageScope, shape: Shape, worker: str, control: AttemptControl
    ) -> None:
        self.scope = scope
        self.shape = shape
        self.worker = worker
        self.control = control


CURRENT: ContextVar[tuple[BatchContext, AttemptSpec] | None] = ContextVar(
    "asyncexec_attempt", default=None
)
"""The attempt that runs, with its batch; set by ``run_attempt``."""


class RunContext:
    """The context of the task that runs; see :func:`get_run_context`."""

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

    def __repr__(self) -> str:
        return (
            f"<RunContext of {self.run_name}: plan {self.plan!r}, stage {self.stage!r}, task {self.index}, attempt "
            f"{self.attempt}, worker {self.worker}>"
        )


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
    current = CURRENT.get()
    if current is None:
        raise UsageError(
            "there is no run context here: get_run_context() works in functions that a task calls, and in threads that "
            "it starts with contextvars.copy_context().run"
        )
    return RunContext(*current)
