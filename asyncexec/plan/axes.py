"""Maps from the positions of an axis that reads to the blocks of an axis that is read.

Each map has both directions in closed form: ``reads`` (consumer position to producer blocks) and ``consumers``
(producer block to consumer positions). :class:`~asyncexec.plan.block_access.BlockAccess` is the map of an
:class:`~asyncexec.plan.access.AxisAccess`, whatever that does; the functions below make the usual ones.
:class:`~asyncexec.plan.relations.Blockwise` makes a relation of them, one per producer axis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from asyncexec.errors import RelationError
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.block_access import BlockAccess
from asyncexec.plan.box import Span, union
from asyncexec.plan.overlap import Overlap
from asyncexec.plan.positions import Positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@runtime_checkable
class AxisMap(Protocol):
    """One producer axis against one consumer axis; positions are block numbers."""

    @property
    def identical(self) -> bool:
        """True if every position reads just the one of its own number."""
        ...

    @property
    def reads_one(self) -> bool:
        """True if every position reads one position."""
        ...

    def reads(self, out: int) -> Span:
        """Return the producer positions that consumer position ``out`` reads."""
        ...

    def consumers(self, position: int) -> Span:
        """Return the consumer positions that read producer position ``position``."""
        ...

    def check(self, producer: int, consumer: int) -> None:
        """Raise :class:`~asyncexec.errors.RelationError` unless the axes have these lengths."""
        ...


@dataclass(frozen=True)
class Listed:
    """Consumer position ``o`` reads the positions ``spans[o]``: for what has no closed form.

    It takes memory in proportion to the length of the axis, not to the number of tasks.
    """

    producer: int
    spans: tuple[Span, ...]

    @property
    def identical(self) -> bool:
        return False

    @property
    def reads_one(self) -> bool:
        return False

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


def same_blocks(producer: int, consumer: int) -> BlockAccess:
    """Position i reads block i; an axis of one block is read by every position (broadcast).

    Raises
    ------
    RelationError
        If the lengths are not equal, and the producer's is not 1.
    """
    if producer not in (1, consumer):
        raise RelationError(
            f"an axis of {producer} blocks cannot be matched with one of {consumer}: "
            f"lengths must be equal, or 1 to broadcast"
        )
    if producer == consumer:
        return BlockAccess(AxisAccess(0, 1, 0, consumer), producer, 1, consumer)
    return one_block(0, producer, consumer)


def one_block(at: int, producer: int, consumer: int = 1) -> BlockAccess:
    """Every position reads block ``at`` (what an integer index leaves of an axis).

    Raises
    ------
    RelationError
        If there is no such block.
    """
    if not 0 <= at < producer:
        raise RelationError(f"block {at} is outside an axis of {producer} blocks")
    return BlockAccess(AxisAccess(0, 1, 0, consumer, 0, at), producer, 1, consumer)


def every_block(producer: int, consumer: int = 1) -> BlockAccess:
    """Every position reads the whole axis (a contraction)."""
    whole = Overlap(0, max(producer - 1, 0), 0, producer)
    return BlockAccess(AxisAccess(0, 1, 0, consumer, 0, 0, whole), producer, 1, consumer)


def block_groups(width: int, producer: int) -> BlockAccess:
    """Position o reads blocks ``o * width`` to ``(o + 1) * width`` (the last group may be short).

    Raises
    ------
    RelationError
        If groups are less than 1 wide.
    """
    if width < 1:
        raise RelationError(f"groups must be at least 1 wide, not {width}")
    return BlockAccess(AxisAccess(0, width, 0, producer), producer, 1, -(-producer // width))


def windowed(
    *,
    in_extent: int,
    in_chunk: int,
    out_extent: int,
    out_chunk: int,
    step: int = 1,
    offset: int = 0,
    before: int = 0,
    after: int = 0,
) -> BlockAccess:
    """Return the map of blocks of elements to the blocks that their elements come from.

    Element ``e`` of the consumer reaches elements ``e * step + offset - before`` to ``e * step + offset + after`` of
    the producer. Covers rechunking (all defaults), overlap (``before``, ``after``), basic slicing (``step``,
    ``offset``) and concatenation (a negative ``offset``). All lengths are in elements.

    A block reads every block between the two ends of what its elements reach, cut to the producer's extent; with long
    steps that includes blocks that none of them lands on.

    Raises
    ------
    RelationError
        If the step is 0, or a length is out of range.
    """
    if step == 0:
        raise RelationError("the step of a window must not be 0")
    if min(in_extent, out_extent, before, after) < 0 or min(in_chunk, out_chunk) < 1:
        raise RelationError(
            f"a window from {in_extent} elements in chunks of {in_chunk} to {out_extent} in chunks of {out_chunk}, "
            f"before={before}, after={after}: chunks must be at least 1, and lengths not negative"
        )
    around = Overlap(before, after, 0, in_extent)
    access = AxisAccess(0, out_chunk, 0, out_extent, step, offset, around)
    if not (before or after) and abs(step) == 1:
        # Nothing lies between the elements. Those outside are left out.
        access = replace(access, via=None)
        found = access.part(0, in_extent)
        access = access if found is None else found
    return BlockAccess(access, in_extent, in_chunk, -(-out_extent // out_chunk))


def gathered(
    indices: Sequence[int] | NDArray[Any], in_extent: int, in_chunk: int, out_chunk: int
) -> BlockAccess:
    """Element e of the consumer reads element ``indices[e]`` of the producer. All lengths are in elements.

    ``indices`` is one-dimensional, of integers from 0; it is copied.

    Raises
    ------
    RelationError
        If an index lies outside the producer, or a chunk is less than 1.
    """
    if min(in_chunk, out_chunk) < 1:
        raise RelationError(
            f"gather from chunks of {in_chunk} to chunks of {out_chunk}: chunks must be at least 1"
        )
    positions = Positions(indices)  # type: ignore[arg-type]  # it makes an array of them
    if positions.least < 0 or positions.greatest >= in_extent:
        raise RelationError(
            f"gather indices must lie in [0, {in_extent}), not in [{positions.least}, {positions.greatest}]"
        )
    n = len(positions)
    return BlockAccess(
        AxisAccess(0, out_chunk, 0, n, 1, 0, positions), in_extent, in_chunk, -(-n // out_chunk)
    )


Window = windowed
"""The old name of :func:`windowed`."""

__all__ = [
    "AxisMap",
    "BlockAccess",
    "Listed",
    "Window",
    "block_groups",
    "every_block",
    "gathered",
    "one_block",
    "same_blocks",
    "windowed",
]
