"""Errors of one task: of what it raises itself, of what travels to and from it, and of tasks that failed for good."""

from __future__ import annotations

from asyncexec.errors.base import AsyncexecError
from asyncexec.errors.execution import ExecutionError


class SerializationError(AsyncexecError, TypeError):
    """A function, an item or a value cannot be pickled for the journey to or from a worker."""


class SkippedError(AsyncexecError):
    """A task has nothing to do: its function raises it, and is not called again.

    The task is complete without a value: an :class:`asyncexec.Skipped` holds its place, and a task that reads it is
    skipped, too, unless its stage has ``takes_missing``. The message is the reason.

    >>> def inverse(x):
    ...     if x == 0:
    ...         raise ax.SkippedError("zero has no inverse")
    ...     return 1 / x
    >>> ax.sync.execute(ax.Plan.map(inverse, [4, 0])).value
    [0.25, Skipped('zero has no inverse')]
    """


class ChunkMismatchError(AsyncexecError, ValueError):
    """A kernel returned a block of another shape or element type than its stage declares."""


class TaskError(ExecutionError):
    """One task failed for good, and with it the plan; the same on every executor.

    The ``__cause__`` is the exception of the task: itself on executors in this process. On others it is one of the same
    class, made of what is plain data of it (arguments, attributes, notes, causes, members of a group) without a call
    of its own methods, where this process has imported that class; else a :class:`RemoteError`.

    >>> def halve(item):
    ...     if item == 3:
    ...         raise ValueError("odd", item)
    ...     return item // 2
    >>> try:
    ...     ax.sync.execute(ax.Plan.map(halve, [2, 3]))
    ... except ax.TaskError as error:
    ...     print(error.exception_type, error.index, repr(error.__cause__))
    builtins.ValueError (1,) ValueError('odd', 3)

    Attributes
    ----------
    plan, stage : str
        Names of the plan and the stage.
    index : tuple of int
        The task's index in its stage (for an array stage: the chunk it writes).
    task : int
        The same as one number.
    attempt : int
        Which attempt it was, from 1.
    worker : str
        The worker that ran it (``""`` where it never started).
    exception_type : str
        Qualified name of the class of what the task raised; ``"builtins.TimeoutError"`` for a timeout, and
        ``"asyncexec.errors.WorkerLostError"`` for a lost worker, if the executor names no other.
    exception_message : str
        Its message (without its middle if it is longer than 20,000 characters).
    seconds : float
        The duration of the attempt (0.0 where it never started).
    limit_seconds : float or None
        The task's timeout; None where it has none.
    peak_bytes : int
        The most memory that the process of the worker held meanwhile (0 where that is not measured).
    remote_traceback : str
        The traceback on the worker, as text (``""`` where there was none).
    """

    def __init__(
        self,
        message: str,
        *,
        plan: str = "",
        stage: str = "",
        index: tuple[int, ...] = (),
        task: int = 0,
        attempt: int = 0,
        worker: str = "",
        exception_type: str = "",
        exception_message: str = "",
        seconds: float = 0.0,
        limit_seconds: float | None = None,
        peak_bytes: int = 0,
        remote_traceback: str = "",
    ) -> None:
        super().__init__(message, plan=plan, stage=stage)
        self.index = index
        self.task = task
        self.attempt = attempt
        self.worker = worker
        self.exception_type = exception_type
        self.exception_message = exception_message
        self.seconds = seconds
        self.limit_seconds = limit_seconds
        self.peak_bytes = peak_bytes
        self.remote_traceback = remote_traceback


class TaskFailedError(TaskError):
    """A task's function raised; what it raised is the ``__cause__``."""


class TaskTimeoutError(TaskError):
    """A task ran longer than its timeout in every attempt."""


class WorkerInitializerError(TaskError):
    """The initializer of a worker raised; the run ends, since no task can run there as it is meant to."""


class WorkerLostError(TaskError):
    """A task's worker died under it in every attempt."""


class PoisonTaskError(TaskError):
    """A task was running on two different workers when each of them died."""


class TaskMemoryError(TaskError):
    """A task ran out of memory, also when run alone."""
