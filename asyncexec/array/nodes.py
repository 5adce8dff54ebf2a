"""The expression behind an array: an immutable DAG of nodes, built without looking at any chunk.

A node says what it reads of its inputs where some of its own elements are read, and what a task does with the blocks
it gets. The optimizer puts nodes together into stages by that alone, so that a new kind of operation is a new class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from asyncexec.array.kernels import (
    BLOCK,
    Arrange,
    Block,
    BlockFunction,
    Concatenate,
    ElementwiseStep,
    Generate,
    IdentityStep,
    TextStep,
)
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape
from asyncexec.plan.overlap import Overlap
from asyncexec.storage.chunks.array_traits import ArrayTraits

type DType = np.dtype[Any]


class Node(Protocol):
    """One operation of an expression.

    Attributes
    ----------
    operation : str
        What users call it.
    inputs : tuple of Node
    shape : tuple of int
    chunks : tuple of int
        Length of its chunks along each axis (the last one may be shorter).
    dtype : dtype
        The element type.
    inline : bool
        Whether computing it again costs nothing, so that it is never worth storing.
    aliases : bool
        Whether its block is a view of its input's, or takes no memory.
    """

    @property
    def operation(self) -> str: ...
    @property
    def inputs(self) -> tuple[Node, ...]: ...
    @property
    def shape(self) -> Shape: ...
    @property
    def chunks(self) -> Shape: ...
    @property
    def dtype(self) -> DType: ...
    @property
    def inline(self) -> bool: ...
    @property
    def aliases(self) -> bool: ...

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        """Return what is needed of each input (None: nothing, at no task) where ``out`` is needed of this."""
        ...

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        """Return True if tasks over ``grid`` can compute ``out`` themselves, rather than read it from storage."""
        ...

    def function(self, out: AccessMap) -> BlockFunction:
        """Return what a task does for ``out``, given the blocks of the inputs that are needed."""
        ...

    def working_bytes(self, out: AccessMap) -> int:
        """Return the bytes needed in addition to the blocks it takes and the block it makes."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ArraySource:
    """An array that is there already; its ``traits`` are what its metadata say besides."""

    array: Any
    shape: Shape
    chunks: Shape
    dtype: DType
    traits: ArrayTraits | None = None
    operation: str = "source"
    inputs: tuple[Node, ...] = field(default=(), init=False)
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        return ()

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return False

    def function(self, out: AccessMap) -> BlockFunction:
        raise AssertionError("a source is read, not computed")

    def working_bytes(self, out: AccessMap) -> int:
        return 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Creation:
    """An array that follows from the element numbers: ``make(positions)``, with the numbers along each axis."""

    operation: str
    make: Callable[[tuple[Any, ...]], Block]
    shape: Shape
    chunks: Shape
    dtype: DType
    aliases: bool = False
    inputs: tuple[Node, ...] = field(default=(), init=False)
    inline: bool = field(default=True, init=False)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        return ()

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return True

    def function(self, out: AccessMap) -> BlockFunction:
        return Generate(self.make, out)

    def working_bytes(self, out: AccessMap) -> int:
        measure = getattr(self.make, "working_bytes", None)
        if measure is not None:
            return int(measure(out.most))
        # Element numbers are int64, and what is made of them may be float64 before it is cast.
        return 0 if self.aliases else 2 * 8 * elements(out)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Elementwise:
    """A function of elements at the same place, after broadcasting.

    ``arguments`` are those of ``apply``: constants, and ``BLOCK`` for each input in turn.
    """

    operation: str
    apply: Callable[..., Any]
    arguments: tuple[Any, ...]
    inputs: tuple[Node, ...]
    shape: Shape
    chunks: Shape
    dtype: DType
    keywords: Mapping[str, Any] = field(default_factory=dict)
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        return tuple([broadcast_access(out, node.shape, self.shape) for node in self.inputs])

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return True

    def function(self, out: AccessMap) -> BlockFunction:
        step = ElementwiseStep(self.apply, self.arguments, self.keywords)
        return TextStep(step, self.dtype) if self.dtype.kind in "SUT" else step

    def working_bytes(self, out: AccessMap) -> int:
        return 0


def broadcast_access(out: AccessMap, shape: Shape, onto: Shape) -> AccessMap:
    """Return what is needed of an array of ``shape`` that is broadcast onto ``onto``, of which ``out`` is needed."""
    lead = len(onto) - len(shape)
    axes = [
        AxisAccess.constant(0, 1) if n == 1 != onto[lead + axis] else out.axes[lead + axis]
        for axis, n in enumerate(shape)
    ]
    return AccessMap(tuple(axes), out.guards)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class View:
    """Slices, flips, transposes, positions, new and dropped axes, and broadcasts: one access per input axis.

    ``axes[p]`` says which element of axis ``p`` of the input each element of the view shows, along one of its own axes;
    it follows none (None) where the same one shows everywhere.
    """

    operation: str
    inputs: tuple[Node]
    axes: tuple[AxisAccess, ...]
    shape: Shape
    chunks: Shape
    dtype: DType
    inline: bool = field(default=True, init=False)
    aliases: bool = field(default=True, init=False)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        found = out.through(self.axes)
        if found is None:
            raise ValueError(f"{self.operation} cannot be computed for {out!r} on the way")
        return (found,)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        # The elements around one in a list of positions, or among every other one, have no closed form; those around
        # one come in ascending order, also where the view turns them around.
        turned = any(
            isinstance(out.axes[a.axis].via, Overlap)
            for a in self.axes
            if a.axis is not None and a.step < 0
        )
        return not turned and out.through(self.axes) is not None

    def function(self, out: AccessMap) -> BlockFunction:
        shown = {a.axis: p for p, a in enumerate(self.axes) if a.axis is not None}
        return Arrange(
            dropped=tuple(p for p, a in enumerate(self.axes) if a.axis is None),
            order=tuple(shown[axis] for axis in sorted(shown)),
            new=tuple(axis for axis in range(len(self.shape)) if axis not in shown),
            access=out,
        )

    def working_bytes(self, out: AccessMap) -> int:
        return 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Concat:
    """Arrays one after another along ``axis``."""

    operation: str
    inputs: tuple[Node, ...]
    axis: int
    begins: tuple[int, ...]
    shape: Shape
    chunks: Shape
    dtype: DType
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        parts = zip(self.begins, self.inputs, strict=True)
        return tuple(out.part(self.axis, begin, node.shape[self.axis]) for begin, node in parts)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        extents = [node.shape[self.axis] for node in self.inputs]
        return out.divisible(self.axis, self.begins, extents)

    def function(self, out: AccessMap) -> BlockFunction:
        along = out.axes[self.axis]
        backwards = along.step < 0 and not isinstance(along.via, Overlap)
        return Concatenate(self.axis, backwards, self.dtype, out)

    def working_bytes(self, out: AccessMap) -> int:
        return 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class _SameElements:
    """The elements of one input, in its shape."""

    inputs: tuple[Node]
    chunks: Shape
    shape: Shape = field(init=False)
    dtype: DType = field(init=False)
    aliases: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        # Kept here, because looking them up through a long row of inputs would recurse.
        object.__setattr__(self, "shape", self.inputs[0].shape)
        object.__setattr__(self, "dtype", self.inputs[0].dtype)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        return (out,)

    def function(self, out: AccessMap) -> BlockFunction:
        return IdentityStep()

    def working_bytes(self, out: AccessMap) -> int:
        return 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Rechunk(_SameElements):
    """The same elements in other chunks."""

    spec: Any = None
    operation: str = "rechunk"
    inline: bool = field(default=True, init=False)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Copy(_SameElements):
    """The same elements, stored in ``chunks``; a task writes the ``block`` (a multiple of the chunks)."""

    block: Shape
    operation: str = "copy"
    inline: bool = field(default=False, init=False)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return False


def elements(out: AccessMap) -> int:
    """Return the most elements that a task needs."""
    return int(np.prod(out.most, dtype=np.int64))


__all__ = [
    "BLOCK",
    "ArraySource",
    "Concat",
    "Copy",
    "Creation",
    "DType",
    "Elementwise",
    "Node",
    "Rechunk",
    "View",
    "broadcast_access",
    "elements",
]
