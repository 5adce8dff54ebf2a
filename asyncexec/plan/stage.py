"""A stage: one parallel map of a kernel over an index space."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from asyncexec.plan.memory import Memory

if TYPE_CHECKING:
    from asyncexec.plan.box import Index, Shape
    from asyncexec.plan.relations import Relation

type Kernel = Callable[..., Any]
"""``kernel(index, *inputs)``: pure, so it may run twice. ``index`` is a tuple of int; one input per stage input."""


@dataclass(frozen=True, slots=True)
class Read:
    """Tasks read the output of another stage.

    Between stages that hold values, the kernel gets a value where it reads one task, and a list of values in
    row-major order where the relation's box may hold several (``many``). A stage that has an ``io`` reads for
    itself, and the relation says only what must be complete before.
    """

    stage: str
    relation: Relation
    many: bool = False


@dataclass(frozen=True, slots=True)
class Items:
    """Task i reads ``values[i]`` (flat index), which travels from the driver with the task."""

    values: Sequence[Any]

    def __repr__(self) -> str:
        return f"Items({len(self.values)} of {type(self.values).__name__})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkedOutput:
    """An array that a stage writes: task ``index`` writes the block at ``index * block``, and nobody else does.

    Attributes
    ----------
    location : str
        Where it is stored; two stages writing one location is an error.
    shape, block : tuple of int
        The array's shape and the block each task writes, in elements.
    unit : tuple of int
        What storage writes at once (the chunk, or the shard where there are shards), in elements.
    dtype : str
        NumPy's name for the element type.
    """

    location: str
    shape: Shape
    block: Shape
    unit: Shape
    dtype: str

    @property
    def nbytes(self) -> int:
        """Size of the whole array in bytes, not encoded."""
        import numpy as np  # noqa: PLC0415 - dear, and stages of plain functions need none

        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class TaskIO(Protocol):
    """How a task of an array stage gets its inputs and leaves its output; made by a workspace, picklable."""

    def load(self, index: Index) -> tuple[tuple[Any, ...], int]:
        """Return the kernel's inputs for the task, and how many bytes (not encoded) were read."""
        ...

    def save(self, index: Index, result: Any) -> int:
        """Write the task's output, atomically chunk by chunk, and return how many bytes (not encoded)."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One parallel map: a kernel over an index space, with what each task reads.

    Attributes
    ----------
    name : str
        Unique in its plan.
    kernel : callable
        ``kernel(index, *inputs) -> output``; pure.
    shape : tuple of int
        The index space; ``()`` is a single task.
    inputs : tuple of Read or Items
    outputs : tuple of ChunkedOutput
        The arrays written; empty for a stage that puts out values (Python objects).
    operation : str
        What users call it (``"sum"``); messages and pictures use it beside the name.
    memory : Memory
    resources : mapping of str to float
        What one task takes of the named resources (``{"gpus": 1}``).
    overrides : mapping of str to object
        Policies for this stage alone, by the names :meth:`asyncexec.Engine.execute` takes (retry, timeout, straggler).
    idempotent : bool
        Whether an attempt may be repeated after it has started. False turns off backups and such retries.
    identity : str
        What distinguishes this stage's result beyond kernel, shape and inputs; part of the plan's fingerprint.
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
    identity: str = ""

    @property
    def tasks(self) -> int:
        """How many tasks the stage has."""
        return math.prod(self.shape)

    @property
    def reads(self) -> tuple[Read, ...]:
        """The inputs that come from other stages."""
        return tuple(i for i in self.inputs if isinstance(i, Read))

    @property
    def items(self) -> tuple[Items, ...]:
        """The inputs that come from the driver."""
        return tuple(i for i in self.inputs if isinstance(i, Items))

    @property
    def holds_values(self) -> bool:
        """Whether the stage puts out values rather than chunks."""
        return not self.outputs

    @property
    def write_bytes(self) -> int:
        """How many bytes (not encoded) the stage writes in all."""
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
    def tasks(self) -> int:
        """How many tasks there are in all."""
        ...

    @property
    def write_bytes(self) -> int:
        """How many bytes (not encoded) will be written in all."""
        ...

    @property
    def projected_bytes(self) -> int:
        """The most that any one task is projected to need."""
        ...

    def stage(self, name: str) -> Stage:
        """Return the stage called ``name`` (KeyError if there is none)."""
        ...
