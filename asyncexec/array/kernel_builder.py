"""From a group of nodes to the kernel of a stage, and what that kernel needs in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asyncexec.array.fusion import FusionGroup
from asyncexec.array.kernels import FusedKernel, Step
from asyncexec.array.modules.choice import ArrayModule
from asyncexec.array.modules.transfers import StepsWithTransfers
from asyncexec.array.nodes import Node
from asyncexec.array.outputs import OutputOf, unread_bytes
from asyncexec.array.slabs import in_slabs, with_frees
from asyncexec.array.streamed_reductions import StreamedReduction
from asyncexec.array.streaming_kernels import StreamedKernel
from asyncexec.plan.access_map import AccessMap

type Value = tuple[Node, AccessMap]


@dataclass(frozen=True, slots=True)
class _Planned:
    """A step before it is written down."""

    value: Value
    arguments: tuple[int, ...]
    held_bytes: int


@dataclass(frozen=True, slots=True)
class BuiltKernel:
    """The kernel that tasks run, and what it leaves to NumPy.

    Attributes
    ----------
    kernel : FusedKernel or StreamedKernel
    in_numpy : tuple of str
        The operations that NumPy computes though another array module is asked for, each once.
    """

    kernel: FusedKernel | StreamedKernel
    in_numpy: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KernelBuilder:
    """A group's steps in order; inputs first, then one slot a step."""

    reads: tuple[Value, ...]
    inputs: int
    steps: tuple[_Planned, ...]
    results: tuple[int, ...]
    streamed: tuple[StreamedReduction, ...] = ()
    merged: tuple[tuple[int, int], ...] = ()
    after: KernelBuilder | None = None

    def kernel(self, module: ArrayModule | None = None) -> BuiltKernel:
        """Return what tasks run, in ``module`` where it can, and in NumPy elsewhere."""
        fused, in_numpy = self._fused(module)
        if not self.streamed:
            return BuiltKernel(fused, in_numpy)
        merges = tuple(node.merge() for node in self.streamed)
        after = None if self.after is None else self.after._fused(module)[0]  # noqa: SLF001 - of the same class
        streamed = StreamedKernel(fused, merges, self.merged, self.streamed[0].pieces, after)
        return BuiltKernel(streamed, in_numpy)

    def _fused(self, module: ArrayModule | None) -> tuple[FusedKernel, tuple[str, ...]]:
        """Return the steps, those for a piece where tasks take pieces, and the operations that are left to NumPy."""
        if module is not None:
            return self._fused_in(module)
        steps = [
            Step(node.function(access), step.arguments, access)
            for step in self.steps
            for node, access in (step.value,)
        ]
        nodes = [step.value[0] for step in self.steps]
        put_together, results = in_slabs(steps, nodes, self.inputs, self.results)
        accesses = tuple(access for _, access in self.reads)
        return FusedKernel(accesses, with_frees(put_together, results), results), ()

    def _fused_in(self, module: ArrayModule) -> tuple[FusedKernel, tuple[str, ...]]:
        placed = StepsWithTransfers(module, self.inputs)
        for step in self.steps:
            node, access = step.value
            placed.add(node, access, step.arguments)
        accesses = tuple(access for _, access in self.reads)
        every = (*accesses, *(step.value[1] for step in self.steps))
        results = tuple(placed.result(slot, every[slot]) for slot in self.results)
        return FusedKernel(accesses, placed.written(results), results), tuple(placed.in_numpy)

    def temporary_bytes(self) -> int:
        """Return the most that the steps hold at once, not counting inputs and results."""
        ends = _by_number(self._owner_ends())
        held = peak = 0
        for number, step in enumerate(self.steps):
            node, access = step.value
            held += step.held_bytes
            peak = max(peak, held + node.working_bytes(access))
            owners = [slot - self.inputs for slot in ends.get(number, ())]
            held -= sum([self.steps[owner].held_bytes for owner in owners if owner >= 0])
        after = 0 if self.after is None else self.after.temporary_bytes()
        return max(peak, after) + sum([node.merging_bytes for node in self.streamed])

    def _owner_ends(self) -> dict[int, int]:
        """Return by which step the memory of each slot is needed last, also through views of it."""
        owners: dict[int, frozenset[int]] = {s: frozenset((s,)) for s in range(self.inputs)}
        ends: dict[int, int] = {}
        for number, step in enumerate(self.steps):
            used = frozenset[int]().union(*[owners[slot] for slot in step.arguments])
            slot = self.inputs + number
            owners[slot] = used if step.value[0].aliases else frozenset((slot,))
            ends[slot] = number
            ends.update(dict.fromkeys(used, number))
        return ends


def _by_number(ends: dict[int, int]) -> dict[int, list[int]]:
    """Return the slots that end at each step."""
    found: dict[int, list[int]] = {}
    for slot, number in ends.items():
        found.setdefault(number, []).append(slot)
    return found


def _held_bytes(group: FusionGroup, node: Node, access: AccessMap) -> int:
    """Return the size of what a step holds, not counting the results that the stage writes."""
    if node.aliases or node in group.roots:
        return 0
    outputs = getattr(node, "outputs", ())
    if len(outputs) > 1:
        return unread_bytes(node, group.roots)
    return math.prod(access.most) * node.dtype.itemsize


def kernel_builder(group: FusionGroup) -> KernelBuilder:
    """Return the steps of ``group``."""
    reads = tuple(group.reads)
    slots: dict[Value, int] = {value: slot for slot, value in enumerate(reads)}
    steps: list[_Planned] = []
    last = _merging(group)
    for node in reversed(group.members):
        for access in group.accesses[node] if node not in last else ():
            needs = zip(node.inputs, node.accesses(access), strict=True)
            arguments = [slots[below, needed] for below, needed in needs if needed is not None]
            slots[node, access] = len(slots)
            held = _held_bytes(group, node, access)
            steps.append(_Planned((node, access), tuple(arguments), held))
    if not group.streamed:
        results = [slots[root, next(iter(group.accesses[root]))] for root in group.roots]
        return KernelBuilder(reads, len(reads), tuple(steps), tuple(results))
    results = [slots[n, next(iter(group.accesses[n]))] for s in group.streamed for n in s.inputs]
    after = None if group.after is None else kernel_builder(group.after)
    wanted = group.roots if after is None else [node for node, _ in after.reads]
    return KernelBuilder(
        reads,
        len(reads),
        tuple(steps),
        tuple(results),
        streamed=group.streamed,
        merged=tuple(_number_of(node, group.streamed) for node in wanted),
        after=after,
    )


def _merging(group: FusionGroup) -> set[Node]:
    """Return the nodes that are no steps of the pieces: reductions that merge these, and their results."""
    results = (n for n in group.members if isinstance(n, OutputOf) and n.maker in group.streamed)
    return {*group.streamed, *results}


def _number_of(node: Node, streamed: Sequence[Node]) -> tuple[int, int]:
    """Return the number of the reduction that makes ``node``, and that of the array among those it makes."""
    if isinstance(node, OutputOf):
        return streamed.index(node.maker), node.number
    return streamed.index(node), 0
