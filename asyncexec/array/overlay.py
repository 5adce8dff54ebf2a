"""The node that lays values over a box of an array, as an assignment does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from asyncexec.array.index_kernels import Lay
from asyncexec.array.kernels import BlockFunction
from asyncexec.array.nodes import DType, Node, elements
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Overlay:
    """An array with other values in the elements ``begin``, ``begin + step``, … of each axis, up to ``end``.

    Tasks that hold none of these read the array alone.

    Attributes
    ----------
    inputs : tuple of Node
        The array; and, unless there is a ``constant``, the values, of all elements between ``begin`` and ``end``.
    """

    inputs: tuple[Node, ...]
    begin: Shape
    end: Shape
    step: Shape
    constant: Any = None
    operation: str = "setitem"
    shape: Shape = field(init=False)
    chunks: Shape = field(init=False)
    dtype: DType = field(init=False)
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        # Kept here, because looking them up through a long row of assignments would recurse.
        object.__setattr__(self, "shape", self.inputs[0].shape)
        object.__setattr__(self, "chunks", self.inputs[0].chunks)
        object.__setattr__(self, "dtype", self.inputs[0].dtype)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        if len(self.inputs) == 1:
            return (out,)
        found: AccessMap | None = out
        for axis, (begin, end) in enumerate(zip(self.begin, self.end, strict=True)):
            found = None if found is None else found.part(axis, begin, end - begin)
        return (out, found)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        if len(self.inputs) == 1:
            return True
        parts = zip(out.axes, self.begin, self.end, strict=True)
        return all(along.part(begin, end - begin) is not None for along, begin, end in parts)

    def function(self, out: AccessMap) -> BlockFunction:
        return Lay(
            begin=self.begin,
            end=self.end,
            step=self.step,
            access=out,
            several=len(self.inputs) > 1,
            constant=self.constant,
        )

    def working_bytes(self, out: AccessMap) -> int:
        # Where the elements that are set lie apart, they are copied on their way.
        apart = len(self.inputs) > 1 and any(step > 1 for step in self.step)
        return (1 + apart) * elements(out) * self.dtype.itemsize
