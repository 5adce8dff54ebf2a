"""Regions of an array cut along its chunks: the part of each chunk, and its place in the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from asyncexec.plan.lengths import Lengths, block_at, block_start

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncexec.plan.access import Along, Region
    from asyncexec.plan.box import Index, Shape


class ChunkSlice(NamedTuple):
    """The part of one chunk along one axis: ``in_chunk`` of the chunk goes to ``in_result`` of the result."""

    chunk: int
    in_chunk: Along
    in_result: Along


def chunk_slices(along: Along, size: int) -> list[ChunkSlice]:
    """Return one axis of a region cut along chunks of ``size`` elements, without the chunks that it does not touch."""
    # Called for every axis of every block that is read or written: the common cases come first.
    if not isinstance(along, slice):
        return _slices_of_positions(along, size)
    start, stop = along.start, along.stop
    if along.step in (None, 1):
        if start >= stop:
            return []
        if isinstance(size, Lengths):
            numbers = range(size.at(start), size.at(stop - 1) + 1)
            return [_slice(start, stop, number, size) for number in numbers]
        first = start // size
        base = first * size
        # Within one chunk, as nearly all blocks are.
        if stop <= base + size:
            return [ChunkSlice(first, slice(start - base, stop - base), slice(0, stop - start))]
        return [_slice(start, stop, number, size) for number in range(first, -(-stop // size))]
    return _slices_of_strides(range(start, -1 if stop is None else stop, along.step), size)


def _slice(start: int, stop: int, number: int, size: int) -> ChunkSlice:
    base, end = block_start(size, number), block_start(size, number + 1)
    low, high = max(start, base), min(stop, end)
    return ChunkSlice(number, slice(low - base, high - base), slice(low - start, high - start))


def _slices_of_strides(positions: range, size: int) -> list[ChunkSlice]:
    found: list[ChunkSlice] = []
    done = 0
    while done < len(positions):
        number = block_at(size, positions[done])
        base = block_start(size, number)
        edge = block_start(size, number + 1) if positions.step > 0 else base - 1
        count = len(range(positions[done], edge, positions.step))
        part = positions[done : done + count]
        low, last = part[0] - base, part[-1] - base
        end = last + (1 if positions.step > 0 else -1)
        found.append(
            ChunkSlice(
                number,
                slice(low, end if end >= 0 else None, positions.step),
                slice(done, done + len(part)),
            )
        )
        done += len(part)
    return found


def _slices_of_positions(positions: Any, size: int) -> list[ChunkSlice]:
    positions = np.asarray(positions, np.int64)
    numbers = _numbers(positions, size)
    if not len(numbers):
        return []
    # One stable sort groups the positions by chunk, however many chunks there are.
    order = np.argsort(numbers, kind="stable")
    chunks, starts = np.unique(numbers[order], return_index=True)
    return [
        ChunkSlice(number, positions[at] - block_start(size, number), at)
        for number, at in zip(chunks.tolist(), np.split(order, starts[1:]), strict=True)
    ]


def _numbers(positions: Any, size: int) -> Any:
    if isinstance(size, Lengths):
        return np.searchsorted(np.asarray(size.ends, np.int64), positions, "right")
    return positions // size


def within_one_chunk(
    pieces: Sequence[Sequence[ChunkSlice]],
) -> tuple[Index, tuple[Any, ...]] | None:
    """Return the chunk that all ``pieces`` are in, and the index of their view in it; None if they are in several."""
    chunk: list[int] = []
    # The ellipsis keeps an array without axes an array.
    inner: list[Any] = []
    for piece in pieces:
        if len(piece) != 1 or not isinstance(piece[0].in_chunk, slice):
            return None
        chunk.append(piece[0].chunk)
        inner.append(piece[0].in_chunk)
    return tuple(chunk), (*inner, ...)


def shape_of(region: Region) -> Shape:
    """Return the shape of ``region``."""
    return tuple([_count(along) if isinstance(along, slice) else len(along) for along in region])


def _count(along: slice) -> int:
    # A slice with a negative step that includes element 0 has no stop.
    step = 1 if along.step is None else along.step
    stop = -1 if along.stop is None else along.stop
    return len(range(along.start, stop, step))


def indexer(region: Region) -> Any:
    """Return ``region`` as a NumPy index that selects axis by axis, also where several axes have positions."""
    if all(isinstance(along, slice) for along in region):
        return region
    return np.ix_(*(_positions(along) for along in region))


def assign(out: np.ndarray, outer: Region, block: np.ndarray, inner: Region) -> None:
    """Set ``out[outer]`` to ``block[inner]``."""
    out[indexer(outer)] = block[indexer(inner)]


def _positions(along: Along) -> Any:
    if not isinstance(along, slice):
        return along
    # As above, a slice that includes element 0 backwards has no stop.
    return np.arange(along.start, -1 if along.stop is None else along.stop, along.step or 1)
