"""The node of a function of several blocks that returns several: values and what belongs to them stay together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asyncexec.array.kernels import BlockFunction
from asyncexec.array.nodes import DType, Node
from asyncexec.array.outputs import ArrayOutput
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Index, Shape


@dataclass(frozen=True, slots=True)
class CallWithTask:
    """Call a function with whole blocks and the index of the task; it returns the tuple of several blocks."""

    function: Callable[..., tuple[Any, ...]]

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        return self.function(*map(np.asarray, values), block_id=index)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class SeveralOfSeveral:
    """A function of a chunk of each of its inputs, which lie in the same chunks; it returns several blocks.

    Attributes
    ----------
    call : callable
        ``call(*blocks, block_id) -> tuple of blocks``, with the number of the chunk; it must not change the blocks.
    inputs : tuple of Node
        All of one shape, in the same chunks; a chunk is a task.
    working_bytes_each : int
        What the function needs for each element of a chunk, results not counted.
    """

    operation: str
    call: Callable[..., tuple[Any, ...]]
    inputs: tuple[Node, ...]
    outputs: tuple[ArrayOutput, ...]
    working_bytes_each: int
    shape: Shape = field(init=False)
    chunks: Shape = field(init=False)
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if len({(node.shape, node.chunks) for node in self.inputs}) != 1:
            raise AssertionError(f"{self.operation} takes inputs of one shape in the same chunks")
        object.__setattr__(self, "shape", self.inputs[0].shape)
        object.__setattr__(self, "chunks", self.inputs[0].chunks)

    @property
    def dtype(self) -> DType:
        return self.outputs[0].dtype

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        return (out,) * len(self.inputs)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return False

    def function(self, out: AccessMap) -> BlockFunction:
        return CallWithTask(self.call)

    def working_bytes(self, out: AccessMap) -> int:
        return self.working_bytes_each * math.prod(out.most)
