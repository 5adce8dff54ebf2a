"""Nodes that make several arrays at once, of different shapes and element types, and the node of each of these arrays.

Such a node is computed once, in a stage whose index space is the grid of the node's own shape and chunks. Of what it
makes, the stage writes what is read, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from asyncexec.array.kernels import BlockFunction, TakeOutput
from asyncexec.array.nodes import DType, Node
from asyncexec.plan.access_map import AccessMap, of_blocks
from asyncexec.plan.box import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayOutput:
    """One of several arrays that a node makes.

    Attributes
    ----------
    shape, chunks : tuple of int
    dtype : dtype
    name : str
        What users call it.
    block : tuple of int
        The lengths that a task writes; those of a chunk, or multiples.
    access : AccessMap or None
        What each task writes of it, over the grid of the node that makes it: one whole block, each task another. None
        where task and block have the same index.
    """

    shape: Shape
    chunks: Shape
    dtype: DType
    name: str = ""
    block: Shape = ()
    access: AccessMap | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "block", self.block or self.chunks)

    @property
    def block_bytes(self) -> int:
        """Size of the largest block."""
        return math.prod(map(min, self.shape, self.block)) * self.dtype.itemsize


class ManyOutputs(Node, Protocol):
    """A node that makes several arrays; its function returns the tuple of their blocks.

    Its own shape and chunks say how it is divided into tasks. Nobody reads the node itself: each of its arrays is read
    through an :class:`OutputOf`.
    """

    @property
    def outputs(self) -> tuple[ArrayOutput, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class OutputOf:
    """One of the arrays that its input makes."""

    inputs: tuple[ManyOutputs]
    number: int
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=True, init=False)

    @property
    def maker(self) -> ManyOutputs:
        """The node that makes it."""
        return self.inputs[0]

    @property
    def output(self) -> ArrayOutput:
        """The description of an array by the node that makes it."""
        return self.maker.outputs[self.number]

    @property
    def operation(self) -> str:
        return self.maker.operation

    @property
    def shape(self) -> Shape:
        return self.output.shape

    @property
    def chunks(self) -> Shape:
        return self.output.chunks

    @property
    def dtype(self) -> DType:
        return self.output.dtype

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        # It is written by the tasks that make it, and never computed on the way of others.
        return (of_blocks(self.maker.shape, self.maker.chunks),)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return False

    def function(self, out: AccessMap) -> BlockFunction:
        return TakeOutput(self.number)

    def working_bytes(self, out: AccessMap) -> int:
        return 0


def outputs_of(maker: ManyOutputs) -> tuple[OutputOf, ...]:
    """Return a node for each of the arrays that ``maker`` makes."""
    return tuple(OutputOf(inputs=(maker,), number=k) for k in range(len(maker.outputs)))


def unread_bytes(maker: Node, roots: Sequence[Node]) -> int:
    """Return the size of the blocks that a task of ``maker`` makes for nobody, where ``roots`` are what is written."""
    read = {root.number for root in roots if isinstance(root, OutputOf) and root.maker is maker}
    outputs: Any = getattr(maker, "outputs", ())
    return sum(output.block_bytes for k, output in enumerate(outputs) if k not in read)
