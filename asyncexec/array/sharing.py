"""Stages of one grid that read the same become one stage with several results, so that it is read once.

What such a stage alone needs of another is then computed in it, by the rules of :mod:`asyncexec.array.fusion`.

Two groups are put together where neither needs anything of the other, at least half of what one of them reads is read
by the other too, for the same tasks, and both fit into a task's memory together. Functions of users are left alone
where there are few tasks: their time is not known, and more tasks of them keep more workers busy.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from asyncexec.array.block_calls import is_of_user
from asyncexec.array.block_nodes import Blocks, SeveralOfBlock, SeveralOfBlocks
from asyncexec.array.expansion import topological
from asyncexec.array.fusion import MOST_SOURCES, FusionGroup, without_last_ones
from asyncexec.array.nodes import Node
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape

MOST_RESULTS = 16
"""The number of arrays that a stage may write because it reads the same for them."""

_OF_WHOLE_BLOCKS = (Blocks, SeveralOfBlock, SeveralOfBlocks)

type _Shared = tuple[int, Shape, Node]
"""A level of the plan, a grid, and a node that is read there."""


def share_reads(
    groups: Sequence[FusionGroup],
    roots: Sequence[Node],
    fits: Callable[[FusionGroup], bool],
    *,
    tasks: int,
) -> list[FusionGroup]:
    """Return ``groups``, producers first, where those that read the same are one; ``fits`` is as for ``fuse``.

    Stages with functions of users become one where they have so many ``tasks``.
    """
    position = {node: number for number, node in enumerate(topological(roots))}
    found = list(groups)
    while True:
        before = set(found)
        # Of two groups that share nothing, each may share with a third.
        found = _shared_once(found, position, fits, tasks)
        merged = [group for group in found if group not in before]
        if not merged:
            return found
        found = _computed_on_the_way(found, merged, set(roots), position, fits)


def _shared_once(
    groups: Sequence[FusionGroup],
    position: dict[Node, int],
    fits: Callable[[FusionGroup], bool],
    tasks: int,
) -> list[FusionGroup]:
    levels: dict[Node, int] = {}
    readers: dict[_Shared, int] = {}
    found: list[FusionGroup] = []
    for group in groups:
        # No group of one level needs another of it, also when some of them have become one.
        level = 1 + max((levels.get(node, 0) for node, _ in group.reads), default=0)
        levels.update(dict.fromkeys(group.roots, level))
        keys: list[_Shared] = [
            (level, without_last_ones(group.grid), node) for node, _ in group.reads
        ]
        shares = math.prod(group.grid) >= tasks or not any(map(_calls_user, group.members))
        number = next((readers[key] for key in keys if shares and key in readers), None)
        if number is not None and _alike(found[number], group):
            both = _together(found[number], group, position)
            if both.reading <= MOST_SOURCES and fits(both):
                found[number] = both
                readers.update(dict.fromkeys(keys, number))
                continue
        if shares:
            readers.update(dict.fromkeys(keys, len(found)))
        found.append(group)
    return found if len(found) == len(groups) else list(_producers_first(found))


def _computed_on_the_way(
    groups: Sequence[FusionGroup],
    readers: Iterable[FusionGroup],
    stored: set[Node],
    position: dict[Node, int],
    fits: Callable[[FusionGroup], bool],
) -> list[FusionGroup]:
    """Return ``groups`` where each of ``readers`` computes what it alone reads; ``stored`` must be written anyway."""
    made_in = {g.roots[0]: g for g in groups if len(g.roots) == 1 and g.roots[0] not in stored}
    uses = Counter(node for g in groups for node in _read_nodes(g))
    found = dict.fromkeys(groups)
    for reader in readers:
        grown = reader
        todo = list(_read_nodes(grown))
        while todo:
            node = todo.pop()
            producer = made_in.get(node)
            if producer is None or uses[node] != 1:
                continue
            both = _with_producer(grown, producer, position)
            if both is not None and fits(both):
                uses.subtract(_read_nodes(producer).keys() & _read_nodes(grown).keys())
                todo += _read_nodes(producer)
                del found[producer]
                grown = both
        found = {(grown if group is reader else group): None for group in found}
    return list(found)


def _read_nodes(group: FusionGroup) -> dict[Node, None]:
    return dict.fromkeys(node for node, _ in group.reads)


def _with_producer(
    reader: FusionGroup, producer: FusionGroup, position: dict[Node, int]
) -> FusionGroup | None:
    """Return the group that computes ``producer`` on the way; None where it would have to do so more than once."""
    both = reader.copied()
    for node in producer.members:
        if not (both.computes(node) if node.inline else both.accepts(node)):
            return None
        both.join(node)
    both.members = _in_order(both.members, position)
    both.reading = len(both.reads)
    return both if both.reading <= max(MOST_SOURCES, reader.reading) else None


def _in_order(members: Iterable[Node], position: dict[Node, int]) -> dict[Node, None]:
    """Return ``members``, each after all that need it."""
    return dict.fromkeys(sorted(members, key=position.__getitem__, reverse=True))


def _alike(one: FusionGroup, other: FusionGroup) -> bool:
    """Return True if half of what one group reads, or more, is read by the other too, and results are not too many."""
    if one.pieces != other.pieces:
        return False
    if len(one.roots) + len(other.roots) > MOST_RESULTS:
        return False
    reads = set(one.reads), set(other.reads)
    least = min(sum(map(_size, each)) for each in reads)
    return 0 < least <= 2 * sum(map(_size, reads[0] & reads[1]))


def _calls_user(node: Node) -> bool:
    return isinstance(node, _OF_WHOLE_BLOCKS) and is_of_user(node.call)


def _size(read: tuple[Node, AccessMap]) -> int:
    node, access = read
    return math.prod(access.most) * node.dtype.itemsize


def _together(one: FusionGroup, other: FusionGroup, position: dict[Node, int]) -> FusionGroup:
    """Return the group that computes both; ``position`` says which nodes come first."""
    both = one.copied()
    both.roots = (*one.roots, *other.roots)
    both.written |= other.written
    if one.grid != other.grid:
        # One of them has further axes, of one task: what the other writes is said along its own.
        both.grid = max(one.grid, other.grid, key=len)
        shorter = one if len(one.grid) < len(other.grid) else other
        for root in shorter.roots:
            both.written[root] = shorter.written[root] or next(iter(shorter.accesses[root]))
    for node, accesses in other.accesses.items():
        both.accesses.setdefault(node, {}).update(accesses)
    both.members = _in_order({**one.members, **other.members}, position)
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
