"""The node that lays values over boxes of an array, as assignments do."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from asyncexec.array.index_kernels import Lay, SetBox
from asyncexec.array.kernels import BlockFunction
from asyncexec.array.nodes import DType, Node, elements
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape

MOST_BOXES = 256
"""The most assignments, one after another, that are one node."""

_NEAR = 100
"""The number of nodes among which a search for a node ends."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Overlay:
    """An array with other values in some boxes, later ones over earlier ones.

    Tasks that hold nothing of a box do not read its values.

    Attributes
    ----------
    inputs : tuple of Node
        The array; and, of each box that has no constant, the values of all elements between its ends.
    boxes : tuple of SetBox
    """

    inputs: tuple[Node, ...]
    boxes: tuple[SetBox, ...]
    operation: str = "setitem"
    shape: Shape = field(init=False)
    chunks: Shape = field(init=False)
    dtype: DType = field(init=False)
    inline: bool = field(default=False, init=False)
    aliases: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        # Kept here, because looking them up through a long row of assignments would recurse.
        object.__setattr__(self, "shape", self.inputs[0].shape)
        object.__setattr__(self, "chunks", self.inputs[0].chunks)
        object.__setattr__(self, "dtype", self.inputs[0].dtype)

    def accesses(self, out: AccessMap) -> tuple[AccessMap | None, ...]:
        return (out, *(_part(out, box) for box in self._read_boxes()))

    def accepts(self, out: AccessMap, grid: Shape) -> bool:
        return all(
            along.part(begin, end - begin) is not None
            for box in self._read_boxes()
            for along, begin, end in zip(out.axes, box.begin, box.end, strict=True)
        )

    def function(self, out: AccessMap) -> BlockFunction:
        # What no task needs is not among the values that the kernel gets.
        needed = tuple(
            box for box in self.boxes if box.constant is not None or _part(out, box) is not None
        )
        return Lay(boxes=needed, access=out)

    def working_bytes(self, out: AccessMap) -> int:
        # Where the elements that are set lie apart, they are copied on their way.
        apart = any(step > 1 for box in self._read_boxes() for step in box.step)
        return (1 + apart) * elements(out) * self.dtype.itemsize

    def _read_boxes(self) -> Iterator[SetBox]:
        return (box for box in self.boxes if box.constant is None)


def overlaid(node: Node, box: SetBox, values: Node | None, *, limit: int) -> Node:
    """Return ``node`` with ``values`` in ``box``, or its constant.

    Assignments one after another become one node, as long as their values, in a task, take no more than ``limit``
    bytes, and do not follow from the array themselves.
    """
    more = () if values is None else (values,)
    apart = values is None or not _follows_from(values, node)
    if isinstance(node, Overlay) and len(node.boxes) < MOST_BOXES and apart:
        boxes = (*node.boxes, box)
        if sum(_most_read(each, node) for each in boxes) <= limit:
            return Overlay(inputs=(*node.inputs, *more), boxes=boxes)
    return Overlay(inputs=(node, *more), boxes=(box,))


def _follows_from(values: Node, node: Node) -> bool:
    """Return True if ``node`` is found near ``values``, as in a loop where each row follows from the last."""
    seen: set[Node] = set()
    todo = [values]
    while todo and len(seen) < _NEAR:
        each = todo.pop()
        if each is node:
            return True
        if each not in seen:
            seen.add(each)
            todo += each.inputs
    return False


def _most_read(box: SetBox, node: Node) -> int:
    """Return the most bytes that a task reads of the values of ``box``."""
    if box.constant is not None:
        return 0
    along = zip(box.begin, box.end, node.chunks, strict=True)
    return math.prod(min(end - begin, chunk) for begin, end, chunk in along) * node.dtype.itemsize


def _part(out: AccessMap, box: SetBox) -> AccessMap | None:
    found: AccessMap | None = out
    for axis, (begin, end) in enumerate(zip(box.begin, box.end, strict=True)):
        found = None if found is None else found.part(axis, begin, end - begin)
    return found
