"""Rewriting of expressions before fusion: reductions become trees, rechunkings copies, nested concatenations one."""

from __future__ import annotations

import operator
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from asyncexec.array.nodes import ArraySource, Concat, Copy, Creation, Node, Rechunk, View
from asyncexec.array.rechunking import MOST_AMPLIFICATION, amplification, plan_rechunk
from asyncexec.array.reduction_tasks import least_tasks
from asyncexec.array.reductions import Reduction, reduction_tree


def topological(roots: Sequence[Node]) -> Iterator[Node]:
    """Iterate over all nodes below ``roots``, each once, inputs first; deep expressions do not recurse."""
    done: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready:
            done.add(node)
            yield node
            continue
        stack.append((node, True))
        stack.extend([(below, False) for below in reversed(node.inputs) if below not in done])


def expand(roots: Sequence[Node], *, most_bytes: int, tasks: int) -> list[Node]:
    """Return ``roots`` rewritten so that every node can be computed in a stage.

    ``most_bytes`` is the largest block that a rechunking task, or the merge of a reduction, may hold; ``tasks`` is the
    number of tasks that the first pass of a reduction has at least, where it has as many chunks (fewer where partial
    results are large: :mod:`~asyncexec.array.reduction_tasks`).
    """
    new: dict[Node, Node] = {}
    order = list(topological(roots))
    least = least_tasks((node for node in order if isinstance(node, Reduction)), tasks)
    within = _within_others(order, roots)
    parts: dict[Node, deque[Node]] = {}
    for node in order:
        if isinstance(node, Concat):
            own = _parts(node, new, parts)
            if node in within:
                parts[node] = own
            else:
                new[node] = _concatenated(node, own)
            continue
        inputs = tuple(new[below] for below in node.inputs)
        new[node] = (
            reduction_tree(node, inputs, most_bytes, tasks=least[node])
            if isinstance(node, Reduction)
            else _expanded(node, inputs, most_bytes)
        )
    return [new[root] for root in roots]


def _within_others(order: Sequence[Node], roots: Sequence[Node]) -> set[Node]:
    """Return the concatenations that nothing reads but one other along the same axis, which takes their parts itself.

    Otherwise a long row of them would store what is there so far again and again.
    """
    uses = Counter(below for node in order for below in node.inputs)
    stored = set(roots)
    return {
        below
        for node in order
        if isinstance(node, Concat)
        for below in node.inputs
        if isinstance(below, Concat) and (below.axis, below.dtype) == (node.axis, node.dtype)
        if uses[below] == 1 and below not in stored
    }


def _parts(node: Concat, new: Mapping[Node, Node], parts: dict[Node, deque[Node]]) -> deque[Node]:
    """Return the parts of ``node``, those of concatenations within it among them (which are taken out of ``parts``)."""
    lists = [parts.pop(below) if below in parts else deque((new[below],)) for below in node.inputs]
    longest = max(range(len(lists)), key=lambda number: len(lists[number]))
    # The longest is extended in place, so that no part of a long row is moved often.
    found = lists[longest]
    for before in reversed(lists[:longest]):
        found.extendleft(reversed(before))
    for after in lists[longest + 1 :]:
        found.extend(after)
    return found


def _concatenated(node: Concat, parts: Iterable[Node]) -> Node:
    inputs = tuple(parts)
    if len(inputs) == len(node.inputs) and all(map(operator.is_, inputs, node.inputs)):
        return node
    begins = accumulate((each.shape[node.axis] for each in inputs[:-1]), initial=0)
    return replace(node, inputs=inputs, begins=tuple(begins))


def _expanded(node: Node, inputs: tuple[Node, ...], most_bytes: int) -> Node:
    if isinstance(node, Rechunk):
        return _rechunked(node, inputs[0], most_bytes)
    if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return node
    changed: Any = node
    rewritten: Node = replace(changed, inputs=inputs)
    return rewritten


def _rechunked(node: Rechunk, source: Node, most_bytes: int) -> Node:
    before, after, shape = source.chunks, node.chunks, node.shape
    inline = Rechunk(inputs=(source,), chunks=after)
    if not all(shape) or _free(source) or amplification(shape, before, after) <= MOST_AMPLIFICATION:
        # Whoever needs it reads windows of what is there.
        return inline
    itemsize = node.dtype.itemsize
    found: Node = source
    for step in plan_rechunk(shape, itemsize, before, after, most_bytes=most_bytes):
        found = Copy(inputs=(found,), chunks=step.chunks, block=step.block, operation="rechunk")
    return found


def _free(node: Node) -> bool:
    """Return True if a node is made of element numbers alone, so that any region of it is as cheap as any other."""
    while isinstance(node, View | Rechunk):
        node = node.inputs[0]
    return isinstance(node, Creation)


def storable(node: Node) -> Node:
    """Return ``node`` where a stage can write it, else a copy of it."""
    if node.inline or isinstance(node, ArraySource):
        return Copy(inputs=(node,), chunks=node.chunks, block=node.chunks, operation=node.operation)
    return node
