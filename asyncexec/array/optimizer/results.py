"""Shared results: what many tasks of a stage need of a node is computed once and stored, where that costs less.

What costs is counted in bytes that are read, written or computed: a function of elements costs as much as its result is
large. Computed on the way, a node costs what its tasks read and compute for it, as often as tasks need the same of it.
Stored, that is done once; the result is written once, and read by every task. So a result of one function that two
tasks need is computed twice, and one that four need is stored.
"""

from __future__ import annotations

import math

from asyncexec.array.chunks import grid as chunk_grid
from asyncexec.array.nodes import Elementwise, Node
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape

NAME = "shared-results"

TASK_BYTES = 500_000
"""What a further task costs, as the bytes that are read in its time."""

_MOST_NODES = 50
"""How many nodes are looked at, so that a long chain is planned in little time."""


def is_stored_once(node: Node, access: AccessMap, grid: Shape) -> bool:
    """Return whether storing ``node`` costs less than computing it in tasks over ``grid``, which need ``access``.

    >>> x = xp.ones((4000, 500), chunks=500)
    >>> y = xp.exp(xp.sqrt(xp.ones((500, 4000), chunks=500)))
    >>> [stage.operation for stage in (x @ y).to_plan().stages]
    ['ones+sqrt+exp', 'ones+rechunk x2+matmul']
    >>> [stage.operation for stage in (x[:1000] @ y).to_plan().stages]
    ['ones x2+getitem+rechunk x2+sqrt+exp+matmul']
    """
    tasks = math.prod(grid)
    own = _size(node, access)
    total = math.prod(node.shape) * node.dtype.itemsize
    if not total or tasks * own < 2 * total:
        return False
    each = _cost(node, access, grid)
    once = each * total // own
    further = math.prod(chunk_grid(node.shape, node.chunks))
    stored = once + total + tasks * own + further * TASK_BYTES
    return stored < tasks * each


def _size(node: Node, access: AccessMap) -> int:
    return math.prod(access.most) * node.dtype.itemsize


def _cost(node: Node, access: AccessMap, grid: Shape) -> int:
    """Return what a task costs that computes what ``access`` says of ``node``: bytes read, and bytes computed."""
    found = 0
    seen = {(node, access)}
    todo = [(node, access)]
    while todo:
        member, needed = todo.pop()
        if isinstance(member, Elementwise):
            found += _size(member, needed)
        for below, region in zip(member.inputs, member.accesses(needed), strict=True):
            if region is None or (below, region) in seen:
                continue
            seen.add((below, region))
            if below.inputs and len(seen) < _MOST_NODES and below.accepts(region, grid):
                todo.append((below, region))
            elif below.inputs or not below.inline:
                found += _size(below, region)
    return found
