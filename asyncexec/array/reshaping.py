"""The same elements in C order over other axes, chunk by chunk.

Axes are put into the smallest groups that have the same elements before and after; other axes keep their chunks. Within
a group, axes are merged to one, and that is divided into others. A chunk that has all axes of a group but the first
whole is a run of elements in C order: a task makes a chunk of one axis of it, or the other way round. Where one row of
such a chunk would be too large, rows are treated one by one, or in pieces side by side, whichever are fewer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.generators import Full
from asyncexec.array.kernels import DivideAxis, MergeAxes
from asyncexec.array.nodes import Node
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Shape
from asyncexec.plan.runs import Runs


def reshaped(node: Node, shape: Shape, *, limit: int, operation: str = "reshape") -> Node:
    """Return ``node`` with the same elements, in C order, in ``shape``; chunks aim at ``limit`` bytes.

    ``shape`` has as many elements as ``node``.
    """
    if node.shape == shape:
        return node
    if not math.prod(shape):
        # There are no elements, so that those of any array will do.
        return build.creation(operation, Full(0, node.dtype), shape, -1, node.dtype, aliases=True)
    ones = tuple(a for a, n in enumerate(node.shape) if n == 1)
    longer = [n for n in shape if n != 1]
    found = build.drop_axes(node, ones) if ones else node
    work = _Reshaping(operation, limit)
    place = 0
    for before, after in _groups(found.shape, longer):
        if before != after:
            found = work.divided(work.merged(found, place, len(before)), place, after)
        place += len(after)
    for axis, n in enumerate(shape):
        if n == 1:
            found = build.insert_axis(found, axis)
    return found


def raveled(node: Node, *, limit: int, operation: str = "flatten") -> Node:
    """Return the elements of ``node`` in C order, along one axis."""
    return reshaped(node, (math.prod(node.shape),), limit=limit, operation=operation)


def _groups(before: Sequence[int], after: Sequence[int]) -> Iterator[tuple[Shape, Shape]]:
    """Iterate over the smallest groups of axes that have the same elements; all lengths are more than 1."""
    i = j = 0
    while i < len(before):
        first = i, j
        one, other = before[i], after[j]
        i, j = i + 1, j + 1
        while one != other:
            if one < other:
                one *= before[i]
                i += 1
            else:
                other *= after[j]
                j += 1
        yield tuple(before[first[0] : i]), tuple(after[first[1] : j])


class _Reshaping:
    """Merges and divides axes, in chunks of at most ``limit`` bytes where one element allows it."""

    def __init__(self, operation: str, limit: int) -> None:
        self._operation = operation
        self._limit = limit

    def merged(self, node: Node, place: int, count: int) -> Node:
        """Return ``node`` with the ``count`` axes from ``place`` on merged to one."""
        if count == 1:
            return node
        length, *rest = node.shape[place : place + count]
        row = math.prod(rest)
        most = self._most(node)
        if row > most:
            found = self.merged(node, place + 1, count - 1)
            return self._merged_in_pieces(found, place)
        own = math.prod(map(min, node.chunks[place : place + count], node.shape[place:]))
        chunk = max(1, min(most // row, length, own // row))
        others = self._others(node, place, count, chunk * row)
        chunks = (*others[:place], chunk, *rest, *others[place + count :])
        return Blocks(
            operation=self._operation,
            call=MergeAxes(place, count),
            keywords={},
            inputs=(build.with_chunks(node, chunks),),
            axes=(
                tuple(
                    a if a <= place else None if a < place + count else a - count + 1
                    for a in range(len(chunks))
                ),
            ),
            shape=(*node.shape[:place], length * row, *node.shape[place + count :]),
            chunks=(*others[:place], chunk * row, *others[place + count :]),
            dtype=node.dtype,
        )

    def divided(self, node: Node, place: int, lengths: Shape) -> Node:
        """Return ``node`` with axis ``place`` divided into axes of ``lengths``."""
        if len(lengths) == 1:
            return node
        length, *rest = lengths
        row = math.prod(rest)
        most = self._most(node)
        if row > most:
            found = self._divided_in_pieces(node, place, length, row)
            return self.divided(found, place + 1, tuple(rest))
        own = min(node.chunks[place], node.shape[place])
        chunk = max(1, min(most // row, length, own // row))
        others = self._others(node, place, 1, chunk * row)
        chunks = (*others[:place], chunk * row, *others[place + 1 :])
        added = len(lengths) - 1
        return Blocks(
            operation=self._operation,
            call=DivideAxis(place, tuple(rest)),
            keywords={},
            inputs=(build.with_chunks(node, chunks),),
            axes=(tuple(a if a <= place else a + added for a in range(len(chunks))),),
            shape=(*node.shape[:place], *lengths, *node.shape[place + 1 :]),
            chunks=(*others[:place], chunk, *rest, *others[place + 1 :]),
            dtype=node.dtype,
        )

    def _most(self, node: Node) -> int:
        """Return how many elements a chunk may have."""
        return max(1, self._limit // node.dtype.itemsize)

    def _others(self, node: Node, place: int, count: int, size: int) -> Shape:
        """Return chunks whose other axes are short enough for ``size`` elements of the ``count`` axes at ``place``."""
        shape = list(node.shape)
        shape[place : place + count] = [1] * count
        most = max(self._limit // size, node.dtype.itemsize)
        clipped = chunking.clipped(node.chunks, tuple(shape))
        return chunking.shortened(clipped, tuple(shape), node.dtype.itemsize, most)

    def _merged_in_pieces(self, node: Node, place: int) -> Node:
        """Return ``node`` with two axes merged, of which the second is too long for a chunk."""
        rows, row = node.shape[place : place + 2]
        cuts = self._pieces(node, row)
        before = (slice(None),) * place
        if rows < len(cuts):
            parts = [build.index(node, (*before, i)) for i in range(rows)]
            return build.concatenate(parts, place, node.dtype, self._operation)
        pieces = [
            self.merged(build.index(node, (*before, slice(None), slice(*cut))), place, 2)
            for cut in cuts
        ]
        joined = build.concatenate(pieces, place, node.dtype, self._operation)
        widths = np.asarray([stop - start for start, stop in cuts])
        begins = rows * np.asarray([start for start, _ in cuts])
        starts = begins + np.arange(rows)[:, None] * widths
        counts = np.broadcast_to(widths, starts.shape)
        return self._taken(joined, place, Runs(starts.ravel(), counts.ravel()), int(widths[0]))

    def _divided_in_pieces(self, node: Node, place: int, rows: int, row: int) -> Node:
        """Return ``node`` with an axis divided in two, of which the second is too long for a chunk."""
        cuts = self._pieces(node, row)
        before = (slice(None),) * place
        if rows < len(cuts):
            parts = [
                build.insert_axis(
                    build.index(node, (*before, slice(i * row, (i + 1) * row))), place
                )
                for i in range(rows)
            ]
            return build.concatenate(parts, place, node.dtype, self._operation)
        pieces: list[Node] = []
        for start, stop in cuts:
            starts = start + row * np.arange(rows)
            runs = Runs(starts, np.full(rows, stop - start))
            taken = self._taken(node, place, runs, stop - start)
            pieces.append(self.divided(taken, place, (rows, stop - start)))
        return build.concatenate(pieces, place + 1, node.dtype, self._operation)

    def _pieces(self, node: Node, row: int) -> list[tuple[int, int]]:
        """Return the ends of the pieces of a row, of the same length where it can be."""
        least = -(-row // self._most(node))
        count = next((k for k in range(least, 2 * least) if row % k == 0), least)
        length = -(-row // count)
        return [(start, min(start + length, row)) for start in range(0, row, length)]

    def _taken(self, node: Node, place: int, runs: Runs, chunk: int) -> Node:
        """Return the elements of ``runs`` along axis ``place``, in chunks of one run."""
        views = [
            AxisAccess.taken(a, runs) if a == place else AxisAccess.view(a, n)
            for a, n in enumerate(node.shape)
        ]
        shape = (*node.shape[:place], len(runs), *node.shape[place + 1 :])
        chunks = (*node.chunks[:place], chunk, *node.chunks[place + 1 :])
        return build.view(self._operation, node, views, shape, chunks)
