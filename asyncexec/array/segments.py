"""Arrays put together from segments of one other: parts of an axis, turned around, or one element again and again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asyncexec.array import build
from asyncexec.array.nodes import Node
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.runs import Runs

_MOST_LISTED = 1 << 20
"""The number of runs that are listed for an axis; segments that make more are parts of a concatenation."""


@dataclass(frozen=True, slots=True)
class Segment:
    """``count`` elements of an axis from ``start`` on, with a ``step`` of 1, -1, or 0."""

    start: int
    count: int
    step: int = 1


def arranged(operation: str, node: Node, along: Mapping[int, Sequence[Segment]]) -> Node:
    """Return ``node`` with each of the axes ``along`` put together from segments of it.

    The axis of the longest chunks is a concatenation, whose tasks read slices; others are lists of runs, which make one
    view of all of them, so that each task reads each part of the array once.
    """
    wanted = {axis: [s for s in segments if s.count] for axis, segments in along.items()}
    listed = sorted(wanted, key=lambda axis: min(node.chunks[axis], node.shape[axis]))
    joined = listed[-1:]
    joined += [axis for axis in listed[:-1] if _runs(wanted[axis]) > _MOST_LISTED]
    found = _in_runs(operation, node, {a: wanted[a] for a in wanted if a not in joined})
    for axis in joined:
        parts = [part_of(operation, found, axis, segment) for segment in wanted[axis]]
        if not parts:
            parts = [part_of(operation, found, axis, Segment(0, 0))]
        found = (
            parts[0] if len(parts) == 1 else build.concatenate(parts, axis, node.dtype, operation)
        )
    return found


def part_of(operation: str, node: Node, axis: int, segment: Segment) -> Node:
    """Return one segment of an axis of ``node``."""
    start, count, step = segment.start, segment.count, segment.step
    if step == 1 and (start, count) == (0, node.shape[axis]):
        return node
    views = [AxisAccess.view(p, n) for p, n in enumerate(node.shape)]
    views[axis] = (
        AxisAccess.view(axis, count, step, start) if step else AxisAccess.constant(start, start + 1)
    )
    shape = (*node.shape[:axis], count, *node.shape[axis + 1 :])
    return build.view(operation, node, views, shape, node.chunks)


def _runs(segments: Sequence[Segment]) -> int:
    """Return how many runs of neighbours segments make."""
    return sum(1 if s.step == 1 else s.count for s in segments)


def _in_runs(operation: str, node: Node, along: Mapping[int, Sequence[Segment]]) -> Node:
    if not along:
        return node
    views = [AxisAccess.view(p, n) for p, n in enumerate(node.shape)]
    shape = list(node.shape)
    for axis, segments in along.items():
        starts = [np.asarray([s.start]) if s.step == 1 else _positions(s) for s in segments]
        counts = [np.asarray([s.count]) if s.step == 1 else np.ones(s.count, int) for s in segments]
        none = np.empty(0, int)
        views[axis] = AxisAccess.taken(
            axis, Runs(np.concatenate([none, *starts]), np.concatenate([none, *counts]))
        )
        shape[axis] = sum(s.count for s in segments)
    chunks = [
        n
        if c >= node.shape[a] and a in along and math.prod(shape) < 2 * math.prod(node.shape)
        else c
        for a, (n, c) in enumerate(zip(shape, node.chunks, strict=True))
    ]
    return build.view(operation, node, views, tuple(shape), tuple(chunks))


def _positions(segment: Segment) -> np.ndarray:
    return segment.start + segment.step * np.arange(segment.count)
