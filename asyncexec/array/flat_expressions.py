"""Expressions as flat rows, in which form they are pickled: however deep they are, nothing recurses."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from asyncexec.array.expansion import topological
from asyncexec.array.nodes import Node

type Row = tuple[type, dict[str, Any], tuple[int, ...]]
"""The class of a node, its fields, and the numbers of the rows of its inputs."""


def as_rows(node: Node) -> list[Row]:
    """Return the nodes of the expression ``node``, inputs first."""
    numbers: dict[Node, int] = {}
    rows: list[Row] = []
    for each in topological([node]):
        given: Any = each
        values = {f.name: getattr(given, f.name) for f in fields(given) if f.init}
        values.pop("inputs", None)
        rows.append((type(each), values, tuple(numbers[below] for below in each.inputs)))
        numbers[each] = len(numbers)
    return rows


def from_rows(rows: list[Row]) -> Node:
    """Return the expression of which :func:`as_rows` returned ``rows``."""
    made: list[Any] = []
    for kind, values, inputs in rows:
        given = {"inputs": tuple(made[number] for number in inputs)} if inputs else {}
        made.append(kind(**values, **given))
    found: Node = made[-1]
    return found
