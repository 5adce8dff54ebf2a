"""Every error asyncexec raises on purpose.

::

    AsyncexecError
    ├── PlanError (ValueError)          the plan itself is wrong; nothing has run
    │   ├── CycleError
    │   ├── DuplicateStageError
    │   ├── UnknownInputError
    │   ├── RelationError
    │   ├── WriteConflictError
    │   ├── StageSizeError              a size that was to be known during the run could not be found
    │   ├── WiringError                 a workflow's stages and the parameters of its functions do not fit
    │   ├── WorkflowFileError           a file does not define a workflow; has each problem with its line
    │   ├── WorkflowInputError          an input of a workflow is missing, or is none of its inputs
    │   └── MemoryBudgetError
    ├── ConfigurationError (ValueError) what was asked for cannot be had; nothing has run
    │   ├── OptionError
    │   │   ├── UnknownOptionError (also TypeError)  a call was given an option that it does not take
    │   │   └── SettingsError           a configuration has problems; lists them all
    │   ├── UnknownExecutorError
    │   ├── MissingExtraError (also ImportError)
    │   └── ResourceError
    ├── StorageError (OSError)
    │   ├── StorageRefusedError         a store refuses a request, and will again; nothing is tried again
    │   │   └── StorageAccessError (also PermissionError)  a right or credentials are missing
    │   ├── StorageUnavailableError (also ConnectionError)  a store was out of reach or overloaded for long
    │   ├── StorageTimeoutError (also TimeoutError)  a store does not answer
    │   ├── ArrayNotFoundError
    │   │   └── ArrayReplacedError      an array was replaced by another one since it was opened
    │   ├── UnfinishedArrayError        a run is still writing an array, or has left it incomplete
    │   ├── CorruptArrayError
    │   │   └── CorruptChunkError       chunks of an array are damaged or missing; says which, and where
    │   ├── WorkDirError
    │   ├── TargetExistsError
    │   │   └── TargetReplacedError     another run has replaced a target that this one was writing to
    │   ├── CommitConflictError         a branch has other commits, so that a session was not committed
    │   ├── ArtifactNotFoundError (also FileNotFoundError)
    │   ├── OutOfSpaceError
    │   └── RunStoreError               the database of the records of runs does not work
    │       └── RunNotFoundError (also KeyError)
    ├── SerializationError (TypeError)  a function, item or value cannot travel to or from a worker
    ├── SkippedError                    a function raises it: its task has nothing to do
    ├── ChunkMismatchError (ValueError)  a kernel returned another block than its stage declares
    ├── RemoteError                     stands for an exception of a worker that cannot be made again here
    ├── ExecutionError (RuntimeError)   the run failed
    │   ├── TaskError                   one task failed for good; says which, where and why
    │   │   ├── TaskFailedError         its function raised
    │   │   ├── TaskTimeoutError
    │   │   ├── WorkerLostError         its worker died under it
    │   │   ├── WorkerInitializerError  the initializer of its worker raised
    │   │   ├── PoisonTaskError         it killed two different workers
    │   │   └── TaskMemoryError         it ran out of memory
    │   ├── RetryBudgetError            too many retries in one plan
    │   ├── CircuitOpenError            the backend keeps failing whatever is sent to it
    │   ├── InputError              the items of a stage could not be read to their end
    │   ├── StageTimeoutError
    │   ├── PlanTimeoutError
    │   ├── ValueLostError              a value is gone from where it was kept for the tasks that read it
    │   └── StalledError                work is left and nothing can run (a bug, or a resource that went away)
    ├── KeyNotFoundError (KeyError)     nothing is stored under that key
    ├── ClusterMemoryError (RuntimeError)  what tasks share cannot be reached, or not be held
    ├── BackendError (RuntimeError)     the backend itself is broken
    └── UsageError (RuntimeError)       the API was called where it cannot work
        ├── EngineClosedError
        └── RunningLoopError

An error says what happened, where (plan, stage, task, chunk, attempt, worker) and what to do next.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Self

from asyncexec.masking import masked_logins

__all__ = [
    "ArrayNotFoundError",
    "ArrayReplacedError",
    "ArtifactNotFoundError",
    "AsyncexecError",
    "BackendError",
    "ChunkMismatchError",
    "CircuitOpenError",
    "ClusterMemoryError",
    "CommitConflictError",
    "ConfigurationError",
    "CorruptArrayError",
    "CorruptChunkError",
    "CycleError",
    "DuplicateStageError",
    "EngineClosedError",
    "ExecutionError",
    "InputError",
    "KeyNotFoundError",
    "MemoryBudgetError",
    "MissingExtraError",
    "OptionError",
    "OutOfSpaceError",
    "PlanError",
    "PlanTimeoutError",
    "PoisonTaskError",
    "RelationError",
    "RemoteError",
    "ResourceError",
    "RetryBudgetError",
    "RunNotFoundError",
    "RunStoreError",
    "RunningLoopError",
    "SerializationError",
    "SettingsError",
    "SkippedError",
    "StageSizeError",
    "StageTimeoutError",
    "StalledError",
    "StorageAccessError",
    "StorageError",
    "StorageRefusedError",
    "StorageTimeoutError",
    "StorageUnavailableError",
    "TargetExistsError",
    "TargetReplacedError",
    "TaskError",
    "TaskFailedError",
    "TaskMemoryError",
    "TaskTimeoutError",
    "UnfinishedArrayError",
    "UnknownExecutorError",
    "UnknownInputError",
    "UnknownOptionError",
    "UsageError",
    "ValueLostError",
    "WiringError",
    "WorkDirError",
    "WorkerInitializerError",
    "WorkerLostError",
    "WorkflowFileError",
    "WorkflowInputError",
    "WriteConflictError",
]


class AsyncexecError(Exception):
    """Base of every error of this package; logins in URLs are masked in its message.

    It keeps its ``__cause__`` where it is pickled, of which it then is one made again of plain data, as in a
    :class:`TaskError`; and where it is copied, the cause itself.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(masked_logins(a) if isinstance(a, str) else a for a in args))

    def __reduce__(self) -> tuple[Any, ...]:
        from asyncexec.exception_data.pickling import with_cause

        return with_cause(self, self._parts(), stand_in=RemoteError.of)

    def __copy__(self) -> Self:
        from asyncexec.exception_data.pickling import copied

        return copied(self, self._parts())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        from asyncexec.exception_data.pickling import copied

        return copied(self, copy.deepcopy(self._parts(), memo))

    def _parts(self) -> tuple[Any, ...]:
        parts: Any = super().__reduce__()
        return tuple(parts)


class PlanError(AsyncexecError, ValueError):
    """The plan is wrong; nothing has run."""


class CycleError(PlanError):
    """Stages read each other in a circle."""


class DuplicateStageError(PlanError):
    """Two stages have one name."""


class UnknownInputError(PlanError):
    """A stage reads from a stage that the plan does not have."""


class RelationError(PlanError):
    """A relation does not fit the index spaces it stands between."""


class WriteConflictError(PlanError):
    """Two tasks would write one chunk (or one shard)."""


class StageSizeError(PlanError):
    """The size of a stage, which other stages were to give during the run, could not be found."""


class WiringError(PlanError):
    """A workflow's stages and inputs do not fit the parameters of its functions."""


class WorkflowFileError(PlanError):
    """A file does not define a workflow; the message holds all its problems, a line each."""


class WorkflowInputError(PlanError):
    """An input of a workflow is missing, or is none that it has, or cannot be mapped over."""


class MemoryBudgetError(PlanError):
    """A task is projected to need more memory than it is allowed."""


class ConfigurationError(AsyncexecError, ValueError):
    """A request that cannot be met; nothing has run."""


class OptionError(ConfigurationError):
    """An option is unknown, or its value is out of range."""


class UnknownOptionError(OptionError, TypeError):
    """A call was given an option that it does not take; the message says where it goes, or what was meant."""


class SettingsError(OptionError):
    """A configuration is not allowed; the message holds all its problems, a line each.

    Attributes
    ----------
    problems : tuple of str
        Each says the file and line (or the variable, or the option) and the key.
    """

    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, problems: Iterable[str]) -> Self:
        """Return the error with these problems."""
        told = tuple(problems)
        error = cls("\n".join(told))
        error.problems = told
        return error


class UnknownExecutorError(ConfigurationError):
    """No executor goes by that name."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional dependency is not installed; the message holds the install command."""

    @classmethod
    def of(cls, what: str, package: str, *, extra: str) -> Self:
        """Return the error that ``what`` needs a package, which an extra of asyncexec brings."""
        return cls(
            f'{what} needs {package}, which is not installed. Install it: pip install "asyncexec[{extra}]"'
        )


class ResourceError(ConfigurationError):
    """A stage asks for a resource that nobody has, or more of it than anybody has."""


class StorageError(AsyncexecError, OSError):
    """Reading or writing arrays went wrong.

    Attributes
    ----------
    permanent : bool or None
        Whether the same request would fail alike a moment later, so that a task that met it is not tried again. None
        where that is not known.
    """

    permanent: bool | None = None


class StorageRefusedError(StorageError):
    """A store refuses a request, and would again: a name, an option or the request itself is wrong."""

    permanent = True


class StorageAccessError(StorageRefusedError, PermissionError):
    """A store refuses a request because a right or credentials are missing; the message says which."""


class StorageUnavailableError(StorageError, ConnectionError):
    """A store was out of reach or overloaded, also when asked again for a while."""

    permanent = False


class StorageTimeoutError(StorageError, TimeoutError):
    """A store does not answer, also on fresh connections. It has been waited for long enough: it is not tried again.

    Attributes
    ----------
    endpoint : str
        The service that does not answer; ``""`` where that is not known.
    """

    permanent = True
    endpoint = ""


class ArrayNotFoundError(StorageError):
    """There is no Zarr array at that place."""

    permanent = True


class ArrayReplacedError(ArrayNotFoundError):
    """An array was replaced by another one since it was opened."""


class UnfinishedArrayError(StorageError):
    """A run is still writing the array, or has left it incomplete, so that what reads as fill values may be none."""


class CorruptArrayError(StorageError):
    """There is something at that place, and it cannot be read as a Zarr array."""

    permanent = True


class CorruptChunkError(CorruptArrayError):
    """Chunks of an array are damaged, or missing where they must not be.

    Chunks that a run has written itself are made again (see :doc:`/explanation/storage`), so this is met for what the
    run only reads, and for what is damaged again each time.

    >>> import pathlib
    >>> xp.to_zarr(xp.ones(4, chunks=2), "damaged.zarr")
    >>> _ = pathlib.Path("damaged.zarr/c/1").write_bytes(b"garbage")
    >>> import asyncexec.storage as storage
    >>> try:
    ...     storage.read(storage.open_array("damaged.zarr"), (slice(0, 4),))
    ... except ax.errors.CorruptChunkError as error:
    ...     print(error.chunks, error.path[-16:])
    ((1,),) damaged.zarr/c/1

    Attributes
    ----------
    array : str
        The array's place.
    chunks : tuple of tuple of int
        The chunks (shards, where there are shards) that are known to be damaged or missing.
    path : str
        The file or object of the first of them.
    """

    def __init__(
        self,
        message: str,
        *,
        array: str = "",
        chunks: tuple[tuple[int, ...], ...] = (),
        path: str = "",
    ) -> None:
        super().__init__(message)
        self.array = array
        self.chunks = chunks
        self.path = path


class WorkDirError(StorageError):
    """The work directory cannot be made or written to."""

    permanent = True


class TargetExistsError(StorageError):
    """The target holds an array already, and ``overwrite=True`` was not given."""

    permanent = True


class TargetReplacedError(TargetExistsError):
    """A target was replaced or removed while a run was writing to it."""


class CommitConflictError(StorageError):
    """A session with versions was not committed, as its branch has other commits by now; it has all changes."""


class ArtifactNotFoundError(StorageError, FileNotFoundError):
    """There is no artifact of that name, or no such file in it."""


class OutOfSpaceError(StorageError):
    """The disk (or quota) under an array is full."""

    permanent = True


class RunStoreError(StorageError):
    """The database of the records of runs cannot be reached, or refuses what it is asked to do."""


class RunNotFoundError(RunStoreError, KeyError):
    """No record of a run goes by that name or id."""

    __str__ = Exception.__str__  # KeyError quotes its message.


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


class RemoteError(AsyncexecError):
    """Stands for an exception of a worker whose class is not here, or that holds more than plain data.

    Nothing that a worker reports is unpickled, and no module is imported for it. So an exception whose class this
    process has not imported (or that was defined on the worker) is this one, with its notes and its chain of causes.

    Attributes
    ----------
    exception_type : str
        Qualified name of its class (``"botocore.exceptions.ClientError"``).
    exception_message : str
        Its message, as ``str`` gave it on the worker.
    remote_traceback : str
        Its traceback on the worker, as text; ``""`` for one further down the chain of causes.
    """

    def __init__(
        self,
        message: str = "",
        *,
        exception_type: str = "",
        exception_message: str = "",
        remote_traceback: str = "",
    ) -> None:
        super().__init__(message)
        self.exception_type = exception_type
        self.exception_message = exception_message
        self.remote_traceback = remote_traceback

    @classmethod
    def of(cls, name: str, message: str) -> Self:
        """Return what stands for an exception of a class of that name, with that message."""
        told = f"{name}: {message}" if message else name
        return cls(told, exception_type=name, exception_message=message)


class ExecutionError(AsyncexecError, RuntimeError):
    """The run of a plan failed.

    Attributes
    ----------
    plan, stage : str
        Names of the plan and the stage; ``""`` where the error is of none.
    """

    def __init__(self, *arguments: object, plan: str = "", stage: str = "") -> None:
        super().__init__(*arguments)
        self.plan = plan
        self.stage = stage


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


class RetryBudgetError(ExecutionError):
    """So many attempts of one plan failed that going on is pointless."""


class CircuitOpenError(ExecutionError):
    """The backend failed everything sent to it for a while, also after pauses."""


class InputError(ExecutionError):
    """The sequence, generator or the like that gives a stage its items failed; its own error is the ``__cause__``.

    Attributes
    ----------
    plan, stage : str
    item : int
        The number of the item that did not come, from 0.
    """

    def __init__(self, message: str, *, plan: str = "", stage: str = "", item: int = 0) -> None:
        super().__init__(message, plan=plan, stage=stage)
        self.item = item


class StageTimeoutError(ExecutionError):
    """A stage ran longer than its timeout, of ``limit_seconds``."""

    limit_seconds: float | None = None


class PlanTimeoutError(ExecutionError):
    """The plan ran longer than its timeout, of ``limit_seconds``."""

    limit_seconds: float | None = None


class ValueLostError(ExecutionError):
    """The value of a task, which had this ``handle``, is gone from where it was kept for the tasks that read it."""

    def __init__(self, message: str, handle: object = None) -> None:
        super().__init__(message)
        self.handle = handle


class StalledError(ExecutionError):
    """Work is left, nothing runs, and nothing can be started."""


class KeyNotFoundError(AsyncexecError, KeyError):
    """Nothing is stored under that key, or nothing any more."""

    def __str__(self) -> str:
        """Return the message as it is, which KeyError would show as a Python literal."""
        return str(self.args[0]) if self.args else ""


class ClusterMemoryError(AsyncexecError, RuntimeError):
    """The memory that the tasks of a run share cannot be reached, or cannot hold a value."""


class BackendError(AsyncexecError, RuntimeError):
    """The backend itself is broken (as opposed to: an attempt on it failed)."""


class UsageError(AsyncexecError, RuntimeError):
    """The API was called where it cannot work."""


class EngineClosedError(UsageError):
    """The engine is used outside its ``async with`` block."""


class RunningLoopError(UsageError):
    """A blocking call was made inside a running event loop."""
