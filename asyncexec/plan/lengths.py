"""Blocks along an axis whose lengths differ, and the arithmetic of blocks of either kind.

Equal lengths are a plain number, whatever the number of blocks. Listed ones are :class:`Lengths`, which are a number
too: the longest of them, so that what asks how large a block can be needs no other case.

Workers load this module; it needs no other.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_MOST_SHOWN = 8


class Lengths(int):
    """The lengths of all blocks along an axis, where they differ; as a number, the longest of them.

    Made by :func:`lengths_of`. They take memory in proportion to their number, and are kept once, however many arrays
    and stages have them; what :meth:`followed_by` returns takes memory for the further blocks alone. As the block of a
    task they may have blocks without elements; as chunks they have none.

    Attributes
    ----------
    count : int
        The number of blocks.
    settled : bool
        Whether it is known that they differ, and that there are no blocks without elements.
    """

    count: int
    settled: bool
    # The ends of these blocks, and behind them perhaps those of blocks by which others have followed.
    _shared: list[int]
    # Holds an item until the shared list is continued: whoever pops it, which threads do one at a time, may append.
    _continues: list[None]

    def __new__(cls, ends: Iterable[int]) -> Self:
        shared = list(ends)
        each = [b - a for a, b in pairwise((0, *shared))]
        return cls._sharing(max(each, default=0), shared, settled=all(each) and not _is_one(each))

    @classmethod
    def _sharing(cls, longest: int, shared: list[int], *, settled: bool) -> Self:
        made = super().__new__(cls, longest)
        made._shared = shared
        made.count = len(shared)
        made.settled = settled
        made._continues = [None]
        return made

    def followed_by(self, each: Iterable[int]) -> Lengths:
        """Return these lengths with those of further blocks behind them; blocks without elements are left out."""
        more = [n for n in each if n]
        if not more:
            return self
        ends = list(accumulate(more, initial=self.total))[1:]
        shared = self._shared
        if self._may_append():
            shared += ends
        else:
            shared = [*shared[: self.count], *ends]
        return Lengths._sharing(max(int(self), *more), shared, settled=self.settled)

    def behind(self, first: Lengths) -> tuple[int, ...] | None:
        """Return the lengths of the blocks behind ``first``, if these were made of them; else None."""
        if self._shared is not first._shared or self.count < first.count:
            return None
        ends = self._shared[first.count : self.count]
        return tuple([b - a for a, b in pairwise((first.total, *ends))])

    def _may_append(self) -> bool:
        try:
            self._continues.pop()
        except IndexError:
            return False
        return True

    @property
    def ends(self) -> tuple[int, ...]:
        """The element after the last of each block."""
        return tuple(self._shared[: self.count])

    @property
    def each(self) -> tuple[int, ...]:
        """The length of each block."""
        return tuple([b - a for a, b in pairwise((0, *self.ends))])

    @property
    def total(self) -> int:
        """The number of elements in all."""
        return self._shared[self.count - 1] if self.count else 0

    def start(self, number: int) -> int:
        """Return the first element of a block; of one behind the last, the element after all."""
        if number <= 0:
            return 0
        return self._shared[min(number, self.count) - 1]

    def at(self, element: int) -> int:
        """Return the number of the block of ``element``; behind the last there is one more."""
        return bisect_right(self._shared, element, hi=self.count)

    def times(self, width: int) -> Lengths:
        """Return the lengths where each element becomes ``width``."""
        return Lengths(end * width for end in self.ends)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Lengths) or self._summary != other._summary:
            return False
        return self._shared is other._shared or self.ends == other.ends

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._summary)

    @property
    def _summary(self) -> tuple[int, int, int]:
        return int(self), self.count, self.total

    def __repr__(self) -> str:
        ends = self._shared[: min(self.count, _MOST_SHOWN)]
        shown = ", ".join(str(b - a) for a, b in pairwise((0, *ends)))
        return f"({shown})" if self.count <= _MOST_SHOWN else f"({shown}, … {self.count} in all)"

    def __reduce__(self) -> tuple[Any, ...]:
        return Lengths, (self.ends,)


def lengths_of(each: Iterable[int]) -> int:
    """Return the lengths of blocks as one number, where all but a shorter last one are equal, else as they are.

    Blocks without elements are left out.

    >>> from asyncexec.plan.lengths import lengths_of
    >>> lengths_of([4, 4, 2]), lengths_of([3, 5, 0, 2])
    (4, (3, 5, 2))
    """
    given = [n for n in each if n]
    if not given:
        return 1
    return given[0] if _is_one(given) else Lengths(accumulate(given))


def _is_one(each: Sequence[int]) -> bool:
    """Return whether all blocks but a shorter last one have the same length."""
    if not each:
        return True
    first = each[0]
    return each[-1] <= first and all(n == first for n in each[:-1])


def fitting_length(extent: int, length: int) -> int:
    """Return ``length`` for an axis of ``extent`` elements: at least 1, not beyond its end, and listed for it alone."""
    if isinstance(length, Lengths):
        if length.total == extent:
            return length if length.settled else lengths_of(length.each)
        length = int(length)
    return max(1, min(length, extent))


def grouped_lengths(length: int, count: int) -> int:
    """Return the lengths of groups of ``count`` blocks side by side."""
    if not isinstance(length, Lengths):
        return length * count
    ends = length.ends[count - 1 :: count]
    ends = ends if ends and ends[-1] == length.total else (*ends, length.total)
    return Lengths(ends)


def count_blocks(extent: int, length: int) -> int:
    """Return the number of blocks along an axis of ``extent`` elements.

    Raises
    ------
    ValueError
        If ``length`` lists the blocks of another axis.
    """
    if isinstance(length, Lengths):
        if length.total != extent:
            raise ValueError(f"blocks of {length!r} do not make up an axis of {extent} elements")
        return length.count
    return -(-extent // length)


def block_start(length: int, number: int) -> int:
    """Return the first element of block ``number``."""
    return length.start(number) if isinstance(length, Lengths) else number * length


def block_at(length: int, element: int) -> int:
    """Return the number of the block of ``element``."""
    return length.at(element) if isinstance(length, Lengths) else element // length


def border_before(length: int, element: int) -> int:
    """Return the nearest border between blocks at or before ``element``."""
    return block_start(length, block_at(length, element))


def border_after(extent: int, length: int, element: int) -> int:
    """Return the nearest border between blocks at or behind ``element``; the last is the end of the axis."""
    return min(block_start(length, block_at(length, element - 1) + 1), extent) if element else 0


def blocks_within(length: int, start: int, stop: int) -> range:
    """Return the numbers of the blocks that elements ``start`` to ``stop`` touch."""
    if start >= stop:
        return range(0)
    return range(block_at(length, start), block_at(length, stop - 1) + 1)


def part_lengths(length: int, start: int, stop: int) -> int:
    """Return the lengths of blocks within ``start`` to ``stop``, where the first begins."""
    if not isinstance(length, Lengths):
        return length
    if start >= stop:
        return int(length)
    inside = [end - start for end in length.ends if start < end < stop]
    return Lengths((*inside, stop - start))


def each_length(extent: int, length: int) -> tuple[int, ...]:
    """Return the length of each block along an axis of ``extent`` elements."""
    if isinstance(length, Lengths):
        return length.each
    whole, rest = divmod(extent, length)
    return (length,) * whole + ((rest,) if rest else ())


def consecutive_blocks(length: int, extent: int, borders: Sequence[int]) -> int | None:
    """Return the number of the block that begins at the first of ``borders``, if they are those of blocks in a row."""
    number = block_at(length, borders[0])
    own = [min(block_start(length, number + k), extent) for k in range(len(borders))]
    return number if own == list(borders) else None


def whole_lengths(lengths: Iterable[int]) -> tuple[int, ...]:
    """Return lengths along several axes as Python's numbers, and those that differ as they are."""
    return tuple([n if isinstance(n, Lengths) else int(n) for n in lengths])


def as_data(lengths: tuple[int, ...] | None) -> tuple[Any, ...] | None:
    """Return lengths along several axes as plain data: those that differ as a list."""
    if lengths is None:
        return None
    return tuple([[*n.each] if isinstance(n, Lengths) else n for n in lengths])


def is_divided(extent: int, outer: int, inner: int) -> bool:
    """Return whether an ``inner`` block (a chunk) lies in two of the ``outer`` ones (shards)."""
    if isinstance(outer, Lengths) or isinstance(inner, Lengths):
        return misplaced_border(extent, outer, inner) is not None
    return outer < inner or outer % inner != 0


def misplaced_border(extent: int, blocks: int, chunks: int) -> int | None:
    """Return the first element of a block at which no chunk begins; None where blocks are whole chunks."""
    if not (isinstance(blocks, Lengths) or isinstance(chunks, Lengths)):
        # The first border between two blocks lies at their length; if a chunk begins there, so do all.
        return blocks if blocks < extent and blocks % chunks else None
    if blocks == chunks:
        return None
    borders = blocks.ends[:-1] if isinstance(blocks, Lengths) else range(blocks, extent, blocks)
    found = (b for b in borders if block_start(chunks, block_at(chunks, b)) != b)
    return next(found, None)
