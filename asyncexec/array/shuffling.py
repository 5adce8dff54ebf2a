"""Elements in another order, group by group: the shuffle of Dask, by which xarray puts groups together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asyncexec.array import basic_indexing, build
from asyncexec.array.array import Array
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.index_keys import checked_numbers
from asyncexec.array.wrapping import as_array
from asyncexec.plan.access import AxisAccess


def shuffle(
    x: Array, indexer: Sequence[Sequence[int]], axis: int, /, chunks: ChunksLike = "auto"
) -> Array:
    """Return the elements of ``x`` along ``axis`` in the order of ``indexer``, whose lists are groups.

    Each task reads the chunks that hold its own elements; nothing is stored. Groups are listed in memory: 16 bytes for
    each run of neighbours, or 8 for each element.

    >>> x = xp.arange(8, chunks=4)
    >>> xp.shuffle(x, [[0, 4], [1, 5], [2, 6], [3, 7]], 0).compute()
    array([0, 4, 1, 5, 2, 6, 3, 7])

    Parameters
    ----------
    x : Array
    indexer : sequence of sequences of int
        The elements of each group; groups may leave elements out, or share some.
    axis : int
    chunks : int, tuple, "auto" or size
        Of the result. By default those of ``x``, along ``axis`` as many whole groups as fit where these are equally
        long; other groups lie across chunks, as chunks are regular.

    Raises
    ------
    IndexError
        If an element is out of range.
    TypeError
        If ``indexer`` has no sequences of integers.
    """
    array = as_array(x, "shuffle")
    place = build.normalized_axis(axis, array.ndim)
    n = array.shape[place]
    try:
        groups = [np.asarray(group).reshape(len(group)) for group in indexer]
    except (TypeError, ValueError):
        raise TypeError(f"shuffle takes a list of lists of integers, not {indexer!r}") from None
    filled = [group for group in groups if len(group)]
    joined = np.concatenate(filled) if filled else np.empty(0, np.int64)
    if joined.dtype.kind not in "iu":
        raise TypeError(f"shuffle takes lists of integers, not of {joined.dtype}")
    listed = basic_indexing.listing_of(checked_numbers(joined, n, place))
    length = _whole_groups([len(group) for group in filled], array.node.chunks[place])
    views = [
        AxisAccess.taken(p, listed) if p == place else AxisAccess.view(p, m)
        for p, m in enumerate(array.shape)
    ]
    shape = (*array.shape[:place], len(listed), *array.shape[place + 1 :])
    own = (*array.node.chunks[:place], length, *array.node.chunks[place + 1 :])
    found = Array(build.view("shuffle", array.node, views, shape, own), array.own_spec)
    return found if chunks == "auto" else found.rechunk(chunks)


def _whole_groups(lengths: Sequence[int], chunk: int) -> int:
    """Return the length of chunks that have whole groups, where these are equally long and no longer than a chunk."""
    if len(set(lengths)) != 1 or lengths[0] > chunk:
        return chunk
    return chunk // lengths[0] * lengths[0]
