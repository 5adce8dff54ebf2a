"""Cohorts: sets of groups that occur in the same chunks, so that each is merged of these chunks alone.

Everything here is NumPy arrays of a few numbers for each chunk, and nothing is a Python object for each.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Numbers = NDArray[Any]

_SLAB = 1 << 16
"""How many chunks are looked at together, so that what is made of them on the way stays small."""

_SAMPLE = 1 << 15
"""How many chunks the choice of cohorts looks at."""


@dataclass(frozen=True, slots=True)
class Occurrences:
    """The groups that occur in each chunk along one axis.

    Attributes
    ----------
    table : ndarray of int
        Of shape ``(chunks, most)``: the groups of each chunk in ascending order, then -1.
    groups : int
        How many groups there are.
    members : ndarray of int
        The number of elements of each group.
    """

    table: Numbers
    groups: int
    members: Numbers

    @property
    def most(self) -> int:
        """The most groups of a chunk."""
        return int(self.table.shape[1])

    @property
    def apart(self) -> bool:
        """True if no group occurs in two chunks."""
        return int((self.table >= 0).sum()) == int((self.members > 0).sum())


def occurrences(codes: Numbers, axis: int, chunk: int, groups: int) -> Occurrences:
    """Return which of ``groups`` occur in each chunk of ``chunk`` elements along ``axis`` of their ``codes``."""
    length = codes.shape[axis]
    count = max(1, -(-length // chunk))
    rows = np.moveaxis(codes, axis, 0).reshape(length, -1)
    if length < count * chunk:
        filler = np.full((count * chunk - length, rows.shape[1]), -1, codes.dtype)
        rows = np.concatenate([rows, filler])
    known = codes[codes >= 0].ravel()
    members = np.bincount(known.astype(np.int64, copy=False), minlength=groups)
    return Occurrences(_distinct_of_rows(rows.reshape(count, -1)), groups, members)


def _slabs(rows: int) -> Iterator[slice]:
    return (slice(k, k + _SLAB) for k in range(0, rows, _SLAB))


def _distinct_of_rows(rows: Numbers) -> Numbers:
    """Return the distinct numbers from 0 of each row in ascending order, then -1."""
    ordered = np.sort(rows, axis=1)
    first = ordered >= 0
    first[:, 1:] &= ordered[:, 1:] != ordered[:, :-1]
    counts = first.sum(axis=1)
    most = max(1, int(counts.max(initial=0)))
    if most == rows.shape[1] and int(counts.min()) == most:
        return ordered
    table = np.full((len(rows), most), -1, rows.dtype)
    for slab in _slabs(len(rows)):
        row, column = np.nonzero(first[slab])
        place = np.cumsum(first[slab], axis=1)[row, column] - 1
        table[slab][row, place] = ordered[slab][row, column]
    return table


@dataclass(frozen=True, slots=True)
class Cohorts:
    """Consecutive sets of ``size`` groups, in an ``order`` of the groups, each with the chunks that it occurs in.

    Attributes
    ----------
    order : ndarray of int
        The groups, cohort after cohort.
    size : int
        How many groups a cohort has; the last may have fewer.
    widths : tuple of int
        How many partial results each pass merges; their product is the number of slots of a cohort.
    chunks : ndarray of int
        The chunk in each slot, cohort after cohort; what is beyond its own is repeated.
    places : ndarray of int
        Of shape ``(cohorts * slots, most)``: the place in the cohort of each group of the chunk, -1 of what is none.
    """

    order: Numbers
    size: int
    widths: tuple[int, ...]
    chunks: Numbers
    places: Numbers


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Groups in an ``order``, in cohorts of ``size``, and the number of pairs of a cohort and one of its chunks."""

    order: Numbers
    size: int
    pairs: float


def chunks_of_cohorts(table: Numbers, rank: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """Return every pair of a cohort and a chunk that it occurs in; ``rank`` is the place of each group in the order."""
    chunks, cohorts = [], []
    for slab in _slabs(len(table)):
        rows = table[slab]
        own = _distinct_of_rows(np.where(rows >= 0, rank[rows] // size, -1))
        row, column = np.nonzero(own >= 0)
        chunks.append(row + slab.start)
        cohorts.append(own[row, column])
    of_pairs = np.concatenate(cohorts)
    order = np.argsort(of_pairs, kind="stable")
    return of_pairs[order], np.concatenate(chunks)[order]


def arrangements(found: Occurrences, sizes: Iterable[int]) -> Iterator[Arrangement]:
    """Iterate over cohorts of each size, with groups in their own order, or by the first chunk where that is better.

    The pairs are counted in a sample, where there are many chunks.
    """
    chunks = len(found.table)
    sample = np.arange(chunks)
    if chunks > _SAMPLE:
        sample = np.sort(np.random.default_rng(0).choice(chunks, _SAMPLE, replace=False))
    table = found.table[sample]
    own, by_chunk = np.arange(found.groups), _by_first_chunk(found)
    for size in sizes:
        pairs = [
            len(chunks_of_cohorts(table, np.argsort(order), size)[0]) * (chunks / len(sample))
            for order in (own, by_chunk)
        ]
        better = 1.25 * pairs[1] < pairs[0]
        yield Arrangement(by_chunk if better else own, size, pairs[1] if better else pairs[0])


def _by_first_chunk(found: Occurrences) -> Numbers:
    """Return the groups by the first chunk that each occurs in."""
    first = np.full(found.groups, len(found.table))
    starts = [slab.start for slab in _slabs(len(found.table))]
    for start in reversed(starts):
        rows = found.table[start : start + _SLAB]
        row, column = np.nonzero(rows >= 0)
        # The last one that is assigned stays, which is that of the first chunk.
        first[rows[row, column][::-1]] = row[::-1] + start
    return np.argsort(first, kind="stable")


def cohorts_of(found: Occurrences, order: Numbers, size: int, most: int) -> Cohorts:
    """Return the cohorts of ``size`` groups in ``order``, whose partial results are merged ``most`` at a time."""
    rank = np.argsort(order)
    count = -(-found.groups // size)
    cohorts, chunks = chunks_of_cohorts(found.table, rank, size)
    per_cohort = np.bincount(cohorts, minlength=count)
    widths = merge_widths(int(per_cohort.max(initial=1)), most)
    slots = math.prod(widths)
    before = np.cumsum(per_cohort) - per_cohort
    place = np.arange(len(chunks)) - before[cohorts]
    # What is beyond its own chunks repeats one of them, which a task may have read anyway.
    last = np.zeros(count, np.int64)
    last[cohorts] = chunks
    listed = np.repeat(last, slots).reshape(count, slots)
    listed[cohorts, place] = chunks
    dtype = np.int16 if size <= np.iinfo(np.int16).max else np.int32
    places = np.full((count * slots, found.most), -1, dtype)
    rows = cohorts * slots + place
    for slab in _slabs(len(rows)):
        groups = found.table[chunks[slab]]
        own = rank[groups] - cohorts[slab, None] * size
        places[rows[slab]] = np.where((groups >= 0) & (own >= 0) & (own < size), own, -1)
    return Cohorts(order, size, widths, listed.reshape(-1), places)


def merge_widths(slots: int, most: int) -> tuple[int, ...]:
    """Return how many partial results each pass merges, at most ``most``, so that ``slots`` of them become one."""
    widths: list[int] = []
    while slots > 1:
        passes = 1
        while most**passes < slots:
            passes += 1
        width = int(np.ceil(slots ** (1 / passes) - 1e-9))
        widths.append(width)
        slots = -(-slots // width)
    return tuple(widths) or (1,)


@dataclass(frozen=True, slots=True)
class Bins:
    """Whole groups put together into bins of one length, so that each is in one block.

    Attributes
    ----------
    length : int
        Elements of a bin.
    positions : ndarray of int
        The element at each place, bin after bin.
    codes : ndarray of int
        The group of each; -1 of what only fills a bin.
    """

    length: int
    positions: Numbers
    codes: Numbers


def bins_of(codes: Numbers, groups: int, least: int) -> Bins:
    """Return bins of ``least`` elements, or more where a group has more, of the groups in their order."""
    order = np.argsort(codes, kind="stable")
    order = order[np.searchsorted(codes[order], 0) :]
    sizes = np.bincount(codes[order], minlength=groups)
    ends = np.cumsum(sizes)
    length = max(int(sizes.max(initial=1)), least, 1)
    edges = [0]
    total = int(ends[-1]) if groups else 0
    while edges[-1] < total:
        place = int(np.searchsorted(ends, edges[-1] + length, "right")) - 1
        edges.append(int(ends[place]))
    begins, lengths = np.asarray(edges[:-1] or [0]), np.diff(edges or [0])
    count = max(len(lengths), 1)
    inside = np.arange(length)[None, :]
    own = inside < (lengths[:, None] if len(lengths) else 0)
    row = np.minimum(begins[:, None] + inside, max(total - 1, 0))
    chosen = order[row] if total else np.zeros((count, length), np.int64)
    chosen = np.where(own, chosen, chosen[:, :1])
    return Bins(length, chosen.reshape(-1), np.where(own, codes[chosen], -1).reshape(-1))
