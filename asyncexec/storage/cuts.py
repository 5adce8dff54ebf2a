"""Cutting a region of an array along its chunks: which part of which chunk goes where in the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from asyncexec.storage.selections import Along, Region


class Cut(NamedTuple):
    """One chunk's share of one axis: ``inner`` within the chunk goes to ``outer`` of the result."""

    chunk: int
    inner: Along
    outer: Along


def cuts(along: Along, size: int) -> list[Cut]:
    """Cut one axis along chunks of ``size`` elements; chunks of which nothing is taken do not appear."""
    if not isinstance(along, slice):
        return _cuts_of_positions(along, size)
    start, stop = along.start, along.stop
    if along.step in (None, 1):
        if start >= stop:
            return []
        first = start // size
        if stop <= (first + 1) * size:
            return [
                Cut(first, slice(start - first * size, stop - first * size), slice(0, stop - start))
            ]
        return [_cut(start, stop, number, size) for number in range(first, -(-stop // size))]
    return _cuts_of_strides(range(start, -1 if stop is None else stop, along.step), size)


def _cut(start: int, stop: int, number: int, size: int) -> Cut:
    low, high = max(start, number * size), min(stop, (number + 1) * size)
    return Cut(
        number, slice(low - number * size, high - number * size), slice(low - start, high - start)
    )


def _cuts_of_strides(positions: range, size: int) -> list[Cut]:
    found: list[Cut] = []
    done = 0
    while done < len(positions):
        number = positions[done] // size
        edge = (number + 1) * size if positions.step > 0 else number * size - 1
        count = len(range(positions[done], edge, positions.step))
        part = positions[done : done + count]
        low, last = part[0] - number * size, part[-1] - number * size
        end = last + (1 if positions.step > 0 else -1)
        found.append(
            Cut(
                number,
                slice(low, end if end >= 0 else None, positions.step),
                slice(done, done + len(part)),
            )
        )
        done += len(part)
    return found


def _cuts_of_positions(positions: Any, size: int) -> list[Cut]:
    positions = np.asarray(positions, np.int64)
    numbers = positions // size
    return [
        Cut(number, positions[at] - number * size, at)
        for number in np.unique(numbers).tolist()
        for at in (np.flatnonzero(numbers == number),)
    ]


def indexer(region: Region) -> Any:
    """Return ``region`` as NumPy indexes with it, axis by axis, also where several axes have positions."""
    if all(isinstance(along, slice) for along in region):
        return region
    return np.ix_(*(_positions(along) for along in region))


def assign(out: np.ndarray, outer: Region, block: np.ndarray, inner: Region) -> None:
    """Set ``out[outer]`` to ``block[inner]``."""
    out[indexer(outer)] = block[indexer(inner)]


def _positions(along: Along) -> Any:
    if not isinstance(along, slice):
        return along
    # A slice that runs off the front has no stop.
    return np.arange(along.start, -1 if along.stop is None else along.stop, along.step or 1)
