"""The steps that move blocks between NumPy and an array module, put in where they are needed, once for each block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from asyncexec.array.kernels import BlockFunction, ReduceBlocks, Step
from asyncexec.array.modules.choice import ArrayModule
from asyncexec.array.modules.namespaces import to_module, to_numpy
from asyncexec.array.modules.native_nodes import Where, step_of
from asyncexec.array.nodes import Node
from asyncexec.array.slabs import with_frees
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Index


@dataclass(frozen=True, slots=True)
class ToModule:
    """Moves a block to the module's device."""

    module: ArrayModule

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        return None if values[0] is None else to_module(values[0], self.module)


@dataclass(frozen=True, slots=True)
class ToNumpy:
    """Moves a block back; of several, as a step returns them, each."""

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        return None if values[0] is None else to_numpy(values[0])


@dataclass(slots=True)
class StepsWithTransfers:
    """Collects the steps of a kernel, with transfers between them.

    Steps say their arguments as if there were none: ``slots`` maps those numbers to the numbers that values have here.
    ``in_numpy`` are the operations that NumPy computes though the module is asked for, each once.
    """

    module: ArrayModule
    inputs: int
    steps: list[tuple[BlockFunction, tuple[int, ...], AccessMap]] = field(default_factory=list)
    slots: dict[int, int] = field(default_factory=dict)
    sides: dict[int, Where] = field(default_factory=dict)
    moved: dict[tuple[int, Where], int] = field(default_factory=dict)
    in_numpy: dict[str, None] = field(default_factory=dict)

    def add(self, node: Node, access: AccessMap, arguments: Sequence[int]) -> None:
        """Add the step of ``node``, and the transfers that its arguments need."""
        function, takes, leaves = step_of(node, access, self.module)
        merges = isinstance(function, ReduceBlocks) and not function.first
        if takes is Where.NUMPY and node.inputs and not merges:
            self.in_numpy[node.operation] = None
        given = [self._at(slot, takes, access) for slot in arguments]
        if leaves is Where.EITHER:
            leaves = self.sides.get(given[0], Where.NUMPY) if given else Where.NUMPY
        number = len(self.slots) + self.inputs
        self.slots[number] = self._put(function, tuple(given), access, leaves)

    def result(self, slot: int, access: AccessMap) -> int:
        """Return the number of a value as a NumPy array."""
        return self._at(slot, Where.NUMPY, access)

    def written(self, results: tuple[int, ...]) -> tuple[Step, ...]:
        """Return the steps, each with the values that nobody needs after it."""
        return with_frees([Step(*step) for step in self.steps], results)

    def _at(self, slot: int, side: Where, access: AccessMap) -> int:
        here = slot if slot < self.inputs else self.slots[slot]
        if side is Where.EITHER or self.sides.get(here, Where.NUMPY) is side:
            return here
        key = here, side
        if key not in self.moved:
            function: BlockFunction = ToModule(self.module) if side is Where.MODULE else ToNumpy()
            # Where a value is None, so is what is moved: of an access of its own it needs no guard.
            free = AccessMap(access.axes)
            self.moved[key] = self._put(function, (here,), free, side)
        return self.moved[key]

    def _put(
        self, function: BlockFunction, given: tuple[int, ...], access: AccessMap, side: Where
    ) -> int:
        self.steps.append((function, given, access))
        number = self.inputs + len(self.steps) - 1
        self.sides[number] = side
        return number
