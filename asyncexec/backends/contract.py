"""The contract of a backend: an async map from attempts to outcomes.

A backend is an async context manager with three members: :meth:`Backend.map`, :meth:`Backend.cancel` and
:attr:`Backend.capabilities` (and :attr:`Backend.slots`, which may change while it runs). The scheduler does all else:
retries, timeouts, backups, order and admission are the same everywhere, so a backend must not do any of them.

The rules that ``asyncexec.testing.BackendConformance`` proves:

- Attempts stream in, in batches; reports stream out, in batches, in any order.
- Every attempt yields **exactly one** :class:`~asyncexec.events.outcome.Outcome`, whatever happens to it: also when
  it is cancelled (``CANCELLED``), when its worker dies (``LOST``), and when it never started.
- A failed attempt is an outcome. Only a broken backend raises (``BackendError``), which ends every execution.
- A :class:`Started` is reported for an attempt as soon as it starts on a worker, unless its outcome follows at once
  (within about 20 ms); without ``tells_progress``, for the first attempt of a batch only. Attempts of one batch run
  on one worker, one after another; of a program with a ``concurrency``, so many at once on an event loop, and one that
  is cancelled there ends by ``asyncio.CancelledError`` while the others go on.
- A batch counts as handed over when ``map`` takes it from ``batches``: from then on ``cancel`` must find it.
- ``cancel`` returns at once. A backend that can kill stops the attempt within a second; one that cannot gives it up,
  reports ``CANCELLED`` and frees the slot, and prevents a late write (see :class:`asyncexec.worker.control.MaySave`).
- A :class:`Note` (progress, a log record, a line of output) is reported before the outcome of its attempt; without
  ``tells_progress``, as late as that. A backend that reports none loses what tasks say, and nothing else.
- Attempts of a batch that had not started when their worker died or was killed are ``LOST`` (or ``CANCELLED``)
  with ``started_at`` 0.0: nobody is charged for them. Where that is not known, they count as started.
- Leaving the context ends everything the backend started. A backend whose context is open is not entered again: that
  is a ``UsageError``.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Callable,
    Collection,
    Mapping,
    Sequence,
)
from contextvars import Context
from dataclasses import dataclass, field
from functools import cached_property, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import cloudpickle

from asyncexec.errors import SerializationError
from asyncexec.plan.locality import Locality
from asyncexec.worker.programs import LoadedProgram
from asyncexec.worker.records import AttemptSpec, Note, Report, Started
from asyncexec.worker.run_scope import RunScope, StageScope

__all__ = [
    "AttemptSpec",
    "AvoidingBackend",
    "Backend",
    "Batch",
    "Capabilities",
    "Job",
    "Locality",
    "Note",
    "Program",
    "Report",
    "RunScope",
    "StageProgram",
    "Started",
    "ValueKeepingBackend",
    "pickle_kernel",
    "value_store_of",
]

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape
    from asyncexec.plan.stage import Kernel, TaskIO
    from asyncexec.worker.values import LargeValues, ValueStore


def _takes_old_names[C: type](cls: C) -> C:
    """Accept ``local`` and ``shares_memory`` instead of ``locality``, for backends of other packages."""
    init: Callable[..., None] = vars(cls)["__init__"]

    @wraps(init)
    def takes_either(self: object, /, **fields: Any) -> None:
        if not fields.keys().isdisjoint(("local", "shares_memory")):
            given = fields.get("locality", Locality.ELSEWHERE)
            local = fields.pop("local", given.on_this_host)
            shares_memory = fields.pop("shares_memory", local and given is Locality.SAME_PROCESS)
            near = Locality.SAME_HOST if local else Locality.ELSEWHERE
            fields["locality"] = Locality.SAME_PROCESS if shares_memory else near
        init(self, **fields)

    cls.__init__ = takes_either  # type: ignore[misc] # of this very class, not of one derived from it
    return cls


@_takes_old_names
@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """The capabilities of a backend, to which the scheduler adapts.

    Attributes
    ----------
    name : str
        As users write it.
    kills : bool
        Whether ``cancel`` stops an attempt that is running (otherwise it is given up).
    locality : Locality
        The place of its workers: in the driver's process, in others of its machine (whose memory they then take), or
        elsewhere.
    isolated : bool
        Whether a task that dies leaves the driver alive.
    measures_memory : bool
        Whether ``Outcome.peak_bytes`` is filled in.
    guarantees_memory : bool
        Whether a task over its memory is stopped by the system.
    metered : bool
        Whether worker time is billed.
    batch_limit : int
        How many attempts a batch may hold.
    tells_progress : bool
        Whether starts and outcomes within a batch are reported as they happen. Without it, only the start of its
        first attempt is known while it runs, and all its outcomes come at its end.
    loss_seconds : float or None
        Within how long a worker that died is noticed; None if it may never be, so that only a timeout ends its task.
    native_retry : str
        What the system would do again by itself, and how that is switched off; for people to read.
    call_seconds : float
        About what one batch costs in addition to the work in it. Batches are made long enough for that to be small.
    worker_bytes : int or None
        Memory that one task may use on a worker, where it is known. Plans that are allowed more are refused.
    budget_bytes : int or None
        Memory that all tasks in flight may have together, where that is limited.
    resources : mapping of str to float
        Named resources that the system has in all; those of a stage must be among them.
    concurrency : int
        How many tasks one slot runs at once of stages that do not say so themselves.
    shares_slots : bool
        Whether a slot that runs a batch of a stage with ``concurrency`` takes further ones of it, until it has as many
        attempts as it may run at once. Otherwise it takes the next batch when the one before has ended.
    overlaps : bool
        Whether a slot loads and saves some tasks of an array stage, whose program says so, while it computes another.
    opening_seconds : float
        How long entering may take. Past it, entering is given up with a ``BackendError``.
    opening_advice : str
        What that error advises: the address or the file to look at, and what to do.
    """

    name: str
    kills: bool = False
    locality: Locality = Locality.ELSEWHERE
    isolated: bool = False
    measures_memory: bool = False
    guarantees_memory: bool = False
    metered: bool = False
    batch_limit: int = 1
    tells_progress: bool = True
    loss_seconds: float | None = None
    native_retry: str = ""
    call_seconds: float = 0.0
    worker_bytes: int | None = None
    budget_bytes: int | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    concurrency: int = 1
    shares_slots: bool = False
    overlaps: bool = False
    opening_seconds: float = 300.0
    opening_advice: str = ""

    @property
    def local(self) -> bool:
        """True for workers on this machine; the former form of ``locality``."""
        return self.locality.on_this_host

    @property
    def shares_memory(self) -> bool:
        """True for workers in the driver's process; the former form of ``locality``."""
        return self.locality is Locality.SAME_PROCESS


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
class Batch:
    """Attempts of one stage that run on one worker, as many at once as its program says.

    Attributes
    ----------
    program : StageProgram
    jobs : sequence of AttemptSpec
    apart_from : set of str
        Workers, by the names they have in reports, that run other attempts of the same tasks: what makes those slow may
        be theirs. A backend that can choose among its workers takes another one, if it has one.
    """

    program: StageProgram
    jobs: Sequence[AttemptSpec]
    apart_from: frozenset[str] = frozenset()


Job = AttemptSpec
"""The name by which backends of other packages may still import it."""

Program = StageProgram
"""The name by which backends of other packages may still import it."""


@runtime_checkable
class AvoidingBackend(Protocol):
    """A backend that can choose among its workers; it observes ``Batch.apart_from`` too."""

    def avoid(self, workers: Collection[str], /) -> None:
        """Start nothing more on these workers (by the names they have in reports) until the next call.

        Each call replaces the one before. Attempts that run there go on; those that wait there and can be withdrawn go
        to others. ``slots`` no longer counts these workers, at the latest when they are idle. A name of a worker that
        is gone changes nothing, and its replacement has another name. If only avoided workers are left, they have to
        work.
        """


@runtime_checkable
class SaveLeavingBackend(Protocol):
    """A backend with workers in this process, which can give up attempts whose save does not end."""

    def leave_saves(self, attempts: Collection[int], /) -> Sequence[threading.Event]:
        """Give up those of ``attempts``, cancelled before, that save; return events that are set as their saves end.

        No outcome of them follows. Their threads are left to themselves: also when the context is left, nobody waits
        for them. What they write may come until the events are set.
        """
        ...


@runtime_checkable
class GivesBatches(Protocol):
    """Batches for ``Backend.map`` that can be given at once, without a turn of the event loop for each."""

    def give_to(self, take: Callable[[Batch], None] | None, /) -> None:
        """Give each batch to ``take``, which does not raise, from now on; None ends that."""


@runtime_checkable
class GivesReports(Protocol):
    """Reports of ``Backend.map`` that can be given at once where they come by themselves, in a callback of the loop."""

    def give_to(self, take: Callable[[Sequence[Report]], bool], /) -> None:
        """Give reports to ``take``; those for which it returns False come in their turn, as of any backend."""


@runtime_checkable
class ValueKeepingBackend(Protocol):
    """The further member of a backend whose large values stay near its workers: outcomes hold their handles.

    What it has reported belongs to the run, which deletes it; what an attempt has left that was lost is the backend's
    to delete, and so is everything that is there when its context is left.
    """

    @property
    def value_store(self) -> ValueStore | None:
        """The store as the driver uses it, while the context is open; None where all values travel."""


def value_store_of(backend: Backend) -> ValueStore | None:
    """Return the store of a backend whose context is open; None where all values travel."""
    return backend.value_store if isinstance(backend, ValueKeepingBackend) else None


@runtime_checkable
class Backend(Protocol):
    """A system that runs attempts; see the rules at the top of this module."""

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of this backend."""
        ...

    @property
    def slots(self) -> int:
        """The number of batches that can run at once, now."""
        ...

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come.

        Ends when ``batches`` has ended and everything is reported.

        Called once in the life of the context.
        """
        ...

    def cancel(self, attempts: Collection[int]) -> None:
        """Stop these attempts (unknown ids are ignored: they may have just ended); their outcomes still arrive."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
