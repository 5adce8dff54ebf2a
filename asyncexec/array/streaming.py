"""Partial results that tasks merge one after another are computed on the way, piece by piece.

Stages are made first as if each piece were a task, so that those of reductions and of anything else that read the same
become one. Where only tasks that take pieces are left to read what such a stage makes, they compute it, one piece at a
time; no rule changes the order in which partial results are merged, and so no bit of a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from asyncexec.array.expansion import topological
from asyncexec.array.fusion import FusionGroup, block_of, without_last_ones
from asyncexec.array.nodes import Node
from asyncexec.array.optimizer.joining import joining_rule
from asyncexec.plan.access_map import AccessMap, of_blocks
from asyncexec.plan.box import Shape
from asyncexec.plan.pieces import Pieces


def taken_in_pieces(
    groups: Sequence[FusionGroup], roots: Sequence[Node], fits: Callable[[FusionGroup], bool]
) -> list[FusionGroup]:
    """Return ``groups``, producers first, where what tasks take in pieces is computed by them.

    ``fits`` is as for :func:`~asyncexec.array.fusion.fuse`.
    """
    if all(group.pieces is None for group in groups):
        return list(groups)
    position = {node: number for number, node in enumerate(topological(roots))}
    readers = _readers(groups)
    found = dict.fromkeys(groups)
    kept = set(roots)
    for producer in groups:
        if kept.isdisjoint(producer.roots):
            reading = list(
                dict.fromkeys(r for root in producer.roots for r in readers.get(root, ()))
            )
            both = _computed_by(reading, producer, position) if reading else None
            if both is not None and fits(both):
                # In the place of the first of them: whatever reads them comes after all of them.
                found = {
                    (both if group is reading[0] else group): None
                    for group in found
                    if group is not producer and group not in reading[1:]
                }
    return list(found)


def _readers(groups: Sequence[FusionGroup]) -> dict[Node, list[FusionGroup]]:
    """Return the groups that read each node that is stored."""
    found: dict[Node, list[FusionGroup]] = {}
    for group in groups:
        for node in dict.fromkeys(node for node, _ in group.reads):
            found.setdefault(node, []).append(group)
    return found


def _taken(pieces: Pieces | None) -> tuple[Shape, Shape] | None:
    """Return the index space of pieces and how many a task takes, without the last axes of one piece."""
    if pieces is None:
        return None
    grid = without_last_ones(pieces.grid)
    return grid, pieces.lengths[: len(grid)]


def _computed_by(
    readers: Sequence[FusionGroup], producer: FusionGroup, position: dict[Node, int]
) -> FusionGroup | None:
    """Return the group in which ``readers`` compute ``producer`` piece by piece; None where they cannot."""
    taken = {_taken(reader.pieces) for reader in readers}
    computes = all(node.computes for reader in readers for node in reader.streamed)
    if producer.streamed or not computes or len(taken) != 1:
        return None
    (alike,) = taken
    if alike is None or alike[0] != without_last_ones(producer.grid):
        return None
    both = readers[0].copied()
    both.roots = tuple(root for reader in readers for root in reader.roots)
    both.streamed = tuple(node for reader in readers for node in reader.streamed)
    both.grid = max((reader.grid for reader in readers), key=len)
    for group in (*readers[1:], producer):
        for node, accesses in group.accesses.items():
            both.accesses.setdefault(node, {}).update(accesses)
        both.members |= group.members
    # Those whose own axes are fewer than the tasks have say what each task writes.
    both.written = {
        root: None if len(root.shape) == len(both.grid) else of_blocks(root.shape, block_of(root))
        for root in both.roots
    }
    if any(len(both.accesses[root]) != 1 for root in producer.roots):
        # They need something else of it than what one task makes.
        return None
    both.members = dict.fromkeys(sorted(both.members, key=position.__getitem__, reverse=True))
    both.reading = len(both.reads)
    return both


def finished_on_the_way(
    groups: Sequence[FusionGroup],
    roots: Sequence[Node],
    fits: Callable[[FusionGroup], bool],
    rules: Collection[str],
) -> list[FusionGroup]:
    """Return ``groups`` where what is made of a finished reduction alone, block by block, is made by its tasks."""
    readers, kept = _readers(groups), set(roots)
    found = dict.fromkeys(groups)
    for group in groups:
        if any(node.last is None for node in group.streamed) or not kept.isdisjoint(group.roots):
            continue
        reading = list(dict.fromkeys(r for root in group.roots for r in readers.get(root, ())))
        both = _finishing(group, reading, rules) if group.streamed and reading else None
        if both is not None and fits(both):
            # The readers read nothing else, so that their place does not matter.
            found = {(both if g is group else g): None for g in found if g not in reading}
    return list(found)


def _finishing(
    group: FusionGroup, readers: Sequence[FusionGroup], rules: Collection[str]
) -> FusionGroup | None:
    """Return the group that makes what ``readers`` make of the results of ``group``; None where it cannot."""
    after = readers[0].copied()
    after.roots = tuple(root for reader in readers for root in reader.roots)
    after.grid = group.shape
    after.accesses, after.members = {}, {}
    for reader in readers:
        axes = _axes_of(group, reader)
        using = [n for n in reader.members if not set(group.roots).isdisjoint(n.inputs)]
        if axes is None or joining_rule(using) not in rules:
            return None
        after.members |= reader.members
        for node, accesses in reader.accesses.items():
            turned = {_followed(access, axes): None for access in accesses}
            after.accesses.setdefault(node, {}).update(turned)
    if any(len(after.accesses.get(root, ())) != 1 for root in group.roots):
        return None
    both = group.copied()
    both.roots, both.after, both.apart = after.roots, after, readers[0].apart
    both.written = {root: next(iter(after.accesses[root])) for root in after.roots}
    return both


def _axes_of(group: FusionGroup, reader: FusionGroup) -> tuple[int | None, ...] | None:
    """Return the axis of the tasks of ``group`` for each of ``reader``; None where the tasks do not correspond."""
    reads = reader.reads
    if reader.streamed or not {node for node, _ in reads} <= set(group.roots):
        return None
    found = {_stage_axes(access, node, group.shape, reader.grid) for node, access in reads}
    return found.pop() if len(found) == 1 else None


def _stage_axes(
    access: AccessMap, node: Node, tasks: Shape, readers: Shape
) -> tuple[int | None, ...] | None:
    """Return the axis of ``tasks`` that follows each axis of ``readers``, each of which reads the block of one.

    None where they read anything else than one block each, all of it, in the order of the tasks.
    """
    if access.guards or math.prod(tasks) != math.prod(readers):
        return None
    found: list[int | None] = [None] * len(readers)
    for axis, (along, chunk, n) in enumerate(
        zip(access.axes, node.chunks, node.shape, strict=True)
    ):
        number = along.blocks(chunk, n)
        if number is None or (number.lo, number.offset, number.hi) != (0, 0, tasks[axis]):
            return None
        if number.axis is not None:
            if readers[number.axis] != tasks[axis] or found[number.axis] is not None:
                return None
            found[number.axis] = axis
    if any(n > 1 and axis is None for n, axis in zip(readers, found, strict=True)):
        return None
    return tuple(found)


def _followed(access: AccessMap, axes: tuple[int | None, ...]) -> AccessMap:
    """Return ``access`` along the ``axes`` that follow its own; one that nothing follows has one position."""
    return AccessMap(
        tuple(a if a.axis is None else replace(a, axis=axes[a.axis]) for a in access.axes)
    )
