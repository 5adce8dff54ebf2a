"""The rules of expressions, applied from the sources to the results, before an expression is divided into stages."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from asyncexec.array.expansion import topological
from asyncexec.array.nodes import Node
from asyncexec.array.optimizer import branches, rechunks, subexpressions
from asyncexec.array.optimizer.subexpressions import SeenNodes


def rewrite(roots: Sequence[Node], rules: Collection[str]) -> list[Node]:
    """Return ``roots`` as those of the ``rules`` have them that are about expressions."""
    if len(roots) == 1 and not any(below.inputs for below in roots[0].inputs):
        # One operation on what is there: a small compute costs little more than that.
        return list(roots)
    order = list(topological(roots))
    uses = Counter(roots)
    uses.update(below for node in order for below in node.inputs)
    # Most small expressions have no operation twice, and nothing to compare then.
    repeats = len({node.operation for node in order}) < len(order)
    seen = SeenNodes() if repeats and subexpressions.NAME in rules else None
    new: dict[Node, Node] = {}
    for node in order:
        found = with_inputs(node, tuple(new[below] for below in node.inputs))
        if len(node.inputs) == 1 and uses[node.inputs[0]] == 1:
            if branches.NAME in rules:
                found = branches.without_hidden_parts(found)
            if rechunks.NAME in rules:
                found = rechunks.without_passing_chunks(found)
        new[node] = found if seen is None else seen.first_like(found)
    return [new[root] for root in roots]


def with_inputs(node: Node, inputs: tuple[Node, ...]) -> Node:
    """Return ``node`` with other inputs; itself where they are its own."""
    if all(map(operator.is_, inputs, node.inputs)):
        return node
    changed: Any = node
    rewritten: Node = replace(changed, inputs=inputs)
    return rewritten
