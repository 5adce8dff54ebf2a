"""``x[key]`` of nodes: the basic part is a view; arrays and masks select of what it shows."""

from __future__ import annotations

from typing import Any

from asyncexec.array import build
from asyncexec.array.advanced_indexing import gathered_by
from asyncexec.array.index_keys import Evaluate, parse_key
from asyncexec.array.mask_selection import selected_by_mask
from asyncexec.array.nodes import Node


def selected(node: Node, key: Any, *, limit: int, evaluate: Evaluate) -> Node:
    """Return ``node[key]``; chunks aim at ``limit`` bytes where they cannot be those of ``node``.

    Parameters
    ----------
    node : Node
    key : index
        Everything that NumPy takes.
    limit : int
    evaluate : callable
        Computes arrays among the indices, and the counts of large masks.

    Raises
    ------
    IndexError
        If the key does not fit.
    """
    parsed = parse_key(key, node.shape, evaluate)
    found = build.shown(node, parsed.basic)
    if parsed.mask is not None:
        several = len(parsed.mask.elements.shape) != 1
        found = build.in_regular_chunks(found) if several else found
        return selected_by_mask(found, parsed.mask, parsed.place, evaluate, limit=limit)
    if parsed.arrays:
        return gathered_by(found, parsed.arrays, parsed.place, limit=limit)
    return found
