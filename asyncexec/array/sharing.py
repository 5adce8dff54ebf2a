"""Stages of one grid that read the same become one stage with several results, so that it is read once.

Two groups are put together where neither needs anything of the other, at least half of what one of them reads is read
by the other too, for the same tasks, and both fit into a task's memory together. Functions of users are left alone:
their time is not known, and more tasks of them keep more workers busy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from copy import copy

from asyncexec.array.block_nodes import Blocks, SeveralOfBlock
from asyncexec.array.expansion import topological
from asyncexec.array.fusion import MOST_SOURCES, FusionGroup
from asyncexec.array.nodes import Node
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape

type _Shared = tuple[int, Shape, Node]
"""A level of the plan, a grid, and a node that is read there."""


def share_reads(
    groups: Sequence[FusionGroup], roots: Sequence[Node], fits: Callable[[FusionGroup], bool]
) -> list[FusionGroup]:
    """Return ``groups``, producers first, where those that read the same are one; ``fits`` is as for ``fuse``."""
    position = {node: number for number, node in enumerate(topological(roots))}
    found = list(groups)
    while True:
        before = len(found)
        # Of two groups that share nothing, each may share with a third.
        found = _shared_once(found, position, fits)
        if len(found) == before:
            return found


def _shared_once(
    groups: Sequence[FusionGroup],
    position: dict[Node, int],
    fits: Callable[[FusionGroup], bool],
) -> list[FusionGroup]:
    levels: dict[Node, int] = {}
    readers: dict[_Shared, int] = {}
    found: list[FusionGroup] = []
    for group in groups:
        # No group of one level needs another of it, also when some of them have become one.
        level = 1 + max((levels.get(node, 0) for node, _ in group.reads), default=0)
        levels.update(dict.fromkeys(group.roots, level))
        keys: list[_Shared] = [(level, group.grid, node) for node, _ in group.reads]
        number = next((readers[key] for key in keys if key in readers), None)
        if number is not None and _alike(found[number], group):
            both = _together(found[number], group, position)
            if both.reading <= MOST_SOURCES and fits(both):
                found[number] = both
                readers.update(dict.fromkeys(keys, number))
                continue
        if not any(isinstance(node, Blocks | SeveralOfBlock) for node in group.members):
            readers.update(dict.fromkeys(keys, len(found)))
        found.append(group)
    return found if len(found) == len(groups) else list(_producers_first(found))


def _alike(one: FusionGroup, other: FusionGroup) -> bool:
    """Whether at least half of what one of the groups reads is read by the other too."""
    if any(isinstance(node, Blocks | SeveralOfBlock) for node in other.members):
        return False
    reads = set(one.reads), set(other.reads)
    least = min(sum(map(_size, each)) for each in reads)
    return 0 < least <= 2 * sum(map(_size, reads[0] & reads[1]))


def _size(read: tuple[Node, AccessMap]) -> int:
    node, access = read
    return math.prod(access.most) * node.dtype.itemsize


def _together(one: FusionGroup, other: FusionGroup, position: dict[Node, int]) -> FusionGroup:
    """Return the group that computes both; ``position`` says which nodes come first."""
    both = copy(one)
    both.roots = (*one.roots, *other.roots)
    both.accesses = {node: list(accesses) for node, accesses in one.accesses.items()}
    for node, accesses in other.accesses.items():
        known = both.accesses.setdefault(node, [])
        known += [access for access in accesses if access not in known]
    members = {**one.members, **other.members}
    both.members = dict.fromkeys(sorted(members, key=position.__getitem__, reverse=True))
    both.reading = len(both.reads)
    return both


def _producers_first(groups: Sequence[FusionGroup]) -> Iterator[FusionGroup]:
    """Iterate over ``groups`` in their order, but over what a group reads before the group."""
    made_in = {root: group for group in groups for root in group.roots}
    done: set[FusionGroup] = set()
    stack = list(reversed(groups))
    while stack:
        group = stack[-1]
        needed = {made_in[node]: None for node, _ in group.reads if node in made_in}
        missing = [each for each in needed if each not in done]
        if group not in done and missing:
            stack += missing[::-1]
            continue
        stack.pop()
        if group not in done:
            done.add(group)
            yield group
