"""A stage: one parallel map of a kernel over an index space."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from asyncexec.plan.given_numbers import as_real_number, as_whole_number
from asyncexec.plan.memory import Memory

if TYPE_CHECKING:
    from asyncexec.plan.access_map import AccessMap
    from asyncexec.plan.box import Index, Shape
    from asyncexec.plan.limit import Limit
    from asyncexec.plan.relations import Relation

type OnFailure = Literal["fail", "keep"]

type Kernel = Callable[..., Any]
"""``kernel(index, *inputs)``: pure, so it may run twice. ``index`` is a tuple of int; one input per stage input."""


@dataclass(frozen=True, slots=True)
class Read:
    """Tasks read the output of another stage.

    Between stages that hold values, the kernel gets a value where it reads one task, and a list of values in
    row-major order where the relation's box may hold several (``many``). With ``item`` all tasks read one value that
    can be indexed, and task i gets its item i (flat index). A stage that has an ``io`` reads for itself, and the
    relation says only what must be complete before.

    >>> from asyncexec.plan import Items, Plan, Read, Stage
    >>> from asyncexec.plan.relations import block_reduce
    >>> halve = Stage(name="halve", kernel=lambda i, x: x / 2, shape=(4,), inputs=(Items(range(4)),))
    >>> pairs = Stage(
    ...     name="pairs",
    ...     kernel=lambda i, values: values,
    ...     shape=(2,),
    ...     inputs=(Read("halve", block_reduce((4,), {0: 2}), many=True),),
    ... )
    >>> ax.sync.execute(Plan([halve, pairs])).value
    [[0.0, 0.5], [1.0, 1.5]]
    """

    stage: str
    relation: Relation
    many: bool = False
    item: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """Task i reads ``values[i]`` (flat index), which is sent from the driver with the task.

    >>> from asyncexec.plan import Items, Plan, Stage
    >>> stage = Stage(name="s", kernel=lambda index, x: x + 1, shape=(2,), inputs=(Items([1.5, 2.5]),))
    >>> ax.sync.execute(Plan([stage])).value
    [2.5, 3.5]
    """

    values: Sequence[Any]

    def __repr__(self) -> str:
        return f"Items({len(self.values)} of {type(self.values).__name__})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkedOutput:
    """An array that a stage writes, one block a task; no other stage writes it.

    >>> from asyncexec.plan import ChunkedOutput
    >>> output = ChunkedOutput(
    ...     location="y.zarr", shape=(100, 80), block=(50, 80), unit=(10, 80), dtype="float32"
    ... )
    >>> output.nbytes
    32000

    Attributes
    ----------
    location : str
        Its place in storage; two stages writing one location is an error.
    shape, block : tuple of int
        The array's shape and the block each task writes, in elements.
    unit : tuple of int
        The unit of writing in storage (the chunk, or the shard where there are shards), in elements.
    dtype : str
        NumPy's name for the element type.
    name : str
        Its name for users, where a stage writes several arrays (``"R"``).
    access : AccessMap or None
        The elements that each task writes, where its block does not lie at ``index * block``: an output may have fewer
        axes than the index space, or have them in another order. The blocks must be disjoint and cover the array.
    """

    location: str
    shape: Shape
    block: Shape
    unit: Shape
    dtype: str
    name: str = ""
    access: AccessMap | None = None

    @property
    def nbytes(self) -> int:
        """Size of the whole array in bytes, not encoded."""
        import numpy as np  # noqa: PLC0415 - dear, and stages of plain functions need none

        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class TaskIO(Protocol):
    """The reading of inputs and writing of outputs of a task of an array stage; made by a workspace, picklable.

    One that keeps memory between tasks may have a method ``begin``, called in a worker's thread before the first task
    of a batch is measured: what tasks of other stages have left goes then.
    """

    def load(self, index: Index) -> tuple[tuple[Any, ...], int]:
        """Return the kernel's inputs for the task, and how many bytes (not encoded) were read."""
        ...

    def save(self, index: Index, result: Any) -> int | tuple[int, Any]:
        """Write the task's output, atomically chunk by chunk, and return how many bytes (not encoded).

        Of a stage that holds values, return a pair: the bytes, and the task's value, a receipt of what was written.
        """
        ...


class PiecewiseKernel(Protocol):
    """A kernel whose tasks take their input piece by piece, and hold one piece at a time.

    Of such a stage, :class:`TaskIO` loads pieces. As a function, it takes a task's pieces with their inputs.
    """

    def pieces(self, index: Index) -> Iterator[Index]:
        """Iterate over the indices of the pieces of a task, in the order in which they are taken."""
        ...

    def __call__(self, index: Index, pieces: Iterable[tuple[Index, Sequence[Any]]]) -> Any:
        """Return what the task puts out; ``pieces`` are given with their inputs."""
        ...

    def take(self, held: Any, piece: Index, *inputs: Any) -> Any:
        """Return what is held after a further piece; ``held`` is None before the first, and may be overwritten."""
        ...

    def finish(self, index: Index, held: Any) -> Any:
        """Return what the task at ``index`` puts out, after its last piece."""
        ...


type InThread = Callable[..., Awaitable[Any]]
"""``await in_thread(function, *arguments)`` calls a function that blocks, in a thread."""


@runtime_checkable
class WaitingIO(TaskIO, Protocol):
    """A :class:`TaskIO` that may have to wait for stores elsewhere; many tasks then share a slot while they wait."""

    @property
    def requests(self) -> int:
        """The number of its tasks that one process loads and saves at once; 1 where nothing is waited for."""
        ...

    async def aload(self, index: Index, in_thread: InThread) -> tuple[tuple[Any, ...], int]:
        """Do what ``load`` does, without blocking the event loop; ``in_thread`` is for what blocks."""
        ...

    async def asave(self, index: Index, result: Any, in_thread: InThread) -> int | tuple[int, Any]:
        """Do what ``save`` does, without blocking the event loop."""
        ...


type Resolve = Callable[[Stage, Mapping[str, Any], Mapping[str, Shape]], Stage]


@dataclass(frozen=True, slots=True, kw_only=True)
class LateSize:
    """The size of a stage is known only when other stages are complete.

    Until then, a 0 in the stage's shape (and in what it reads and writes) stands for a length that is not known.

    Attributes
    ----------
    waits_for : tuple of str
        The stages that must be complete before; they put out values.
    resolve : callable
        ``resolve(stage, values, shapes)`` returns ``stage`` with its shape, inputs and outputs as they are (and a
        kernel that fits them, if need be), and nothing else changed. ``values`` has what the stages put out that are
        waited for: the value of a single task, or a list of the values of all tasks; ``shapes`` has the index spaces
        that are known by then. It is called in a worker thread and may block; it must be picklable and pure, and
        raises a :class:`~asyncexec.errors.StageSizeError` where there is no such stage.
    reads_values : bool
        Whether it depends on ``values``. Otherwise it depends on the shapes of the stages that are read, and
        ``values`` is empty.
    grows : bool
        Whether the size grows while the items of a stream are read: it waits for no stage, and is final at their end.
    """

    waits_for: tuple[str, ...]
    resolve: Resolve
    reads_values: bool = True
    grows: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One parallel map: a kernel over an index space, with what each task reads.

    >>> from asyncexec.plan import Items, Plan, Stage
    >>> stage = Stage(
    ...     name="scale",
    ...     kernel=lambda index, x, y: (index, x * y),
    ...     shape=(2, 2),
    ...     inputs=(Items([1, 2, 3, 4]), Items([10, 10, 20, 20])),
    ... )
    >>> stage.tasks
    4
    >>> ax.sync.execute(Plan([stage])).value
    [((0, 0), 10), ((0, 1), 20), ((1, 0), 60), ((1, 1), 80)]

    Attributes
    ----------
    name : str
        Unique in its plan.
    kernel : callable
        ``kernel(index, *inputs) -> output``; pure.
    shape : tuple of int
        The index space; ``()`` is a single task. See :class:`LateSize` for lengths that are not known yet.
    inputs : tuple of Read or Items
    outputs : tuple of ChunkedOutput
        The arrays written; empty for a stage that puts out values (Python objects).
    operation : str
        The operation's name for users (``"sum"``); messages and pictures use it in addition to the stage's name.
    memory : Memory
    resources : mapping of str to float
        The named resources that one task takes (``{"gpus": 1}``).
    overrides : mapping of str to object
        Policies for this stage alone, by the names :meth:`asyncexec.Engine.execute` takes (retry, timeout, straggler).
    idempotent : bool
        Whether an attempt may be repeated after it has started. False turns off backups and such retries.
    priority : float
        Of the tasks that can run, those of the stage with the highest priority are sent first; of equal ones those
        that are deepest in the plan.
    cache : str
        ``"inputs"`` where a task whose code and inputs have not changed is not run again; for stages of values.
    identity : str or callable
        What distinguishes this stage's result beyond kernel, shape and inputs; part of the plan's fingerprint. A
        function that returns it is called when the fingerprint is worked out.
    limit : Limit or None
        The most attempts of the stage that run at once, or start in a second, in one run.
    labels : tuple of str
        The names of limits that it shares with other stages: those of ``Engine(limits=...)``.
    on_failure : str
        The effect of a task that fails for good: ``"fail"`` ends the run, and with ``"keep"`` the run goes on and an
        :class:`asyncexec.Failed` holds the task's place; for stages that put out values.
    takes_missing : bool
        Whether tasks are run that read a missing value, such as a ``Failed``: by default they are not, and have the
        same missing value. What reads many values always gets the list with the missing ones at their places.
    late : LateSize or None
        The stages that give its size, and the way it is found, where it is not known before the plan runs.
    concurrency : int or None
        How many of its tasks one slot of an executor runs at once, on one event loop, while they await; their kernel
        is then a coroutine function. None is 1, and as many as there may be on executor ``asyncio``.
    notes : tuple of str
        What the front end has to say of the way it made the stage, for :meth:`asyncexec.Plan.explain`: ends of
        sentences that begin with the stage.
    """

    name: str
    kernel: Kernel
    shape: Shape
    inputs: tuple[Read | Items, ...] = ()
    outputs: tuple[ChunkedOutput, ...] = ()
    operation: str = ""
    memory: Memory = field(default_factory=Memory)
    resources: Mapping[str, float] = field(default_factory=dict)
    overrides: Mapping[str, Any] = field(default_factory=dict)
    idempotent: bool = True
    priority: float = 0
    cache: str = ""
    identity: str | Callable[[], str] = ""
    limit: Limit | None = None
    labels: tuple[str, ...] = ()
    on_failure: OnFailure = "fail"
    takes_missing: bool = False
    late: LateSize | None = None
    concurrency: int | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        # Numbers of NumPy become Python's here; what is no number is refused where the plan is checked.
        concurrency = as_whole_number(self.concurrency)
        if concurrency is not None:
            object.__setattr__(self, "concurrency", concurrency)
        priority = as_real_number(self.priority)
        if priority is not None:
            object.__setattr__(self, "priority", priority)

    @property
    def tasks(self) -> int:
        """Number of tasks of the stage, as far as is known."""
        return math.prod(self.shape)

    @property
    def is_late(self) -> bool:
        """True if the stage's size is known only when other stages are complete."""
        return self.late is not None

    @property
    def grows(self) -> bool:
        """True if the stage has a task for each item of a stream, or for each task of a stage that has."""
        return self.late is not None and self.late.grows

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The stages that must be complete before the stage's size is known."""
        return () if self.late is None else self.late.waits_for

    @property
    def reads(self) -> tuple[Read, ...]:
        """The inputs that come from other stages."""
        return tuple([i for i in self.inputs if isinstance(i, Read)])

    @property
    def items(self) -> tuple[Items, ...]:
        """The inputs that come from the driver."""
        return tuple([i for i in self.inputs if isinstance(i, Items)])

    @property
    def holds_values(self) -> bool:
        """True if the stage puts out values rather than chunks."""
        return not self.outputs

    @property
    def write_bytes(self) -> int:
        """Bytes (not encoded) that the stage writes in all."""
        return sum(output.nbytes for output in self.outputs)


class Stages(Protocol):
    """The part of a plan that is checked, hashed, described and drawn."""

    @property
    def name(self) -> str:
        """The plan's name."""
        ...

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages, producers before their consumers."""
        ...

    @property
    def returns(self) -> tuple[str, ...]:
        """The value stages whose values are the result."""
        ...

    @property
    def keeps(self) -> tuple[str, ...]:
        """Further value stages; their values are kept for the result to open."""
        ...

    @property
    def tasks(self) -> int:
        """Number of tasks in all, as far as is known."""
        ...

    @property
    def write_bytes(self) -> int:
        """Bytes (not encoded) that will be written in all."""
        ...

    @property
    def projected_bytes(self) -> int:
        """The most that any one task is projected to need."""
        ...

    def stage(self, name: str) -> Stage:
        """Return the stage called ``name`` (KeyError if there is none)."""
        ...
