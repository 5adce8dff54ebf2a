"""From a group of nodes to the kernel of a stage, and what that kernel needs in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

from asyncexec.array.fusion import FusionGroup
from asyncexec.array.kernels import FusedKernel, Step
from asyncexec.array.nodes import Node
from asyncexec.plan.access_map import AccessMap

type Value = tuple[Node, AccessMap]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A step before it is written down."""

    value: Value
    arguments: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KernelBuilder:
    """A group's steps in order; inputs first, then one slot a step."""

    reads: tuple[Value, ...]
    inputs: int
    steps: tuple[_Planned, ...]

    def kernel(self) -> FusedKernel:
        """Return what tasks run."""
        last = self._last_uses()
        steps = [
            Step(
                function=node.function(access),
                arguments=step.arguments,
                access=access,
                frees=tuple(sorted(slot for slot, at in last.items() if at == number)),
            )
            for number, step in enumerate(self.steps)
            for node, access in (step.value,)
        ]
        accesses = [access for node, access in self.reads for _ in node.dtypes]
        return FusedKernel(tuple(accesses), tuple(steps))

    def temporary_bytes(self) -> int:
        """Return the most that the steps hold at once, beside what was read and the result."""
        ends = self._owner_ends()
        result = self.inputs + len(self.steps) - 1
        live: dict[int, int] = {}
        peak = 0
        for number, step in enumerate(self.steps):
            node, access = step.value
            slot = self.inputs + number
            if not node.aliases and slot != result:
                live[slot] = _size(node, access)
            peak = max(peak, sum(live.values()) + node.working_bytes(access))
            live = {owner: size for owner, size in live.items() if ends[owner] > number}
        return peak

    def _last_uses(self) -> dict[int, int]:
        """Return by which step each slot is used last."""
        return {slot: number for number, step in enumerate(self.steps) for slot in step.arguments}

    def _owner_ends(self) -> dict[int, int]:
        """Return by which step the memory of each slot is needed last, also through views of it."""
        owners: dict[int, frozenset[int]] = {s: frozenset((s,)) for s in range(self.inputs)}
        ends: dict[int, int] = {}
        for number, step in enumerate(self.steps):
            used = frozenset[int]().union(*(owners[slot] for slot in step.arguments))
            slot = self.inputs + number
            owners[slot] = used if step.value[0].aliases else frozenset((slot,))
            ends[slot] = number
            ends.update(dict.fromkeys(used, number))
        return ends


def _size(node: Node, access: AccessMap) -> int:
    return math.prod(access.most) * sum(dtype.itemsize for dtype in node.dtypes)


def kernel_builder(group: FusionGroup) -> KernelBuilder:
    """Return the steps of ``group``."""
    slots: dict[Value, tuple[int, ...]] = {}
    count = 0
    reads = tuple(group.reads)
    for value in reads:
        fields = len(value[0].dtypes)
        slots[value] = tuple(range(count, count + fields))
        count += fields
    steps: list[_Planned] = []
    inputs = count
    for node in reversed(group.members):
        for access in group.accesses[node]:
            arguments: list[int] = []
            for below, needed in zip(node.inputs, node.accesses(access), strict=True):
                if needed is not None:
                    arguments.extend(slots[below, needed])
            slots[node, access] = (count,)
            count += 1
            steps.append(_Planned((node, access), tuple(arguments)))
    return KernelBuilder(reads, inputs, tuple(steps))
