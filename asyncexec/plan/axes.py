"""How one axis of what is read follows from one axis of what reads it.

Each map has both directions in closed form: ``reads`` (consumer position to producer positions) and ``consumers``
(producer position to consumer positions). :class:`~asyncexec.plan.relations.Blockwise` makes a relation of them, one
per producer axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from asyncexec.errors import RelationError
from asyncexec.plan.box import Span, clip, union

if TYPE_CHECKING:
    from numpy.typing import NDArray


@runtime_checkable
class AxisMap(Protocol):
    """One producer axis against one consumer axis; positions are block numbers."""

    def reads(self, out: int) -> Span:
        """Return the producer positions that consumer position ``out`` reads."""
        ...

    def consumers(self, position: int) -> Span:
        """Return the consumer positions that read producer position ``position``."""
        ...

    def check(self, producer: int, consumer: int) -> None:
        """Raise :class:`~asyncexec.errors.RelationError` unless the axes have these lengths."""
        ...


@dataclass(frozen=True, slots=True)
class Same:
    """Position i reads position i; an axis of length 1 is read by every position (broadcast)."""

    producer: int
    consumer: int

    def reads(self, out: int) -> Span:
        return range(out, out + 1) if self.producer == self.consumer else range(1)

    def consumers(self, position: int) -> Span:
        return (
            range(position, position + 1)
            if self.producer == self.consumer
            else range(self.consumer)
        )

    def check(self, producer: int, consumer: int) -> None:
        if (self.producer, self.consumer) != (producer, consumer) or self.producer not in (
            1,
            self.consumer,
        ):
            raise RelationError(
                f"an axis of {self.producer} blocks cannot be matched with one of {self.consumer}: "
                f"lengths must be equal, or 1 to broadcast (index spaces have {producer} and {consumer})"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Blocks of elements that read the blocks their elements come from.

    Element ``e`` of the consumer reaches elements ``e * step + offset - before`` to
    ``e * step + offset + after`` of the producer. Covers rechunking (all defaults), overlap
    (``before``, ``after``), basic slicing (``step``, ``offset``) and concatenation (a negative
    ``offset``). All lengths are in elements.

    A block reads every block between the two ends of what its elements reach, cut to the
    producer's extent; with long steps that includes blocks that none of them lands on.

    Raises
    ------
    RelationError
        If the step is 0, or a length is out of range.
    """

    in_extent: int
    in_chunk: int
    out_extent: int
    out_chunk: int
    step: int = 1
    offset: int = 0
    before: int = 0
    after: int = 0

    def __post_init__(self) -> None:
        if self.step == 0 or min(self.in_chunk, self.out_chunk) < 1:
            raise RelationError(f"{self!r}: the step must not be 0, and chunks must be at least 1")
        if min(self.in_extent, self.out_extent, self.before, self.after) < 0:
            raise RelationError(f"{self!r}: extents, before and after must not be negative")

    @property
    def blocks(self) -> tuple[int, int]:
        """How many blocks the producer axis and the consumer axis have."""
        return -(-self.in_extent // self.in_chunk), -(-self.out_extent // self.out_chunk)

    def reads(self, out: int) -> Span:
        first = out * self.out_chunk
        last = min(first + self.out_chunk, self.out_extent) - 1
        if self.step < 0:
            first, last = last, first
        start = max(first * self.step + self.offset - self.before, 0)
        stop = min(last * self.step + self.offset + self.after + 1, self.in_extent)
        if start >= stop:
            return range(0)
        return range(start // self.in_chunk, -(-stop // self.in_chunk))

    def consumers(self, position: int) -> Span:
        # A consumer block's reach [lo, hi] moves monotonically with the block, so those that touch
        # [a, b] are an interval. Up to block `last`, one end of the reach is not past [a, b] yet;
        # from the block of element `entry`, the other end has got there.
        a = position * self.in_chunk
        b = min(a + self.in_chunk, self.in_extent) - 1
        stride = abs(self.step)
        if self.step > 0:
            entry = -((self.offset + self.after - a) // stride)
            last = (b - self.offset + self.before) // (self.out_chunk * stride)
        else:
            entry = -((b - self.offset + self.before) // stride)
            last = (self.offset + self.after - a) // (self.out_chunk * stride)
        if entry > self.out_extent - 1:
            return range(0)
        return clip(
            max(entry, 0) // self.out_chunk, last + 1, -(-self.out_extent // self.out_chunk)
        )

    def check(self, producer: int, consumer: int) -> None:
        if self.blocks != (producer, consumer):
            raise RelationError(
                f"{self!r} has {self.blocks} blocks, the index spaces have {(producer, consumer)}"
            )


@dataclass(frozen=True, slots=True)
class Group:
    """Position o reads positions ``o * width`` to ``(o + 1) * width`` (the last group may be short)."""

    width: int
    producer: int

    def __post_init__(self) -> None:
        if self.width < 1:
            raise RelationError(f"groups must be at least 1 wide, not {self.width}")

    def reads(self, out: int) -> Span:
        return clip(out * self.width, (out + 1) * self.width, self.producer)

    def consumers(self, position: int) -> Span:
        out = position // self.width
        return range(out, out + 1)

    def check(self, producer: int, consumer: int) -> None:
        if self.producer != producer or -(-producer // self.width) != consumer:
            raise RelationError(
                f"groups of {self.width} over {producer} blocks do not make {consumer} blocks"
            )


@dataclass(frozen=True, slots=True)
class Fixed:
    """Every position reads position ``at`` (what an integer index leaves of an axis)."""

    at: int
    consumer: int = 1

    def reads(self, out: int) -> Span:
        return range(self.at, self.at + 1)

    def consumers(self, position: int) -> Span:
        return range(self.consumer) if position == self.at else range(0)

    def check(self, producer: int, consumer: int) -> None:
        if not 0 <= self.at < producer or self.consumer != consumer:
            raise RelationError(f"block {self.at} is outside an axis of {producer} blocks")


@dataclass(frozen=True, slots=True)
class Every:
    """Every position reads the whole axis (a contraction)."""

    producer: int
    consumer: int = 1

    def reads(self, out: int) -> Span:
        return range(self.producer)

    def consumers(self, position: int) -> Span:
        return range(self.consumer)

    def check(self, producer: int, consumer: int) -> None:
        if (self.producer, self.consumer) != (producer, consumer):
            raise RelationError(f"{self!r} does not fit axes of {producer} and {consumer} blocks")


@dataclass(frozen=True)
class Listed:
    """Consumer position ``o`` reads the positions ``spans[o]``: for what has no closed form.

    It takes memory in proportion to the length of the axis, not to the number of tasks.
    """

    producer: int
    spans: tuple[Span, ...]

    def reads(self, out: int) -> Span:
        return self.spans[out]

    def consumers(self, position: int) -> Span:
        return self._readers[position]

    def check(self, producer: int, consumer: int) -> None:
        if (self.producer, len(self.spans)) != (producer, consumer):
            raise RelationError(
                f"a list of what {len(self.spans)} positions read of {self.producer} does not fit axes of "
                f"{producer} and {consumer} blocks"
            )
        for out, span in enumerate(self.spans):
            if span and not 0 <= span[0] <= span[-1] < producer:
                raise RelationError(
                    f"position {out} reads {span}, outside an axis of {producer} blocks"
                )

    @cached_property
    def _readers(self) -> tuple[Span, ...]:
        readers: list[list[int]] = [[] for _ in range(self.producer)]
        for out, span in enumerate(self.spans):
            for position in span:
                readers[position].append(out)
        return tuple(union(iter([tuple(each)])) for each in readers)


@dataclass(frozen=True, eq=False)
class Gather:
    """Element e of the consumer reads element ``indices[e]`` of the producer.

    ``indices`` is one-dimensional, of integers from 0; it is copied. All lengths are in elements.

    Raises
    ------
    RelationError
        If an index lies outside the producer, or a chunk is less than 1.
    """

    indices: NDArray[np.int64]
    in_extent: int
    in_chunk: int
    out_chunk: int

    def __post_init__(self) -> None:
        given = np.asarray(self.indices)
        if given.ndim != 1 or (given.size and not np.issubdtype(given.dtype, np.integer)):
            raise RelationError(
                f"gather needs a one-dimensional array of integers, not {given.ndim} dimensions of "
                f"{given.dtype}"
            )
        if min(self.in_chunk, self.out_chunk) < 1:
            raise RelationError(
                f"gather from chunks of {self.in_chunk} to chunks of {self.out_chunk}: "
                f"chunks must be at least 1"
            )
        if given.size and not (given.min() >= 0 and given.max() < self.in_extent):
            raise RelationError(
                f"gather indices must lie in [0, {self.in_extent}), not in "
                f"[{given.min()}, {given.max()}]"
            )
        array = np.array(given, dtype=np.int64)
        array.setflags(write=False)
        object.__setattr__(self, "indices", array)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Gather)
            and self._lengths == other._lengths
            and np.array_equal(self.indices, other.indices)
        )

    def __hash__(self) -> int:
        return hash((self._lengths, self.indices.tobytes()))

    @property
    def blocks(self) -> tuple[int, int]:
        """How many blocks the producer axis and the consumer axis have."""
        return -(-self.in_extent // self.in_chunk), -(-len(self.indices) // self.out_chunk)

    @property
    def _lengths(self) -> tuple[int, int, int]:
        return self.in_extent, self.in_chunk, self.out_chunk

    @cached_property
    def _pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(producer block, consumer block) of every read, once each, sorted by producer block."""
        consumed = np.arange(len(self.indices)) // self.out_chunk
        flat = np.unique(self.indices // self.in_chunk * max(self.blocks[1], 1) + consumed)
        return np.divmod(flat, max(self.blocks[1], 1))

    def reads(self, out: int) -> Span:
        block = self.indices[out * self.out_chunk : (out + 1) * self.out_chunk]
        return tuple(np.unique(block // self.in_chunk).tolist())

    def consumers(self, position: int) -> Span:
        produced, consumed = self._pairs
        start, stop = np.searchsorted(produced, (position, position + 1))
        return tuple(consumed[start:stop].tolist())

    def check(self, producer: int, consumer: int) -> None:
        if self.blocks != (producer, consumer):
            raise RelationError(
                f"a gather of {self.blocks} blocks does not fit axes of {producer} and {consumer} blocks"
            )
