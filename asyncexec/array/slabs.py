"""Steps that go through large blocks slab by slab, so that what they make on the way stays in the processor's cache.

Functions of elements, and reductions that begin with what these make, are put together into one step of a kernel. It
cuts its blocks along an axis that all of its steps keep. No bit of a result depends on where they are cut: elements are
computed by themselves, and what is reduced keeps its last axis, so that NumPy adds the same elements in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from asyncexec.array.kernels import (
    ElementwiseStep,
    FusedKernel,
    ReduceBlocks,
    Step,
    TakeOutput,
)
from asyncexec.array.nodes import Node
from asyncexec.array.reducers import Accumulate, Variance
from asyncexec.array.slab_kernels import LEAST_BYTES, InSlabs
from asyncexec.plan.access_map import AccessMap

_KINDS = frozenset("biuf")
"""Elements whose bits do not depend on where they stand in a block; NumPy multiplies complex ones in several ways."""

_BY_ROWS = frozenset({Accumulate, Variance})
"""The reducers that reduce each element of a row by itself, whatever is beside it."""


def in_slabs(
    steps: Sequence[Step], nodes: Sequence[Node], inputs: int, results: Sequence[int]
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    """Return the steps of a kernel, those put together that go slab by slab, and the numbers of its results.

    Values 0, 1, … are the ``inputs``, then there is one a step. ``nodes`` are what the steps compute. Nothing is freed.
    """
    if len(steps) < 2:
        return tuple(steps), tuple(results)
    last_of = {run[-1]: run for run in _runs(steps, nodes, inputs)}
    together = {number for run in last_of.values() for number in run}
    slots = {slot: slot for slot in range(inputs)}
    written: list[Step] = []

    def write(step: Step) -> int:
        written.append(replace(step, arguments=tuple(slots[slot] for slot in step.arguments)))
        return inputs + len(written) - 1

    for number, step in enumerate(steps):
        if number not in together:
            slots[inputs + number] = write(step)
        elif number in last_of:
            run = last_of[number]
            outside = [s for n, s in enumerate(steps) if n not in run]
            needed = {*results, *(slot for each in outside for slot in each.arguments)}
            kept = [inputs + n for n in run if inputs + n in needed]
            made = write(_together([steps[n] for n in run], [inputs + n for n in run], kept, nodes))
            if len(kept) == 1:
                slots[kept[0]] = made
                continue
            slots[-1] = made
            for place, slot in enumerate(kept):
                access = steps[slot - inputs].access
                slots[slot] = write(Step(TakeOutput(place), (-1,), access))
    return tuple(written), tuple(slots[slot] for slot in results)


def _runs(steps: Sequence[Step], nodes: Sequence[Node], inputs: int) -> list[list[int]]:
    """Return the numbers of the steps that go slab by slab together."""
    found: list[list[int]] = []
    run: list[int] = []
    for number, (step, node) in enumerate(zip(steps, nodes, strict=True)):
        of = {inputs + n for n in run}
        if run and _continues(step, node, [steps[n] for n in run], run, inputs):
            run.append(number)
        elif run and node.aliases and of.isdisjoint(step.arguments):
            continue  # A view of something else, which comes before the run.
        else:
            found.append(run)
            run = [number] if _is_large(step, node) else []
    found.append(run)
    return [r for r in found if sum(type(steps[n].function) is not TakeOutput for n in r) > 1]


def _is_large(step: Step, node: Node) -> bool:
    """Return whether a step makes a large block, or partial results of one, element by element."""
    access = _block_access(step)
    plain = node.dtype.kind in _KINDS and all(below.dtype.kind in _KINDS for below in node.inputs)
    return (
        access is not None
        and plain
        and not step.access.guards
        and math.prod(access.most) * node.inputs[0].dtype.itemsize >= LEAST_BYTES
    )


def _block_access(step: Step) -> AccessMap | None:
    """Return what a step needs of the blocks that are cut; None of a step that needs them whole."""
    function = step.function
    if isinstance(function, ElementwiseStep):
        of = function.function
        of_elements = isinstance(of, np.ufunc) and of.nout == 1 and of.signature is None
        return step.access if of_elements else None
    if isinstance(function, ReduceBlocks) and function.first:
        keeps_rows = len(function.access.axes) - 1 not in function.axes
        return function.access if keeps_rows and type(function.reducer) in _BY_ROWS else None
    return None


def _continues(
    step: Step, node: Node, before: Sequence[Step], numbers: Sequence[int], inputs: int
) -> bool:
    """Return whether a step goes on slab by slab with what those ``before`` make."""
    made = {inputs + n: each for n, each in zip(numbers, before, strict=True)}
    taken = [made[slot] for slot in step.arguments if slot in made]
    if isinstance(step.function, TakeOutput):
        return bool(taken)
    if not _is_large(step, node) or _block_access(step) != _block_access(before[0]):
        return False
    # What is reduced is not complete before all slabs are.
    return all(isinstance(each.function, ElementwiseStep) for each in taken)


def _together(
    steps: Sequence[Step], made: Sequence[int], kept: Sequence[int], nodes: Sequence[Node]
) -> Step:
    """Return the one step in place of ``steps``, whose values are numbered ``made``, of which some are ``kept``."""
    given = [slot for step in steps for slot in step.arguments if slot not in made]
    given = list(dict.fromkeys(given))
    inner = {slot: place for place, slot in enumerate([*given, *made])}
    access = _block_access(steps[0]) or steps[0].access
    own = [replace(s, arguments=tuple(inner[slot] for slot in s.arguments)) for s in steps]
    results = tuple(inner[slot] for slot in kept)
    kernel = FusedKernel((access,) * len(given), with_frees(own, results), results)
    reduced = {
        axis
        for step in steps
        if isinstance(step.function, ReduceBlocks)
        for axis in step.function.axes
    }
    # Reductions add in elements of up to eight bytes.
    itemsize = max(8 if reduced else 1, *(node.dtype.itemsize for node in nodes))
    return Step(
        InSlabs(kernel, access, frozenset(reduced), itemsize), tuple(given), steps[-1].access
    )


def with_frees(steps: Sequence[Step], results: Sequence[int]) -> tuple[Step, ...]:
    """Return ``steps``, each with the values that nobody needs after it; ``results`` are needed in the end."""
    last = {slot: number for number, step in enumerate(steps) for slot in step.arguments}
    frees: dict[int, list[int]] = {}
    for slot, number in last.items():
        if slot not in results:
            frees.setdefault(number, []).append(slot)
    return tuple(
        replace(step, frees=tuple(sorted(frees.get(number, ()))))
        for number, step in enumerate(steps)
    )
