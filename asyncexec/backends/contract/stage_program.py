"""The program of a stage, as it travels to workers, and batches of attempts of it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import cloudpickle

from asyncexec.errors import SerializationError
from asyncexec.worker.programs import LoadedProgram
from asyncexec.worker.records import AttemptSpec
from asyncexec.worker.run_scope import RunScope, StageScope

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape
    from asyncexec.plan.stage import Kernel, TaskIO
    from asyncexec.worker.values import LargeValues


@dataclass(frozen=True, eq=False, kw_only=True)
class StageProgram:
    """The program of all tasks of a stage; shipped to a worker once, by ``key``.

    Attributes
    ----------
    key : str
        Unique among the programs of an engine.
    plan, stage : str
        For messages.
    kernel : callable
        ``kernel(index, *inputs) -> output``.
    shape : tuple of int
        The stage's index space, to unravel flat indices with.
    io : TaskIO or None
        How inputs are loaded and outputs saved; None where inputs come with the attempt and the output is a value.
    memory_bytes : int or None
        What one task may use in all, where somebody said.
    resources : mapping of str to float
        What one task takes of the named resources.
    scope : RunScope
        The data of the run that tasks can ask for.
    context : Context
        The context variables of whoever started the run, for workers in this process: each attempt runs in a copy.
    values : LargeValues or None
        Where its large values are kept, and those that it reads; pickled with it, it is the workers' side of the store.
    concurrency : int
        How many attempts one slot runs at once, on one event loop.
    overlaps : bool
        Whether these load and save at once while their kernels, which are no coroutine functions, run one at a time;
        ``memory_bytes`` is then for all of them together.
    around : callable or None
        Makes of the kernel the one that workers call, which keeps values or finds them in a cache.
    """

    key: str
    plan: str
    stage: str
    kernel: Kernel
    shape: Shape
    io: TaskIO | None = None
    memory_bytes: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    scope: RunScope = field(default_factory=RunScope)
    context: Context = field(default_factory=Context)
    values: LargeValues | None = None
    concurrency: int = 1
    overlaps: bool = False
    around: Callable[[Kernel], Kernel] | None = None

    @property
    def slot_bytes(self) -> int | None:
        """The memory that all tasks may use together which a slot runs at once; None where nobody said."""
        if self.memory_bytes is None:
            return None
        return self.memory_bytes * (1 if self.overlaps else self.concurrency)

    def load(self) -> LoadedProgram:
        """Return :attr:`runnable`, as a worker asks for a program."""
        return self.runnable

    @cached_property
    def runnable(self) -> LoadedProgram:
        """The program as a worker in this process takes it."""
        scope = self.scope
        of_stage = StageScope(
            scope.execution, self.plan, self.stage, scope, initializer=scope.initializer
        )
        return self._loaded(self.kernel, of_stage, self.context)

    @cached_property
    def blob(self) -> bytes:
        """The pickled program, for other processes; pickled by value where needed (lambdas and closures too).

        Raises
        ------
        SerializationError
            If the kernel or the run's scope cannot be pickled.
        """
        return self._pickled(self.kernel)

    def pack(self, kernel: bytes) -> None:
        """Set :attr:`blob` from the result of :func:`pickle_kernel`, instead of pickling the kernel once more."""
        self.__dict__["blob"] = self._pickled(_Pickled(kernel))

    def _pickled(self, kernel: Any) -> bytes:
        scope = self.scope
        initializer = None if scope.initializer is None else scope.initializer.packed
        of_stage = StageScope(
            scope.execution,
            self.plan,
            self.stage,
            scope.packed,
            scope.logs,
            initializer,
            scope.settings,
        )
        return _dumps(self._loaded(kernel, of_stage, None), plan=self.plan, stage=self.stage)

    def _loaded(self, kernel: Any, scope: StageScope, context: Context | None) -> LoadedProgram:
        called = kernel if self.around is None else self.around(kernel)
        return LoadedProgram(called, self.io, self.shape, scope, context, self.values)


def pickle_kernel(kernel: Kernel, *, plan: str, stage: str) -> bytes:
    """Return ``kernel`` pickled by value where needed, for :meth:`StageProgram.pack`; the names are for the message.

    Raises
    ------
    SerializationError
        If it cannot be pickled.
    """
    return _dumps(kernel, plan=plan, stage=stage)


class _Pickled:
    """A pickle of an object that is unpickled as that object."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __reduce__(self) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
        return pickle.loads, (self._data,)


def _dumps(value: object, *, plan: str, stage: str) -> bytes:
    try:
        data: bytes = cloudpickle.dumps(value)
    except Exception as error:
        raise SerializationError(
            f"the function of stage {stage!r} of plan {plan!r} cannot be pickled, so it cannot "
            f"be sent to a worker process: {error}. Create what it captures (files, locks, "
            f"connections) inside the function, or run on executor='threads'"
        ) from error
    return data


@dataclass(frozen=True, slots=True)
class FollowingAttempts:
    """Attempts that a worker goes on with, each with the value of another attempt of its batch as its only input.

    One whose other attempt has no value, as it failed or was stopped, does not start: it is reported ``CANCELLED``.

    Attributes
    ----------
    program : StageProgram
    jobs : sequence of AttemptSpec
        Of each, ``inputs`` holds the id of the attempt whose value it takes.
    """

    program: StageProgram
    jobs: Sequence[AttemptSpec]


@dataclass(frozen=True, slots=True)
class Batch:
    """Attempts of one stage that run on one worker, as many at once as its program says.

    Attributes
    ----------
    program : StageProgram
    jobs : sequence of AttemptSpec
    following : sequence of FollowingAttempts
        Attempts of stages that read the one before, where the backend ``follows``: the worker goes on with them.
    apart_from : set of str
        Workers, by the names they have in reports, that run other attempts of the same tasks: what makes those slow may
        be theirs. A backend that can choose among its workers takes another one, if it has one.
    """

    program: StageProgram
    jobs: Sequence[AttemptSpec]
    apart_from: frozenset[str] = frozenset()
    following: Sequence[FollowingAttempts] = ()

    @property
    def attempts(self) -> list[int]:
        """The ids of all its attempts."""
        jobs = (*self.jobs, *(job for each in self.following for job in each.jobs))
        return [job.attempt for job in jobs]
