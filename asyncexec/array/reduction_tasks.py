"""The least number of tasks of the first pass of each reduction of a plan.

As many as the plan's ``Spec(reduction_tasks=...)`` says, but where partial results are large, storing them costs more
than reading the chunks that they come from: a mean of each of twelve months makes two bytes (float64) of each that it
reads (float32), where a chunk holds a year. There, tasks take more chunks one after another, so that no more bytes are
stored than a share of what is read. The choice depends on the plan alone, so that results do, whatever workers it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from asyncexec.array.chunks import chunk_bytes, grid
from asyncexec.array.nodes import Node
from asyncexec.array.reductions import SPLIT_EVERY, Reduction
from asyncexec.array.streamed_reductions import LARGE_BYTES

STORED_SHARE = 0.25
"""What large partial results may amount to in all, as a share of the bytes that tasks read for them."""

FEWER = SPLIT_EVERY
"""How many times fewer tasks there may be for the sake of it.

The pass that follows merges ``SPLIT_EVERY`` partial results a task: it has as many times fewer tasks in any case, and
about as much to do, so that more tasks before it would end little sooner.
"""


@dataclass(frozen=True, slots=True)
class ChunksOfReduction:
    """The chunks that a reduction takes.

    ``reduced`` of them become one result each, for each of ``kept`` places along other axes; one has ``read_bytes``,
    and its partial result ``made_bytes``.
    """

    reduced: int
    kept: int
    read_bytes: int
    made_bytes: int


def least_tasks(reductions: Iterable[Reduction], tasks: int) -> dict[Reduction, int]:
    """Return how many tasks the first pass of each has at least, where ``tasks`` are asked for.

    Reductions of the same chunks have the same number, the least of them: else a stage that makes the partial results
    of several, as it reads for all of them once, had to store these.
    """
    alike: dict[tuple[tuple[int, ...], tuple[int, ...]], list[Reduction]] = {}
    for each in reductions:
        of = each.inputs[0]
        counts = list(grid(of.shape, of.chunks))
        while counts and counts[-1] == 1:
            # Partial results of groups have these along an axis of their own.
            counts.pop()
        reduced = tuple(a for a in each.axes if a < len(counts))
        alike.setdefault((tuple(counts), reduced), []).append(each)
    return {
        each: least
        for together in alike.values()
        for least in (min(enough_tasks(_chunks(each), tasks) for each in together),)
        for each in together
    }


def enough_tasks(chunks: ChunksOfReduction, tasks: int) -> int:
    """Return how many tasks a reduction of ``chunks`` has at least, where ``tasks`` are asked for."""
    if chunks.made_bytes < LARGE_BYTES:
        # A task costs more than storing them.
        return tasks
    pieces = math.ceil(chunks.made_bytes / (STORED_SHARE * max(chunks.read_bytes, 1)))
    storing_little = chunks.kept * max(1, chunks.reduced // pieces)
    return min(tasks, max(-(-tasks // FEWER), storing_little))


def _chunks(reduction: Reduction) -> ChunksOfReduction:
    of, axes = reduction.inputs[0], reduction.axes
    counts = grid(of.shape, of.chunks)
    partial = tuple(1 if a in axes else min(c, of.shape[a]) for a, c in enumerate(of.chunks))
    each = sum(dtype.itemsize for dtype in reduction.reducer.partial_dtypes)
    # Where partial results are its inputs, what makes them reads the chunks.
    reads = of.inputs[0].inputs if reduction.started else reduction.inputs
    return ChunksOfReduction(
        reduced=math.prod(counts[a] for a in axes),
        kept=math.prod(n for a, n in enumerate(counts) if a not in axes),
        read_bytes=sum(map(_bytes_of_chunk, reads)),
        made_bytes=math.prod(partial) * each,
    )


def _bytes_of_chunk(node: Node) -> int:
    return chunk_bytes(node.shape, node.chunks, node.dtype.itemsize)
