"""Chunk arithmetic: pure functions of shapes, chunk lengths and bytes.

Along an axis chunks have one length, and the last may be shorter; or lengths that differ, listed one by one
(:class:`~asyncexec.plan.lengths.Lengths`, which as a number are the longest). An axis of no elements has the chunk
length 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from asyncexec.array.integers import integer
from asyncexec.errors import OptionError
from asyncexec.plan.box import Shape
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.plan.lengths import Lengths, count_blocks, each_length, fitting_length, lengths_of
from asyncexec.plan.memory import parse_bytes

PREFERRED_BYTES = 64 * 1024 * 1024
"""The chunk size that "auto" aims at, where memory allows it."""

MOST_LISTED = 100_000
"""The most chunks along an axis whose lengths are listed without being asked for: beyond, one length serves better."""

POSITION_BYTES = 64
"""The most that a position takes while it is sorted by chunk and cut out of it: some arrays of 64-bit numbers."""

type ChunksLike = int | str | Sequence[Any] | Mapping[int, Any] | None


def normalize_chunks(
    chunks: ChunksLike,
    shape: Shape,
    itemsize: int,
    *,
    limit: int = PREFERRED_BYTES,
    previous: Shape | None = None,
) -> Shape:
    """Return one chunk length per axis.

    Parameters
    ----------
    chunks : int, "auto", size, tuple, mapping or None
        An int is the length for every axis; -1 or None for an axis is the whole axis; "auto" (for the whole or for an
        axis) makes chunks of about ``limit`` bytes, a size such as "100MB" of about that. A mapping names axes; the
        others keep their ``previous`` chunks. Lengths may be listed one by one for an axis, as Dask and xarray have
        them.
    shape : tuple of int
    itemsize : int
        Bytes per element.
    limit : int
        What "auto" aims at, in bytes.
    previous : tuple of int, optional
        Chunks of what is rechunked.

    Raises
    ------
    OptionError
        If they do not fit the shape.
    """
    if isinstance(chunks, str) and chunks != "auto":
        chunks, limit = "auto", parse_bytes(chunks, what="chunks")
    wanted = [
        _axis_chunks(given, n, axis, shape)
        for axis, (given, n) in _per_axis(chunks, shape, previous)
    ]
    return _fill_auto(wanted, shape, itemsize, limit)


def grid(shape: Shape, chunks: Shape) -> Shape:
    """Return how many chunks lie along each axis."""
    return tuple(count_blocks(n, c) for n, c in zip(shape, chunks, strict=True))


def chunk_bytes(shape: Shape, chunks: Shape, itemsize: int) -> int:
    """Return the size of the largest chunk."""
    return math.prod(min(n, c) for n, c in zip(shape, chunks, strict=True)) * itemsize


def clipped(chunks: Sequence[int], shape: Shape) -> Shape:
    """Return ``chunks`` cut to ``shape``; at least 1 along each axis."""
    return tuple(fitting_length(n, c) for c, n in zip(chunks, shape, strict=True))


def listed_chunks(chunks: Shape) -> tuple[int | tuple[int, ...], ...]:
    """Return ``chunks`` as users see them: a number for an axis, or all lengths where they differ."""
    return tuple(c.each if isinstance(c, Lengths) else c for c in chunks)


def is_regular(chunks: Shape) -> bool:
    """Return whether chunks have one length along each axis."""
    return not any(isinstance(c, Lengths) for c in chunks)


def lengths_shown(length: int, extent: int, shown: range) -> int:
    """Return the lengths of chunks of what a slice shows of an axis: cut where the axis is, if its lengths differ."""
    if not isinstance(length, Lengths):
        return length
    if shown == range(extent):
        return length
    count = len(shown)
    if not count:
        return 1
    ascending = shown if shown.step > 0 else shown[::-1]
    first, step = ascending.start, ascending.step
    ends = [min(max(-(-(end - first) // step), 0), count) for end in length.ends]
    each = [b - a for a, b in pairwise((0, *ends))]
    return lengths_of(each if shown.step > 0 else each[::-1])


def one_after_another(along: Sequence[tuple[int, int]], *, otherwise: int) -> int:
    """Return the lengths of all chunks along several axes (lengths and chunks of each), put one after another.

    They are those of ``otherwise`` where there are too many to list.
    """
    if sum(count_blocks(n, c) for n, c in along) > MOST_LISTED:
        return int(otherwise)
    first = along[0][1] if along else 1
    if isinstance(first, Lengths) and first.settled:
        # Where the lengths of the first differ, all do: its own are not listed once more.
        return first.followed_by(length for n, c in along[1:] for length in each_length(n, c))
    return lengths_of(length for n, c in along for length in each_length(n, c))


def broadcast_shapes(*shapes: Shape) -> Shape:
    """Return the shape that all ``shapes`` broadcast to.

    >>> xp.broadcast_shapes((8, 1, 6), (7, 1))
    (8, 7, 6)

    Raises
    ------
    ValueError
        If they do not; names the shapes.
    """
    ndim = max(map(len, shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for axis, n in enumerate(shape, start=ndim - len(shape)):
            if n == 1 or n == result[axis]:
                continue
            if result[axis] != 1:
                raise ValueError(
                    f"shapes {' and '.join(map(str, shapes))} do not broadcast: along axis {axis - ndim} the lengths "
                    f"{result[axis]} and {n} differ, and neither is 1"
                )
            result[axis] = n
    return tuple(result)


def unify_chunks(
    shape: Shape,
    operands: Sequence[tuple[Shape, Shape, int]],
    itemsize: int,
    *,
    limit: int = PREFERRED_BYTES,
) -> Shape:
    """Return the chunks in which arrays are computed together after broadcasting to ``shape``.

    Each axis takes the chunks of the operand with the most bytes that has the axis at full length, so that the largest
    is read as it lies. Where that would make chunks beyond ``limit`` and beyond each operand's own (an outer product),
    they are halved until they fit.

    Parameters
    ----------
    shape : tuple of int
    operands : sequence of (shape, chunks, itemsize)
    itemsize : int
        Of the result.
    limit : int
        In bytes.
    """
    ranked = sorted(operands, key=lambda o: math.prod(o[0]) * o[2], reverse=True)
    chunks = [max(1, n) for n in shape]
    for axis, n in enumerate(shape):
        for own_shape, own_chunks, _ in ranked:
            own = axis - (len(shape) - len(own_shape))
            if own >= 0 and own_shape[own] == n:
                chunks[axis] = own_chunks[own]
                break
    largest = max((chunk_bytes(s, c, i) for s, c, i in operands), default=0)
    return shortened(clipped(chunks, shape), shape, itemsize, max(limit, largest))


def shortened(chunks: Shape, shape: Shape, itemsize: int, limit: int) -> Shape:
    """Return ``chunks`` with the longest halved, again and again, until one takes no more than ``limit`` bytes."""
    halved = list(chunks)
    while chunk_bytes(shape, tuple(halved), itemsize) > limit and max(halved) > 1:
        axis = halved.index(max(halved))
        halved[axis] = -(-halved[axis] // 2)
    return tuple(halved)


def _per_axis(
    chunks: ChunksLike, shape: Shape, previous: Shape | None
) -> enumerate[tuple[Any, int]]:
    if isinstance(chunks, Mapping):
        named = {_axis(axis, len(shape)): length for axis, length in chunks.items()}
        base = previous if previous is not None else ("auto",) * len(shape)
        given: Sequence[Any] = [named.get(axis, own) for axis, own in enumerate(base)]
    elif chunks is None or isinstance(chunks, str) or as_whole_number(chunks) is not None:
        given = [chunks] * len(shape)
    else:
        given = _entries(chunks)
    if len(given) != len(shape):
        raise OptionError(
            f"chunks={chunks!r} has {len(given)} entries, and the array has {len(shape)} axes (shape {shape}): "
            f"give one entry per axis"
        )
    return enumerate(zip(given, shape, strict=True))


def _entries(chunks: Any) -> list[Any]:
    try:
        return list(chunks)
    except TypeError:
        raise OptionError(
            f"chunks={chunks!r} cannot be: give one length, a tuple with one for each axis, a mapping of axes to "
            f"lengths, 'auto', or a size such as '100MB'"
        ) from None


def _axis(axis: Any, ndim: int) -> int:
    number = as_whole_number(axis)
    if number is None or not -ndim <= number < ndim:
        raise OptionError(f"chunks are given for axis {axis!r}, and there are {ndim} axes")
    return number % ndim


def _axis_chunks(given: Any, n: int, axis: int, shape: Shape) -> int | None:
    """Return the chunk length along one axis; None for "auto"."""
    if isinstance(given, str) and given == "auto":
        return None
    if isinstance(given, Lengths) and given.total == n:
        return given
    length = as_whole_number(given)
    if given is None or length == -1:
        return max(1, n)
    if length is None and hasattr(given, "__len__") and not isinstance(given, str):
        return _regular(given, n, axis)
    if isinstance(given, float) and given.is_integer():
        length = int(given)
    if length is None or length < 1:
        raise OptionError(
            f"a chunk length of {given!r} along axis {axis} (shape {shape}) cannot be: give a positive int, "
            f"-1 for the whole axis, or 'auto'"
        )
    return max(1, min(length, n))


def _regular(given: Any, n: int, axis: int) -> int:
    """Return the length of chunks that are listed, or their lengths where these differ."""
    lengths = [integer(length, f"a chunk length along axis {axis}") for length in given]
    if sum(lengths) != n or min(lengths, default=0) < 0:
        raise OptionError(
            f"chunks {tuple(lengths)} along axis {axis} add up to {sum(lengths)}, and the axis has {n} elements: give "
            f"lengths of chunks that cover it, or one length for all"
        )
    return lengths_of(lengths)


def _fill_auto(wanted: Sequence[int | None], shape: Shape, itemsize: int, limit: int) -> Shape:
    chunks = [max(1, n) if c is None else c for c, n in zip(wanted, shape, strict=True)]
    free = {axis for axis, c in enumerate(wanted) if c is None}
    while free and (size := math.prod(chunks) * itemsize) > limit:
        # Shrink what is free evenly; an axis that is short already stays whole and the others shrink more.
        ideal = (limit / size * math.prod(chunks[a] for a in free)) ** (1 / len(free))
        short = {axis for axis in free if chunks[axis] <= ideal}
        if short and short != free:
            free -= short
            continue
        for axis in free:
            chunks[axis] = max(1, min(chunks[axis], int(ideal + 1e-9)))
        break
    return tuple(chunks)
