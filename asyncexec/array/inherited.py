"""Attributes, names of axes and fill values that arrays have from the Zarr arrays which they are made of.

They are found by a look at the expression, and no operation has to pass them on. The rule is one sentence: **attributes
and the fill value** stay where an array has elements of one source and no others (slices, flips, transposes, new and
dropped axes, broadcasts, other chunks, other element types for attributes); **names** follow their axes through these,
through functions of elements, reductions and concatenations, as far as all inputs with a name there agree.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from asyncexec.array.expansion import topological
from asyncexec.array.nodes import ArraySource, Concat, Copy, Elementwise, Node, Rechunk, View
from asyncexec.array.reductions import Reduction

type Name = tuple[str, int] | None
"""The name of an axis, and the length that it has in the source."""


@dataclass(frozen=True, slots=True)
class Inherited:
    """The things that an array says of itself because a source did.

    Attributes
    ----------
    axes : tuple of (str, int) or None
        By axis: its name, and the length that the source has along it.
    attributes : str
        JSON of the mapping; empty for none.
    fill_value : scalar or None
        None where the source has none of its own.
    """

    axes: tuple[Name, ...] = ()
    attributes: str = ""
    fill_value: Any = None

    @property
    def names(self) -> tuple[str | None, ...] | None:
        """The name of each axis; None where none has one."""
        names = tuple(None if axis is None else axis[0] for axis in self.axes)
        return names if any(names) else None

    @property
    def mapping(self) -> dict[str, Any]:
        """The attributes."""
        found: dict[str, Any] = json.loads(self.attributes or "{}")
        return found


def inherited(node: Node) -> Inherited:
    """Return what the array of ``node`` has from its sources."""
    found: dict[Node, Inherited] = {}
    for each in topological([node]):
        found[each] = _of(each, [found[below] for below in each.inputs])
    return found[node]


def _of(node: Node, inputs: Sequence[Inherited]) -> Inherited:
    if isinstance(node, ArraySource):
        return _of_source(node)
    if isinstance(node, Rechunk | Copy):
        return inputs[0]
    if isinstance(node, View):
        return _of_view(node, inputs[0])
    if isinstance(node, Elementwise):
        axes = _agreed(node, inputs)
        kept = inputs[0].attributes if node.operation == "astype" and len(inputs) == 1 else ""
        return Inherited(axes, kept)
    if isinstance(node, Reduction | Concat):
        return Inherited(_agreed(node, inputs))
    return Inherited()


def _of_source(node: ArraySource) -> Inherited:
    traits = node.traits
    if traits is None:
        return Inherited()
    names = traits.dimension_names or (None,) * len(node.shape)
    axes = [None if name is None else (name, n) for name, n in zip(names, node.shape, strict=True)]
    # Zero is what new arrays have anyway, and in format 2 it would read as missing.
    fill = node.array.fill_element[()] if traits.fill_given else None
    return Inherited(tuple(axes), traits.attributes, fill or None)


def _of_view(node: View, below: Inherited) -> Inherited:
    axes: list[Name] = [None] * len(node.shape)
    for access, axis in zip(node.axes, below.axes, strict=False):
        if access.axis is not None:
            axes[access.axis] = axis
    return Inherited(tuple(axes), below.attributes, below.fill_value)


def _agreed(node: Node, inputs: Sequence[Inherited]) -> tuple[Name, ...]:
    """Return the names of axes on which all inputs agree; they are aligned at the last axis, as in broadcasting."""
    ndim = len(node.shape)
    found: list[set[Name]] = [set() for _ in range(ndim)]
    for given in inputs:
        lead = ndim - len(given.axes)
        for axis, name in enumerate(given.axes):
            if name is not None and lead >= 0:
                found[lead + axis].add(name)
    return tuple(names.pop() if len(names) == 1 else None for names in found)
