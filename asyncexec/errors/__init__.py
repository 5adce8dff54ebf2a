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

An error says what happened, where (plan, stage, task, chunk, attempt, worker) and what to do next. All are
imported from here; the modules of this package have them by kind.
"""

from __future__ import annotations

from asyncexec.errors.base import (
    AsyncexecError,
    RemoteError,
)
from asyncexec.errors.configuration import (
    ConfigurationError,
    MissingExtraError,
    OptionError,
    ResourceError,
    SettingsError,
    UnknownExecutorError,
    UnknownOptionError,
)
from asyncexec.errors.engine import (
    BackendError,
    ClusterMemoryError,
    EngineClosedError,
    KeyNotFoundError,
    RunningLoopError,
    UsageError,
)
from asyncexec.errors.execution import (
    CircuitOpenError,
    ExecutionError,
    InputError,
    PlanTimeoutError,
    RetryBudgetError,
    StageTimeoutError,
    StalledError,
    ValueLostError,
)
from asyncexec.errors.plan import (
    CycleError,
    DuplicateStageError,
    MemoryBudgetError,
    PlanError,
    RelationError,
    StageSizeError,
    UnknownInputError,
    WiringError,
    WorkflowFileError,
    WorkflowInputError,
    WriteConflictError,
)
from asyncexec.errors.storage import (
    ArrayNotFoundError,
    ArrayReplacedError,
    ArtifactNotFoundError,
    CommitConflictError,
    CorruptArrayError,
    CorruptChunkError,
    OutOfSpaceError,
    RunNotFoundError,
    RunStoreError,
    StorageAccessError,
    StorageError,
    StorageRefusedError,
    StorageTimeoutError,
    StorageUnavailableError,
    TargetExistsError,
    TargetReplacedError,
    UnfinishedArrayError,
    WorkDirError,
)
from asyncexec.errors.tasks import (
    ChunkMismatchError,
    PoisonTaskError,
    SerializationError,
    SkippedError,
    TaskError,
    TaskFailedError,
    TaskMemoryError,
    TaskTimeoutError,
    WorkerInitializerError,
    WorkerLostError,
)

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

for _name in __all__:
    # They are known by this module: in pickles, in records of runs, and where exceptions of workers are described.
    globals()[_name].__module__ = __name__
