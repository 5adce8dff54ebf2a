"""Lists of positions that are mostly neighbours, kept as runs: a few numbers a run, however many positions there are.

What a mask selects of each chunk, what is merged from sorted chunks, and chunks in another order are such lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncexec.errors import RelationError
from asyncexec.plan.lengths import Lengths, block_at
from asyncexec.plan.positions import Listing, Positions, blocks_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    type Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Runs:
    """Numbers of elements in runs, one after another: ``starts[k]``, ``starts[k] + stride``, …, ``counts[k]`` of them.

    It has the methods of :class:`~asyncexec.plan.positions.Positions`. Runs without elements are dropped, and runs that
    go on where the last one ends are one.

    Raises
    ------
    RelationError
        If starts and counts are not as many integers, or a count is negative.

    >>> from asyncexec.plan.runs import Runs
    >>> Runs([10, 0], [2, 3]).taken(0, 1, 5)
    array([10, 11,  0,  1,  2])
    """

    starts: NDArray[Any]
    counts: NDArray[Any]
    stride: int = 1

    def __post_init__(self) -> None:
        starts, counts = np.asarray(self.starts), np.asarray(self.counts)
        if starts.ndim != 1 or starts.shape != counts.shape:
            raise RelationError(
                f"runs have a start and a count each, not {starts.shape} and {counts.shape}"
            )
        starts, counts = starts.astype(np.int64), counts.astype(np.int64)
        if (counts < 0).any():
            raise RelationError("runs have no negative count")
        starts, counts = _joined(starts[counts > 0], counts[counts > 0], self.stride)
        for name, kept in (("starts", starts), ("counts", counts)):
            kept.setflags(write=False)
            object.__setattr__(self, name, kept)

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self.starts) else 0

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Runs) and self.digest == other.digest)

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Runs({len(self)} in {len(self.starts)}, {self.digest})"

    @cached_property
    def _ends(self) -> Numbers:
        return np.cumsum(self.counts)

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return self.starts.nbytes + self.counts.nbytes

    @cached_property
    def digest(self) -> str:
        """A hash of the content."""
        head = f"runs{self.stride} {len(self.starts)}".encode()
        data = head + self.starts.tobytes() + self.counts.tobytes()
        return blake2b(data, digest_size=16).hexdigest()

    @cached_property
    def _low_high(self) -> tuple[Numbers, Numbers]:
        """The least and the greatest position of each run."""
        last = self.starts + (self.counts - 1) * self.stride
        return np.minimum(self.starts, last), np.maximum(self.starts, last)

    @cached_property
    def least(self) -> int:
        """The smallest position (0 of none)."""
        return int(self._low_high[0].min()) if len(self.starts) else 0

    @cached_property
    def greatest(self) -> int:
        """The greatest position (-1 of none)."""
        return int(self._low_high[1].max()) if len(self.starts) else -1

    @cached_property
    def distinct(self) -> bool:
        """True if no position is known to come twice: no two runs overlap."""
        if not self.stride:
            return len(self) <= 1
        low, high = self._low_high
        order = np.argsort(low, kind="stable")
        return bool((low[order][1:] > high[order][:-1]).all())

    def one(self, number: int) -> int:
        """Return the position that stands at ``number``."""
        return int(self._at(np.asarray([number]))[0])

    def taken(self, first: int, step: int, count: int) -> Numbers:
        """Return the ``count`` positions at ``first``, ``first + step``, …."""
        return self._at(first + step * np.arange(count, dtype=np.int64))

    def along(self, first: int, step: int, count: int) -> slice | Numbers:
        """Return the same as a slice where they all lie in one run."""
        last = first + (count - 1) * step
        runs = np.searchsorted(self._ends, (first, last), "right")
        apart = self.stride * step
        if runs[0] != runs[1] or not apart:
            return self.taken(first, step, count)
        start = self.one(first)
        stop = start + (count - 1) * apart + (1 if apart > 0 else -1)
        return slice(start, stop if stop >= 0 else None, apart)

    def in_one_run(self, block: int, lo: int, hi: int) -> bool:
        """Return whether every task, of ``block`` numbers within ``lo`` to ``hi``, needs positions of one run."""
        edges = self._ends[(self._ends > lo) & (self._ends < hi)]
        if isinstance(block, Lengths):
            return bool(np.isin(edges, block.ends).all())
        return bool((edges % block == 0).all())

    def affine(self, step: int, offset: int) -> Runs:
        """Return the positions ``p * step + offset``."""
        return Runs(self.starts * step + offset, self.counts, self.stride * step)

    def pairs(
        self, first: int, step: int, numbers: range, *, block: int, chunk: int
    ) -> tuple[Numbers, Numbers]:
        """Return every read of a block of ``chunk`` elements by a task, once each; see :meth:`Positions.pairs`."""
        if step != 1 or abs(self.stride) != 1 or not numbers:
            listed = Positions(self.taken(0, 1, len(self)))
            return listed.pairs(first, step, numbers, block=block, chunk=chunk)
        # Pieces of runs that belong to one task each, as numbers of positions.
        shift = numbers.start - first
        tasks = _borders(block, numbers) - shift
        end = first + len(numbers)
        inner = self._ends[(self._ends > first) & (self._ends < end)]
        cuts = np.unique(np.concatenate([[first, end], inner, tasks]))
        begins, lengths = cuts[:-1], np.diff(cuts)
        here = self._at(begins)
        there = here + (lengths - 1) * self.stride
        low = blocks_at(chunk, np.minimum(here, there))
        high = blocks_at(chunk, np.maximum(here, there))
        per_piece = high - low + 1
        blocks = _expanded(low, per_piece)
        width = block_at(block, numbers.stop) + 1
        of_tasks = np.repeat(blocks_at(block, begins + shift), per_piece)
        return np.divmod(np.unique(blocks * width + of_tasks), width)

    def at(self, numbers: Listing) -> Listing:
        """Return the positions that stand at ``numbers``, one after another."""
        if isinstance(numbers, Positions):
            return Positions(self._at(numbers.array.astype(np.int64)))
        if not isinstance(numbers, Runs) or numbers.stride != 1 or not len(numbers):
            return Positions(self._at(numbers.taken(0, 1, len(numbers))))
        # Each run of numbers is cut where a run of positions ends.
        first = np.searchsorted(self._ends, numbers.starts, "right")
        last = np.searchsorted(self._ends, numbers.starts + numbers.counts - 1, "right")
        pieces = last - first + 1
        run = _expanded(first, pieces)
        begin = np.maximum(np.repeat(numbers.starts, pieces), self._ends[run] - self.counts[run])
        end = np.minimum(np.repeat(numbers.starts + numbers.counts, pieces), self._ends[run])
        return Runs(self._at(begin), end - begin, self.stride)

    def _at(self, numbers: Any) -> Numbers:
        runs = np.searchsorted(self._ends, numbers, "right")
        before = self._ends[runs] - self.counts[runs]
        found: Numbers = self.starts[runs] + (numbers - before) * self.stride
        return found


def _borders(block: int, numbers: range) -> Numbers:
    """Return the numbers within ``numbers`` at which a block begins, but the first."""
    if isinstance(block, Lengths):
        ends = np.asarray(block.ends, np.int64)
        return ends[(ends > numbers.start) & (ends < numbers.stop)]
    return np.arange(-(-(numbers.start + 1) // block) * block, numbers.stop, block)


def _joined(starts: Numbers, counts: Numbers, stride: int) -> tuple[Numbers, Numbers]:
    """Return the same runs, with those put together that go on where the last one ends."""
    if len(starts) < 2:
        return starts, counts
    begins = np.flatnonzero(np.concatenate([[True], starts[1:] != (starts + counts * stride)[:-1]]))
    return starts[begins], np.add.reduceat(counts, begins)


def _expanded(first: Numbers, counts: Numbers) -> Numbers:
    """Return ``counts[k]`` numbers from ``first[k]`` on for each ``k``, one after another."""
    ends = np.cumsum(counts)
    found: Numbers = np.arange(ends[-1] if len(ends) else 0)
    found += np.repeat(first - (ends - counts), counts)
    return found
