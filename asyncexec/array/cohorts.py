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
    return Occurrences(_distinct_of_rows(rows.reshape(count, -1)), groups, _sizes_of(codes, groups))


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
    return _in_rows(ordered[first], counts)


def _in_rows(numbers: Numbers, counts: Numbers) -> Numbers:
    """Return a table with the next ``counts[k]`` of ``numbers`` in front of row ``k``, then -1."""
    most = max(1, int(counts.max(initial=0)))
    table = np.full((len(counts), most), -1, numbers.dtype)
    table[np.arange(most) < counts[:, None]] = numbers
    return table


def _sizes_of(codes: Numbers, groups: int) -> Numbers:
    """Return how many of ``codes`` are each group; -1 is none."""
    return np.bincount(codes.reshape(-1) + codes.dtype.type(1), minlength=groups + 1)[1:]


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
    nowhere = len(found.table)
    first = np.full(found.groups, nowhere)
    missing = np.count_nonzero(found.members)
    for slab in _slabs(nowhere):
        row, column = np.nonzero(found.table[slab] >= 0)
        groups = found.table[slab][row, column]
        new = first[groups] == nowhere
        # The last one that is assigned stays, which is that of the first chunk.
        first[groups[new][::-1]] = row[new][::-1] + slab.start
        if np.count_nonzero(first < nowhere) == missing:
            break
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
    occurrences : Occurrences
        The groups in each bin.
    """

    length: int
    positions: Numbers
    codes: Numbers
    occurrences: Occurrences


def bins_of(codes: Numbers, groups: int, least: int) -> Bins:
    """Return bins of ``least`` elements, or more where a group has more, of the groups in their order."""
    sizes = _sizes_of(codes, groups)
    ends = np.cumsum(sizes)
    total = int(ends[-1]) if groups else 0
    order = np.argsort(codes, kind="stable")[len(codes) - total :]
    length = max(int(sizes.max(initial=1)), least, 1)
    edges = [0]
    while edges[-1] < total:
        place = int(np.searchsorted(ends, edges[-1] + length, "right")) - 1
        edges.append(int(ends[place]))
    lengths = np.diff(edges) if total else np.zeros(1, np.int64)
    own = np.arange(length) < lengths[:, None]
    # What only fills a bin repeats its first element, which a task reads anyway.
    positions = np.repeat(order[edges[:-1]] if total else lengths, length)
    of_places = np.full(own.size, -1, codes.dtype)
    positions[own.reshape(-1)] = order
    of_places[own.reshape(-1)] = np.repeat(np.arange(groups, dtype=codes.dtype), sizes)
    there = np.flatnonzero(sizes)
    in_bin = np.searchsorted(edges, (ends - sizes)[there], "right") - 1
    table = _in_rows(there.astype(codes.dtype), np.bincount(in_bin, minlength=len(lengths)))
    return Bins(length, positions, of_places, Occurrences(table, groups, sizes))
