"""The nodes of functions of whole blocks: a user's, and those that return several arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncexec.array.block_calls import CallForOutputs
from asyncexec.array.kernels import BlockFunction, CallFunction, MakeOutputs
from asyncexec.array.nodes import DType, Node, elements
from asyncexec.array.outputs import ArrayOutput
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape
from asyncexec.plan.overlap import Overlap

type Border = tuple[int, int]
"""The numbers of elements before and after a block."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Blocks:
    """A user's function of whole blocks.

    ``axes[i][p]`` is the axis of the result that axis ``p`` of input ``i`` follows block by block; None where the
    function gets the whole axis. ``borders[i][p]`` is how many elements before and after its block it gets, as far as
    there are so many; without any, blocks alone.
    """

    operation: str
    call: Callable[..., Any]
    keywords: Mapping[str, Any]
    inputs: tuple[Node, ...] = ()
    axes: tuple[tuple[int | None, ...], ...]
    shape: Shape
    chunks: Shape
    dtype: DType
    wants_block_id: bool = False
    extra_bytes: int = 0
    borders: tuple[tuple[Border, ...], ...] = ()
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        numbers = self._numbers(out)
        borders = self.borders or ((),) * len(self.inputs)
        triples = zip(self.inputs, self.axes, borders, strict=True)
        return tuple(input_access(node, axes, numbers, out, own) for node, axes, own in triples)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        pairs = zip(out.axes, self.chunks, self.shape, strict=True)
        return out.once(grid) and all(d.blocks(c, n) is not None for d, c, n in pairs)

    def function(self, out: AccessMap) -> BlockFunction:
        return CallFunction(
            name=self.operation,
            function=self.call,
            keywords=self.keywords,
            numbers=self._numbers(out),
            access=out,
            dtype=self.dtype,
            wants_block_id=self.wants_block_id,
        )

    def working_bytes(self, out: AccessMap) -> int:
        # What the function does is unknown; one temporary of the size of its result is common.
        return self.extra_bytes + elements(out) * self.dtype.itemsize

    def _numbers(self, out: AccessMap) -> tuple[AxisAccess, ...]:
        along = zip(out.axes, self.chunks, self.shape, strict=True)
        return tuple(d.block_number(c, n) for d, c, n in along)


def input_access(
    node: Node,
    axes: tuple[int | None, ...],
    numbers: Sequence[AxisAccess],
    out: AccessMap,
    borders: Sequence[Border] = (),
) -> AccessMap:
    """Return the access to ``node`` in whole blocks, of the numbers that those of the result have along ``axes``.

    With ``borders``, elements around blocks are needed too, as far as there are any.
    """
    accesses: list[AxisAccess] = []
    for p, (n, chunk, axis) in enumerate(zip(node.shape, node.chunks, axes, strict=True)):
        if axis is None or n <= chunk:
            accesses.append(AxisAccess.constant(0, n))
            continue
        found = numbers[axis].grouped(chunk, n)
        before, after = borders[p] if borders else (0, 0)
        wider = found.around(Overlap(before, after, 0, n)) if before or after else found
        if wider is None:
            raise AssertionError("blocks have borders")
        accesses.append(wider)
    return AccessMap(tuple(accesses), out.guards)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SeveralOfBlock:
    """A function of a whole chunk of its input that returns several blocks; a chunk is a task.

    ``working_bytes_each`` is what the function needs for each element of the chunk, results not counted.
    """

    operation: str
    call: Callable[..., tuple[Any, ...]]
    inputs: tuple[Node]
    outputs: tuple[ArrayOutput, ...]
    working_bytes_each: int
    shape: Shape = field(init=False)
    chunks: Shape = field(init=False)
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", self.inputs[0].shape)
        object.__setattr__(self, "chunks", self.inputs[0].chunks)

    @property
    def dtype(self) -> DType:
        return self.outputs[0].dtype

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        return (out,)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return False

    def function(self, out: AccessMap) -> BlockFunction:
        return MakeOutputs(self.call)

    def working_bytes(self, out: AccessMap) -> int:
        return self.working_bytes_each * elements(out)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SeveralOfBlocks:
    """A function of blocks of several arrays that returns several blocks.

    ``shape`` and ``chunks`` are those of the axes that are followed block by block: a block of them is a task.
    ``axes`` is as for :class:`Blocks`; outputs have these axes first, and then others of one block each.
    """

    operation: str
    call: Callable[..., tuple[Any, ...]]
    inputs: tuple[Node, ...]
    axes: tuple[tuple[int | None, ...], ...]
    outputs: tuple[ArrayOutput, ...]
    shape: Shape
    chunks: Shape
    extra_bytes: int = 0
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    @property
    def dtype(self) -> DType:
        return self.outputs[0].dtype

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        along = zip(out.axes, self.chunks, self.shape, strict=True)
        numbers = tuple(d.block_number(c, n) for d, c, n in along)
        pairs = zip(self.inputs, self.axes, strict=True)
        return tuple(input_access(node, axes, numbers, out) for node, axes in pairs)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return False

    def function(self, out: AccessMap) -> BlockFunction:
        return CallForOutputs(
            name=self.operation,
            function=self.call,
            access=out,
            core_shapes=tuple(o.shape[len(self.shape) :] for o in self.outputs),
            dtypes=tuple(o.dtype for o in self.outputs),
        )

    def working_bytes(self, out: AccessMap) -> int:
        # What the function does is unknown; one temporary of the size of its results is common.
        return self.extra_bytes + sum(output.block_bytes for output in self.outputs)
