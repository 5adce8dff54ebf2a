"""Reductions of groups as xarray builds them, one after another, computed as one: so that each chunk is read once.

xarray's ``groupby`` and ``resample`` select the elements of each group, reduce them, and stack the results. Where all
are the same reduction of the same elements of one array, that is a grouped reduction, which reads the array in its
chunks. Anything else stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.generators import Full
from asyncexec.array.nodes import BLOCK, Creation, Elementwise, Node, View
from asyncexec.array.operands import chunk_limit, common_spec
from asyncexec.array.reductions import Reduction
from asyncexec.plan.access import AxisAccess

_NAMES = ("sum", "prod", "mean", "var", "std", "min", "max")
_REDUCTIONS = frozenset({*_NAMES, *(f"nan{name}" for name in _NAMES), "any", "all"})
"""The reductions that groups have by the names of the namespace's functions."""


def grouped_stack(parts: Any, axis: int) -> Array | None:
    """Return the stack of ``parts`` along ``axis`` as one grouped reduction; None where it is none."""
    if len(parts) < 2 or not all(isinstance(part, Array) for part in parts):
        return None
    reductions = [_reduction_of(part.own_node) for part in parts]
    first = reductions[0]
    if first is None or any(r is None or not _alike(first, r) for r in reductions):
        return None
    along = first.axes[0]
    selection = _Selection(along)
    spec = common_spec(part.own_spec for part in parts)
    whole = selection.joined([r.inputs[0] for r in reductions if r], limit=chunk_limit(spec))
    codes = selection.codes()
    if whole is None or codes is None:
        return None
    found, _ = xp.groupby_reduce(
        Array(whole, spec),
        codes,
        func=first.operation,
        axis=along,
        expected_groups=np.arange(len(parts)),
        correction=getattr(first.reducer, "correction", 0.0),
    )
    return xp.moveaxis(found, -1, axis).astype(parts[0].dtype, copy=False)


def _reduction_of(node: Node) -> Reduction | None:
    """Return the reduction along one axis that a node is without that axis; None for anything else."""
    if not isinstance(node, View) or not isinstance(node.inputs[0], Reduction):
        return None
    found = node.inputs[0]
    if len(found.axes) != 1 or found.operation not in _REDUCTIONS:
        return None
    return found if node.axes == _without(found.axes[0], found.shape) else None


def _without(axis: int, shape: tuple[int, ...]) -> tuple[AxisAccess, ...]:
    return tuple(
        AxisAccess.constant(0, 1) if p == axis else AxisAccess.view(p - (p > axis), n)
        for p, n in enumerate(shape)
    )


def _alike(one: Reduction, other: Reduction) -> bool:
    return (one.operation, one.axes, one.reducer) == (other.operation, other.axes, other.reducer)


@dataclass(slots=True)
class _Selection:
    """The elements that each group has of one array, along ``axis``; found on the way through the expressions."""

    axis: int
    extent: int = 0
    numbers: list[Any] = field(default_factory=list)

    def joined(self, nodes: Sequence[Node], *, limit: int) -> Node | None:
        """Return the node of which each of ``nodes`` shows the elements of a group; None where there is none."""
        first = nodes[0]
        if isinstance(first, View):
            return self._selected(nodes)
        if isinstance(first, Elementwise):
            return self._elementwise(first, nodes, limit)
        return None

    def codes(self) -> Any:
        """Return the group of each element, -1 for none; None where an element is in two groups."""
        if not self.numbers:
            return None
        found = np.full(self.extent, -1, np.int64)
        for group, numbers in enumerate(self.numbers):
            found[numbers] = group
        total = sum(map(len, self.numbers))
        return found if np.count_nonzero(found >= 0) == total else None

    def _selected(self, nodes: Sequence[Node]) -> Node | None:
        inner = nodes[0].inputs[0]
        numbers = []
        for node in nodes:
            if not isinstance(node, View) or node.inputs[0] is not inner:
                return None
            others = [AxisAccess.view(p, n) for p, n in enumerate(inner.shape)]
            if len(node.axes) != len(node.shape) or any(
                own != other
                for p, (own, other) in enumerate(zip(node.axes, others, strict=True))
                if p != self.axis
            ):
                return None
            along = node.axes[self.axis]
            if along.axis != self.axis:
                return None
            all_at_once = replace(along, axis=None, block=max(along.hi, 1))
            numbers.append(np.asarray(all_at_once.numbers(()), np.int64))
        if self.numbers and not all(map(np.array_equal, self.numbers, numbers)):
            return None
        self.numbers, self.extent = numbers, inner.shape[self.axis]
        return inner

    def _elementwise(self, first: Elementwise, nodes: Sequence[Node], limit: int) -> Node | None:
        same = [n for n in nodes if isinstance(n, Elementwise) and _same_function(first, n)]
        if len(same) < len(nodes):
            return None
        inputs: list[Any] = []
        for place, part in enumerate(first.inputs):
            parts = [node.inputs[place] for node in same]
            value = _constant_of(parts)
            joined = value if value is not None else self.joined(parts, limit=limit)
            if joined is None or (value is None and len(part.shape) != len(first.shape)):
                return None
            inputs.append(joined)
        given = iter(inputs)
        arguments = [next(given) if a is BLOCK else a for a in first.arguments]
        return build.apply_elementwise(
            first.operation,
            first.apply,
            arguments,
            keywords=first.keywords,
            dtype=first.dtype,
            limit=limit,
        )


def _same_function(one: Elementwise, other: Elementwise) -> bool:
    return (
        one.apply is other.apply
        and one.dtype == other.dtype
        and one.keywords == other.keywords
        and len(one.arguments) == len(other.arguments)
        and all(_is_same(a, b) for a, b in zip(one.arguments, other.arguments, strict=True))
    )


def _is_same(one: Any, other: Any) -> bool:
    plain = isinstance(one, bool | int | float | complex | np.generic)
    return one is other or (plain and type(one) is type(other) and repr(one) == repr(other))


def _constant_of(nodes: Sequence[Node]) -> Any:
    """Return the value that fills all of ``nodes``, as NumPy's scalar; None where they are something else."""
    found = [n.make for n in nodes if isinstance(n, Creation) and isinstance(n.make, Full)]
    if len(found) < len(nodes) or any(not _is_same(found[0].value, f.value) for f in found):
        return None
    return np.asarray(found[0].value, found[0].dtype)[()]
