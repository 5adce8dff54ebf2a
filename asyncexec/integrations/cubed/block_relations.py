"""Relations between stages, from the chunks that an operation reads of the arrays another writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from cubed.utils import normalize_chunks

from asyncexec.integrations.cubed.axis_tables import AxisTable, Tables
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.axes import (
    AxisMap,
    BlockAccess,
    Listed,
    block_groups,
    every_block,
    one_block,
    same_blocks,
)
from asyncexec.plan.box import Shape, Span, union
from asyncexec.plan.overlap import Overlap
from asyncexec.plan.relations import Blockwise

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An array that an operation of the plan writes.

    Attributes
    ----------
    stage : str
        The stage that writes it.
    shape : tuple of int
        The stage's index space.
    spans : tuple of sequence of Span
        For each axis and each position of a chunk: the positions of the blocks it is written in.
    """

    stage: str
    shape: Shape
    spans: tuple[Sequence[Span], ...]


def written(stage: str, shape: Shape, array: Any, block: Any) -> Written | None:
    """Return ``array`` as written in blocks of ``block`` elements; None if a task does not write exactly one."""
    blocks = edges_of(array, block)
    if tuple(len(edges) - 1 for edges in blocks) != shape:
        return None
    chunks = edges_of(array, chunks_of(array))
    spans = tuple(overlaps(c, b) for c, b in zip(chunks, blocks, strict=True))
    return Written(stage=stage, shape=shape, spans=spans)


def relation(producer: Written, consumer: Shape, tables: Tables) -> Blockwise:
    """Return the relation between ``producer`` and a stage of shape ``consumer`` that reads by ``tables``."""
    axes: list[int | None] = []
    maps: list[AxisMap] = []
    for n, blocks, table in zip(producer.shape, producer.spans, tables, strict=True):
        by_block = AxisTable(table.axis, tuple(_through(span, blocks) for span in table.spans))
        axes.append(table.axis)
        maps.append(axis_map(n, by_block))
    return Blockwise(producer.shape, consumer, tuple(axes), tuple(maps))


def axis_map(producer: int, table: AxisTable) -> AxisMap:
    """Return ``table`` in closed form where it has one."""
    spans = table.spans
    if table.axis is None:
        (span,) = spans
        if len(span) == producer:
            return every_block(producer)
        return one_block(span[0], producer) if len(span) == 1 else Listed(producer, spans)
    if producer == 1 and all(len(s) == 1 for s in spans):
        return same_blocks(1, len(spans))
    if len(spans) == producer and all(tuple(s) == (i,) for i, s in enumerate(spans)):
        return same_blocks(producer, producer)
    for closed in _guesses(producer, spans):
        if closed.consumer == len(spans) and all(
            tuple(s) == tuple(closed.reads(i)) for i, s in enumerate(spans)
        ):
            return closed
    return Listed(producer, spans)


def _guesses(producer: int, spans: Sequence[Span]) -> Iterator[BlockAccess]:
    """Iterate over closed forms that fit the first positions: groups, and spans of one length at equal distances."""
    yield block_groups(max(len(spans[0]), 1), producer)
    if len(spans) > 2 and spans[1] and spans[2]:
        stride = spans[2][0] - spans[1][0]
        around = Overlap(0, spans[1][-1] - spans[1][0], 0, producer)
        access = AxisAccess(0, 1, 0, len(spans), stride, spans[1][0] - stride, around)
        yield BlockAccess(access, producer, 1, len(spans))


def chunks_of(array: Any) -> Any:
    """Return the chunks of a Zarr array, or of one that is still to be made."""
    try:
        return array.chunks
    except NotImplementedError:  # Zarr's error for chunks of several lengths
        return array.read_chunk_sizes


def edges_of(array: Any, chunks: Any) -> list[NDArray[np.int64]]:
    """Return the edges of chunks on every axis of ``array``, in elements: each start, and the last end."""
    return edges(normalize_chunks(chunks, shape=array.shape, dtype=array.dtype))


def edges(chunks: Iterable[Sequence[int]]) -> list[NDArray[np.int64]]:
    """Return the edges of chunks of these lengths on every axis: each start, and the last end."""
    return [np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))) for lengths in chunks]


def overlaps(these: NDArray[np.int64], others: NDArray[np.int64]) -> list[Span]:
    """Return for each interval between ``these`` edges the intervals between ``others`` that it touches."""
    starts = np.searchsorted(others, these[:-1], side="right") - 1
    stops = np.searchsorted(others, these[1:], side="left")
    return [range(a, max(a + 1, b)) for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]


def _through(chunks: Span, blocks: Sequence[Span]) -> Span:
    """Return the blocks that hold any of ``chunks``."""
    if isinstance(chunks, range):
        if not chunks:
            return range(0)
        # Chunks and blocks both go in order, so neighbours are in neighbours.
        return range(blocks[chunks.start].start, blocks[chunks[-1]].stop)  # type: ignore[union-attr]  # neighbours are ranges
    return union(blocks[i] for i in chunks)
