"""Shared subexpressions: what is written twice, with the same function of the same inputs, is computed once.

Kernels are pure, so equal nodes have equal results. Nodes are equal where their fields are, floats bit by bit and
functions as the same object; a node with a field that cannot be compared is equal to itself alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from asyncexec.array.nodes import Node

NAME = "subexpressions"


class SeenNodes:
    """The nodes of an expression, each under what it computes."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Node] = {}
        self._numbers: dict[Node, int] = {}

    def first_like(self, node: Node) -> Node:
        """Return the first node that computes the same as ``node``, whose inputs have been seen."""
        key = self._key(node)
        return node if key is None else self._known.setdefault(key, node)

    def _number(self, node: Node) -> int:
        return self._numbers.setdefault(node, len(self._numbers))

    def _key(self, node: Node) -> Hashable | None:
        state: Any = node
        parts: list[Hashable] = [type(node), *map(self._number, node.inputs)]
        try:
            parts += [
                _comparable(getattr(state, each.name))
                for each in fields(state)
                if each.name != "inputs"
            ]
            hash(key := tuple(parts))
        except TypeError:
            return None
        return key


def _comparable(value: Any) -> Hashable:
    """Return what is equal for equal values alone: 1, 1.0 and True differ, and so do 0.0 and -0.0.

    Raises
    ------
    TypeError
        If it cannot be compared.
    """
    if isinstance(value, tuple):
        return (tuple, *map(_comparable, value))
    if isinstance(value, Mapping):
        return (dict, *((name, _comparable(value[name])) for name in sorted(value)))
    if isinstance(value, float | complex):
        return type(value), np.asarray(value).tobytes()
    if isinstance(value, np.generic):
        return value.dtype.str, value.tobytes()
    if isinstance(value, slice):
        return slice, value.start, value.stop, value.step
    hash(value)
    return type(value), value
