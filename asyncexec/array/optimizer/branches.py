"""Dead branches: parts of a concatenation that a slice of it shows nothing of are not computed."""

from __future__ import annotations

from dataclasses import replace

from asyncexec.array.nodes import Concat, Node, View
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.lengths import fitting_length

NAME = "branches"


def without_hidden_parts(node: Node) -> Node:
    """Return a view of a concatenation as one of those parts that it shows; any other node as it is.

    Nobody else reads the concatenation.
    """
    if not isinstance(node, View) or not isinstance(node.inputs[0], Concat):
        return node
    return _shown_parts(node, node.inputs[0]) or node


def _shown_parts(node: View, whole: Concat) -> Node | None:
    """Return the same view of the parts that it shows; None if those are all, or none."""
    axis = whole.axis
    low, high = _ends(node.axes[axis])
    ends = [b + p.shape[axis] for b, p in zip(whole.begins, whole.inputs, strict=True)]
    parts = [k for k, end in enumerate(ends) if whole.begins[k] <= high and end > low]
    if not parts or len(parts) == len(whole.inputs):
        return None
    shift = whole.begins[parts[0]]
    access = node.axes[axis].affine(1, -shift)
    if access is None:
        return None
    inputs = tuple(whole.inputs[k] for k in range(parts[0], parts[-1] + 1))
    length = ends[parts[-1]] - shift
    fewer = replace(
        whole,
        inputs=inputs,
        begins=tuple(b - shift for b in whole.begins[parts[0] : parts[-1] + 1]),
        shape=(*whole.shape[:axis], length, *whole.shape[axis + 1 :]),
        chunks=(
            *whole.chunks[:axis],
            fitting_length(length, whole.chunks[axis]),
            *whole.chunks[axis + 1 :],
        ),
    )
    axes = (*node.axes[:axis], access, *node.axes[axis + 1 :])
    return replace(node, inputs=(fewer,), axes=axes)


def _ends(access: AxisAccess) -> tuple[int, int]:
    """Return the least and the greatest element that is shown."""
    if access.positions is not None:
        return access.positions.least, access.positions.greatest
    ends = (access.lo * access.step + access.offset, (access.hi - 1) * access.step + access.offset)
    return min(ends), max(ends)
