"""Chunks as xarray writes them, a tuple of lengths for each axis, and as arrays here have them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from asyncexec.array.chunks import PREFERRED_BYTES, normalize_chunks
from asyncexec.errors import OptionError
from asyncexec.plan.box import Shape
from asyncexec.plan.given_numbers import as_whole_number
from asyncexec.plan.lengths import each_length, lengths_of
from asyncexec.plan.memory import parse_bytes

type ChunkTuples = tuple[tuple[int, ...], ...]


def chunk_tuples(shape: Shape, chunks: Shape) -> ChunkTuples:
    """Return the lengths of all chunks along each axis.

    >>> from asyncexec.integrations.xarray.chunk_tuples import chunk_tuples
    >>> chunk_tuples((5, 4), (2, 4))
    ((2, 2, 1), (4,))
    """
    return tuple(map(_lengths_along, shape, chunks))


def settled_chunks(
    chunks: Any,
    shape: Shape,
    itemsize: int,
    *,
    limit: int | str | None = None,
    previous: Sequence[Any] | None = None,
) -> Shape:
    """Return the chunk lengths of an array, for chunks in any of xarray's spellings.

    >>> from asyncexec.integrations.xarray.chunk_tuples import settled_chunks
    >>> settled_chunks({0: (31, 28, 31)}, (90, 10), 8)
    ((31, 28, 31), 10)
    >>> settled_chunks("auto", (4000, 4000), 8, limit="8MB", previous=(100, 4000))
    (200, 4000)

    Parameters
    ----------
    chunks : int, "auto", size, tuple or mapping
        For all axes, or for each: a length, None or -1 for the whole axis, "auto", a size such as "100MB" (for all axes
        that have one, the least), or the lengths of all its chunks. A mapping names axes; the others keep their
        ``previous`` chunks, or are whole.
    shape : tuple of int
    itemsize : int
        Bytes of an element.
    limit : int or str, optional
        The size that "auto" aims at.
    previous : sequence of int or tuple, optional
        The chunks there are, of which "auto" takes whole multiples.

    Raises
    ------
    OptionError
        If they do not fit the shape.
    """
    known = (
        None if previous is None else [_length(p, n) for p, n in zip(previous, shape, strict=True)]
    )
    most = PREFERRED_BYTES if limit is None else parse_bytes(limit, what="limit")
    if isinstance(chunks, str) and chunks != "auto":
        chunks, most = "auto", parse_bytes(chunks, what="chunks")
    given = _for_each_axis(chunks, shape, known)
    if len(given) != len(shape):
        raise OptionError(
            f"chunks={chunks!r} are for {len(given)} axes, and there are {len(shape)}"
        )
    wanted = [_length(c, n) for c, n in zip(given, shape, strict=True)]
    sizes = [parse_bytes(w, what="chunks") for w in wanted if isinstance(w, str) and w != "auto"]
    if sizes:
        wanted, most = ["auto" if isinstance(w, str) else w for w in wanted], min(sizes)
    if known is not None and "auto" in wanted and all(map(_is_number, known)):
        wanted = _multiples(wanted, known, shape, max(most // max(itemsize, 1), 1))
    return normalize_chunks(tuple(wanted), shape, itemsize, limit=most)


def _lengths_along(n: int, chunk: int) -> tuple[int, ...]:
    return each_length(n, chunk) or (0,)


def _for_each_axis(chunks: Any, shape: Shape, known: list[Any] | None) -> Sequence[Any]:
    if isinstance(chunks, Mapping):
        others = known if known is not None else [None] * len(shape)
        named = {axis % len(shape): given for axis, given in chunks.items()}
        return [named.get(axis, other) for axis, other in enumerate(others)]
    if isinstance(chunks, str) or as_whole_number(chunks) is not None or chunks is None:
        return [chunks] * len(shape)
    given = list(chunks)
    # One axis may have its lengths without a tuple around them.
    if len(shape) == 1 and len(given) > 1 and all(map(_is_number, given)):
        return [tuple(given)]
    return given


def _length(given: Any, n: int) -> Any:
    """Return the length of chunks along an axis of ``n`` elements, all of whose lengths may be given."""
    if n == 0 and as_whole_number(given) == 0:
        return -1
    if isinstance(given, str) or given is None or not hasattr(given, "__len__"):
        return given
    lengths = [int(length) for length in given]
    if sum(lengths) != n:
        return given  # Refused by normalize_chunks, which says so.
    return lengths_of(lengths)


def _is_number(given: Any) -> bool:
    number = as_whole_number(given)
    return number is not None and number > 0


def _multiples(wanted: list[Any], known: list[Any], shape: Shape, most_elements: int) -> list[Any]:
    """Return ``wanted`` with multiples of the ``known`` chunks for "auto", until chunks have ``most_elements``."""
    whole = [n if w in (None, -1) else w for w, n in zip(wanted, shape, strict=True)]
    free = [axis for axis, w in enumerate(wanted) if isinstance(w, str)]
    found = [known[axis] if axis in free else w for axis, w in enumerate(whole)]
    while True:
        longer = [a for a in free if found[a] < shape[a]]
        # The axis that has been multiplied least is next, so that chunks grow evenly.
        axis = min(longer, key=lambda a: found[a] / known[a], default=None)
        if axis is None or 2 * math.prod(found) > most_elements:
            return found
        found[axis] *= 2
