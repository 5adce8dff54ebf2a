"""The node of an array that is written into another one: its elements begin behind those of a first chunk that stay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from asyncexec.array.kernels import BlockFunction, IdentityStep
from asyncexec.array.nodes import DType, Node
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Index, Shape


@dataclass(frozen=True, slots=True)
class LeadIn:
    """Put a block behind ``lead`` elements along each axis, in the tasks that have some; these are not written."""

    lead: Shape
    dtype: np.dtype[Any]
    access: AccessMap

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        block = np.empty(self.access.counts(index), self.dtype)
        if values[0] is None:
            return block
        starts = [axis.region(index).start for axis in self.access.axes]
        begins = [max(lead - start, 0) for lead, start in zip(self.lead, starts, strict=True)]
        given = np.asarray(values[0])
        block[tuple(slice(b, b + n) for b, n in zip(begins, given.shape, strict=True))] = given
        return block


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Placed:
    """The elements of one input behind ``lead`` others along each axis, in chunks of the array that has them.

    ``merges`` says that some tasks fill in chunks that they read, for which they hold two blocks more.
    """

    inputs: tuple[Node]
    lead: Shape
    shape: Shape
    chunks: Shape
    dtype: DType
    merges: bool
    operation: str = "store"
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=True, init=False)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        found: AccessMap | None = out
        for axis, (lead, n) in enumerate(zip(self.lead, self.inputs[0].shape, strict=True)):
            if lead and found is not None:
                found = found.part(axis, lead, n)
        return (found,)

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return False

    def function(self, out: AccessMap) -> BlockFunction:
        return LeadIn(self.lead, self.dtype, out) if any(self.lead) else IdentityStep()

    def working_bytes(self, out: AccessMap) -> int:
        block = math.prod(out.most) * self.dtype.itemsize
        return block * (2 * self.merges + any(self.lead))
