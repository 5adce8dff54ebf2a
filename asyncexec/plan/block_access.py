"""The blocks that an access reads, and the readers of a block: the arithmetic behind every relation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from asyncexec.errors import RelationError
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.lengths import Lengths, block_at, block_start, count_blocks
from asyncexec.plan.overlap import Overlap

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from asyncexec.plan.box import Span
    from asyncexec.plan.positions import Listing


@dataclass(frozen=True, slots=True)
class BlockAccess:
    """The blocks of ``chunk`` elements, of an axis of ``extent``, that ``access`` reads at ``consumer`` positions.

    Raises
    ------
    RelationError
        If a chunk is less than 1, or a length is negative.
    """

    access: AxisAccess
    extent: int
    chunk: int
    consumer: int
    # The number of blocks there are to read.
    producer: int = field(init=False, compare=False, repr=False)
    identical: bool = field(init=False, compare=False, repr=False)
    reads_one: bool = field(init=False, compare=False, repr=False)
    # Whole blocks that each position reads, where they are as many for each; else 0. Trees and chains go by that alone.
    _width: int = field(init=False, compare=False, repr=False)
    # Position `o` reaches from element `max(o * stride + low, least)` to `min(o * stride + high, most)`.
    _reach: tuple[int, int, int, int, int] = field(init=False, compare=False, repr=False)
    # The first and the last position that read anything.
    _first: int = field(init=False, compare=False, repr=False)
    _last: int = field(init=False, compare=False, repr=False)
    # For what is not everything between two ends: each position's blocks, from elements one by one.
    _scattered: _Scattered | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if min(self.chunk, self.access.block) < 1 or min(self.extent, self.consumer) < 0:
            raise RelationError(
                f"{self!r}: chunks and blocks must be at least 1, and lengths not negative"
            )
        keep = object.__setattr__
        access = self.access if self.access.axis == 0 else replace(self.access, axis=0)
        keep(self, "access", access)
        keep(self, "producer", count_blocks(self.extent, self.chunk))
        some = access.lo < access.hi
        keep(self, "_first", access.position_of(access.lo))
        last = access.position_of(access.hi - 1)
        keep(self, "_last", min(last, self.consumer - 1) if some else -1)
        keep(self, "_reach", _reach(access, self.extent))
        keep(self, "_scattered", _scattered(self))
        keep(self, "identical", self._is_identical())
        keep(self, "_width", self._whole_blocks())
        keep(self, "reads_one", self._reads_one())

    @property
    def uneven(self) -> bool:
        """True where blocks on either side differ in length."""
        return isinstance(self.chunk, Lengths) or isinstance(self.access.block, Lengths)

    @property
    def blocks(self) -> tuple[int, int]:
        """The numbers of blocks on the producer axis and on the consumer axis."""
        return self.producer, self.consumer

    def reads(self, out: int) -> Span:
        # This and `consumers` are called for every task, so they are written to be quick.
        width = self._width
        if width:
            start = out * width
            stop = start + width
            return range(start, min(self.producer, stop))
        if not self._first <= out <= self._last:
            return range(0)
        if self._scattered is not None:
            return self._scattered.reads(out)
        stride, low, high, least, most = self._reach
        low += out * stride
        high += out * stride
        low = max(low, least)
        high = min(high, most)
        return range(low // self.chunk, high // self.chunk + 1) if low <= high else range(0)

    def consumers(self, position: int) -> Span:
        width = self._width
        if width:
            out = position // width
            return range(out, out + 1)
        if self._scattered is not None:
            return self._scattered.consumers(position)
        stride, low, high, least, most = self._reach
        a = position * self.chunk
        b = a + self.chunk - 1
        a = max(a, least)
        b = min(b, most)
        if a > b:
            return range(0)
        first, last = self._first, self._last
        # A position's reach moves with it in one direction, so those that touch [a, b] lie side by side.
        if stride > 0:
            first = max(first, -((high - a) // stride))
            last = min(last, (b - low) // stride)
        elif stride < 0:
            first = max(first, -((b - low) // -stride))
            last = min(last, (high - a) // -stride)
        elif b < low or a > high:
            return range(0)
        return range(first, last + 1) if first <= last else range(0)

    def check(self, producer: int, consumer: int) -> None:
        if self.blocks != (producer, consumer):
            raise RelationError(
                f"{self!r} has {self.blocks} blocks, the index spaces have {(producer, consumer)}"
            )

    def _is_identical(self) -> bool:
        n, access = self.consumer, self.access
        if self.producer != n or n == 0:
            return self.producer == n
        if self.uneven:
            found = access.blocks(self.chunk, self.extent)
            return found is not None and (found.lo, found.hi, found.offset) == (0, n, 0)
        if (self._first, self._last) != (0, n - 1) or self._scattered is not None:
            return False
        stride, low, high, least, most = self._reach
        if n == 1:
            return max(low, least) <= min(high, most)
        steady = stride == self.chunk and low >= 0 and high < self.chunk
        return steady and least < self.chunk and most // self.chunk == n - 1

    def _whole_blocks(self) -> int:
        if self.identical:
            return 1
        access = self.access
        if self.uneven:
            return 0
        width, rest = divmod(access.block, self.chunk)
        plain = (access.lo, access.hi, access.step, access.offset) == (0, self.extent, 1, 0)
        fits = not rest and self.consumer == -(-self.producer // max(width, 1))
        return width if access.via is None and plain and fits else 0

    def _reads_one(self) -> bool:
        if self.identical or not self.consumer:
            return True
        if (self._first, self._last) != (0, self.consumer - 1):
            return False
        if isinstance(self._scattered, _Uneven):
            return all(len(self.reads(out)) == 1 for out in range(self.consumer))
        if self._scattered is not None:
            return False
        stride, low, high, least, most = self._reach
        if self.consumer == 1 or stride == 0:
            low, high = max(low, least), min(high, most)
            return low <= high and low // self.chunk == high // self.chunk
        exact = self.access.via is None and stride % self.chunk == 0
        return exact and low // self.chunk == high // self.chunk


def _reach(access: AxisAccess, extent: int) -> tuple[int, int, int, int, int]:
    """Return stride, and low and high end of what position 0 reaches, and within which elements all reaches lie."""
    via = access.via
    around = via if isinstance(via, Overlap) else Overlap(0, 0, 0, extent)
    step, offset = access.step, access.offset
    ends = (offset, (access.block - 1) * step + offset)
    limits = (access.lo * step + offset, (access.hi - 1) * step + offset)
    return (
        access.block * step,
        min(ends) - around.before,
        max(ends) + around.after,
        max(min(limits) - around.before, around.lo, 0),
        min(max(limits) + around.after, around.hi - 1, extent - 1),
    )


class _Scattered(Protocol):
    """The blocks of elements that lie apart."""

    def reads(self, out: int) -> Span: ...
    def consumers(self, position: int) -> Span: ...


def _scattered(blocks: BlockAccess) -> _Scattered | None:
    access = blocks.access
    if blocks.uneven:
        if access.positions is None:
            return _Uneven(access, blocks.extent, blocks.chunk, blocks.consumer)
    elif access.via is None:
        apart = abs(access.step) > blocks.chunk and access.most > 1
        return _Strided(access, blocks.chunk, blocks.consumer) if apart else None
    via = access.positions
    return None if via is None else _Listing(access, via, blocks.chunk)


@dataclass(frozen=True, slots=True)
class _Strided:
    """The blocks of elements further apart than a block is long."""

    access: AxisAccess
    chunk: int
    consumer: int

    def reads(self, out: int) -> Span:
        found = tuple([e // self.chunk for e in self.access.numbers((out,))])
        return found if self.access.step > 0 else found[::-1]

    def consumers(self, position: int) -> Span:
        a = position * self.chunk
        step, offset = self.access.step, self.access.offset
        # The numbers whose element lies in the block.
        if step > 0:
            lo, hi = -((offset - a) // step), -((offset - a - self.chunk) // step)
        else:
            lo, hi = -((a + self.chunk - 1 - offset) // -step), (offset - a) // -step + 1
        lo, hi = max(lo, self.access.lo), min(hi, self.access.hi)
        if lo >= hi:
            return range(0)
        block = self.access.block
        return range(lo // block, min((hi - 1) // block + 1, self.consumer))


@dataclass(frozen=True, slots=True)
class _Uneven:
    """The blocks of everything between two ends, where blocks of either side differ in length."""

    access: AxisAccess
    extent: int
    chunk: int
    consumer: int

    def reads(self, out: int) -> Span:
        access = self.access
        start, stop = access.bounds((out,))
        if start >= stop:
            return range(0)
        if access.via is None and abs(access.step) > 1:
            return _span(sorted({block_at(self.chunk, e) for e in access.numbers((out,))}))
        ends = [start * access.step + access.offset, (stop - 1) * access.step + access.offset]
        low, high = self._around.ends(min(ends), max(ends))
        if low >= high:
            return range(0)
        return range(block_at(self.chunk, low), block_at(self.chunk, high - 1) + 1)

    def consumers(self, position: int) -> Span:
        access, around = self.access, self._around
        low = max(block_start(self.chunk, position), around.lo)
        high = min(block_start(self.chunk, position + 1), around.hi, self.extent)
        if low >= high:
            return range(0)
        # The numbers whose element reaches into the block.
        low, high = low - around.after, high + around.before
        step, offset = access.step, access.offset
        lo, hi = access.lo, access.hi
        if step > 0:
            lo, hi = max(lo, -((offset - low) // step)), min(hi, -((offset - high) // step))
        elif step < 0:
            lo = max(lo, -((high - 1 - offset) // -step))
            hi = min(hi, (offset - low) // -step + 1)
        elif not low <= offset < high:
            return range(0)
        if abs(step) > 1 and access.via is not None:
            return self._reaching(position, lo, hi)
        return self._positions(lo, hi)

    def _positions(self, lo: int, hi: int) -> range:
        if lo >= hi:
            return range(0)
        first, last = self.access.position_of(lo), self.access.position_of(hi - 1)
        return range(first, min(last + 1, self.consumer))

    def _reaching(self, position: int, lo: int, hi: int) -> Span:
        """Return the positions that read a block between two of their elements too."""
        lo, hi = max(lo - 1, self.access.lo), min(hi + 1, self.access.hi)
        return _span([out for out in self._positions(lo, hi) if position in self.reads(out)])

    @property
    def _around(self) -> Overlap:
        via = self.access.via
        return via if isinstance(via, Overlap) else Overlap(0, 0, 0, self.extent)


@dataclass(frozen=True)
class _Listing:
    """The blocks of elements at positions of a list."""

    access: AxisAccess
    positions: Listing
    chunk: int

    def reads(self, out: int) -> Span:
        taken = self.access.numbers((out,))
        if isinstance(taken, range):
            ends = (taken[0], taken[-1]) if taken else ()
            near = abs(taken.step) <= _shortest(self.chunk) and ends
            found = [block_at(self.chunk, e) for e in ((min(ends), max(ends)) if near else taken)]
            return range(found[0], found[1] + 1) if near else _span(sorted(set(found)))
        chunk = self.chunk
        if isinstance(chunk, Lengths):
            return _span(sorted({chunk.at(e) for e in taken.tolist()}))
        return _span(sorted(set((taken // chunk).tolist())))

    def consumers(self, position: int) -> Span:
        produced, consumed = self._pairs
        start, stop = produced.searchsorted((position, position + 1))
        return _span(consumed[start:stop].tolist())

    @cached_property
    def _pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(producer block, consumer position) of every read, once each, sorted by producer block."""
        access = self.access
        first = access.lo * access.step + access.offset
        numbers = range(access.lo, access.hi)
        return self.positions.pairs(
            first, access.step, numbers, block=access.block, chunk=self.chunk
        )


def _shortest(chunk: int) -> int:
    return min(chunk.each) if isinstance(chunk, Lengths) else chunk


def _span(numbers: list[int]) -> Span:
    """Return sorted ``numbers`` as a span."""
    if numbers and numbers[-1] - numbers[0] + 1 == len(numbers):
        return range(numbers[0], numbers[-1] + 1)
    return tuple(numbers) or range(0)
