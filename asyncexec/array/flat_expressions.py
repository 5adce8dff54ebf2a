"""Expressions as flat rows, in which form they are pickled: however deep they are, nothing recurses."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from asyncexec.array.expansion import topological
from asyncexec.array.nodes import Concat, Node
from asyncexec.plan.lengths import Lengths

type Row = tuple[type, dict[str, Any], tuple[int, ...]]
"""The class of a node, its fields, and the numbers of the rows of its inputs."""


@dataclass(frozen=True, slots=True)
class _Further:
    """The lengths of the chunks behind those of the first input, along the axis of a concatenation."""

    each: tuple[int, ...]


def as_rows(node: Node) -> list[Row]:
    """Return the nodes of the expression ``node``, inputs first."""
    numbers: dict[Node, int] = {}
    rows: list[Row] = []
    for each in topological([node]):
        given: Any = each
        values = {f.name: getattr(given, f.name) for f in fields(given) if f.init}
        values.pop("inputs", None)
        if isinstance(given, Concat):
            values["chunks"] = _further_lengths(given)
        rows.append((type(each), values, tuple(numbers[below] for below in each.inputs)))
        numbers[each] = len(numbers)
    return rows


def from_rows(rows: list[Row]) -> Node:
    """Return the expression of which :func:`as_rows` returned ``rows``."""
    made: list[Any] = []
    for kind, values, inputs in rows:
        given: dict[str, Any] = (
            {"inputs": tuple(made[number] for number in inputs)} if inputs else {}
        )
        if kind is Concat:
            given["chunks"] = _all_lengths(values["chunks"], given["inputs"][0])
        made.append(kind(**{**values, **given}))
    found: Node = made[-1]
    return found


def _further_lengths(node: Concat) -> tuple[Any, ...]:
    """Return the chunks of a concatenation, without the lengths that its first input has as well."""
    along, first = node.chunks[node.axis], node.inputs[0].chunks[node.axis]
    if not (isinstance(along, Lengths) and isinstance(first, Lengths)):
        return node.chunks
    further = along.behind(first)
    if further is None:
        return node.chunks
    return (*node.chunks[: node.axis], _Further(further), *node.chunks[node.axis + 1 :])


def _all_lengths(chunks: tuple[Any, ...], first: Node) -> tuple[Any, ...]:
    return tuple(
        own.followed_by(c.each) if isinstance(c, _Further) and isinstance(own, Lengths) else c
        for c, own in zip(chunks, first.chunks, strict=True)
    )
