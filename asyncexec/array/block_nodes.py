"""The nodes of functions of whole blocks: a user's, and those that return several arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from asyncexec.array.kernels import BlockFunction, CallFunction, MakeOutputs
from asyncexec.array.nodes import DType, Node, elements
from asyncexec.array.outputs import ArrayOutput
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Blocks:
    """A user's function of whole blocks.

    ``axes[i][p]`` is the axis of the result that axis ``p`` of input ``i`` follows block by block; None where the
    function gets the whole axis.
    """

    operation: str
    call: Callable[..., Any]
    keywords: Mapping[str, Any]
    inputs: tuple[Node, ...]
    axes: tuple[tuple[int | None, ...], ...]
    shape: Shape
    chunks: Shape
    dtype: DType
    wants_block_id: bool = False
    extra_bytes: int = 0
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        numbers = self._numbers(out)
        return tuple(
            self._input_access(node, axes, numbers, out)
            for node, axes in zip(self.inputs, self.axes, strict=True)
        )

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

    def _input_access(
        self,
        node: Node,
        axes: tuple[int | None, ...],
        numbers: tuple[AxisAccess, ...],
        out: AccessMap,
    ) -> AccessMap:
        accesses: list[AxisAccess] = []
        for n, chunk, axis in zip(node.shape, node.chunks, axes, strict=True):
            if axis is None or n <= chunk:
                accesses.append(AxisAccess.constant(0, n))
            else:
                accesses.append(numbers[axis].grouped(chunk, n))
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
