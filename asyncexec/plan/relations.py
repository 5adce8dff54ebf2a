"""Relations: the tasks of one stage that each task of another reads, in closed form and in both directions.

``relation.reads(out)`` maps a box of consumer indices to the box of producer indices they read;
``relation.consumers(box)`` is its inverse. Nothing is stored per task, so a relation over 10^8 tasks costs what one
over 10 costs. An :class:`All` is a reduction of everything; an :class:`Opaque` has no known closed form. Both make a
barrier.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from asyncexec.errors import RelationError
from asyncexec.plan.axes import (
    AxisMap,
    BlockAccess,
    Window,
    block_groups,
    every_block,
    gathered,
    same_blocks,
)
from asyncexec.plan.box import Box, Shape, Span, intersect, union_over, whole
from asyncexec.plan.lengths import count_blocks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from asyncexec.plan.access_map import AccessMap, Guard


@runtime_checkable
class Relation(Protocol):
    """The tasks of a producer that a consumer's tasks read."""

    @property
    def producer(self) -> Shape:
        """The index space that is read."""
        ...

    @property
    def consumer(self) -> Shape:
        """The index space that reads."""
        ...

    @property
    def barrier(self) -> bool:
        """True if every consumer reads the whole producer, so that none can start before it is complete."""
        ...

    def reads(self, out: Box) -> Box:
        """Return the producer indices that the consumer indices ``out`` read."""
        ...

    def consumers(self, inputs: Box) -> Box:
        """Return the consumer indices that read any of ``inputs``."""
        ...


@dataclass(frozen=True, slots=True)
class Blockwise:
    """A product of axis maps: axis ``p`` of the producer follows axis ``axes[p]`` of the consumer by ``maps[p]``.

    ``axes[p]`` is None where the producer axis follows no consumer axis. Consumer axes that no producer axis follows
    broadcast.

    For a single index both directions are exact. What a box of several reads is exact too, unless
    two producer axes follow one consumer axis (a diagonal): then it is the smallest box around it.

    >>> from asyncexec.plan.axes import same_blocks
    >>> from asyncexec.plan.relations import Blockwise
    >>> rows = Blockwise((4,), (4, 3), axes=(0,), maps=(same_blocks(4, 4),))
    >>> rows.reads((range(1, 2), range(0, 3)))
    (range(1, 2),)

    Raises
    ------
    RelationError
        If the maps do not fit the index spaces.
    """

    producer: Shape
    consumer: Shape
    axes: tuple[int | None, ...]
    maps: tuple[AxisMap, ...]

    def __post_init__(self) -> None:
        if not len(self.producer) == len(self.axes) == len(self.maps):
            raise RelationError(
                f"{len(self.producer)} producer axes need as many axis maps, not {len(self.maps)}"
            )
        for n, axis, axis_map in zip(self.producer, self.axes, self.maps, strict=True):
            if axis is not None and not 0 <= axis < len(self.consumer):
                raise RelationError(
                    f"the consumer has no axis {axis}: its index space is {self.consumer}"
                )
            axis_map.check(n, 1 if axis is None else self.consumer[axis])

    @property
    def barrier(self) -> bool:
        return False

    @property
    def is_identity(self) -> bool:
        """True if every index reads just itself."""
        return self.producer == self.consumer and all(
            axis == p and m.identical
            for p, (axis, m) in enumerate(zip(self.axes, self.maps, strict=True))
        )

    @property
    def reads_one(self) -> bool:
        """True if every index reads one index."""
        return all(m.reads_one for m in self.maps)

    def reads(self, out: Box) -> Box:
        return tuple(
            m.reads(0) if axis is None else union_over(out[axis], m.reads)
            for axis, m in zip(self.axes, self.maps, strict=True)
        )

    def consumers(self, inputs: Box) -> Box:
        # Called for every task that completes, so it is written to be quick for single indices.
        box: list[Span | None] = [None] * len(self.consumer)
        for span, axis, m in zip(inputs, self.axes, self.maps, strict=True):
            found = m.consumers(span[0]) if len(span) == 1 else union_over(span, m.consumers)
            if axis is None:
                if not found:
                    return tuple(range(0) for _ in self.consumer) or _NOTHING
                continue
            sofar = box[axis]
            box[axis] = found if sofar is None else intersect(sofar, found)
        return tuple(
            [range(n) if s is None else s for s, n in zip(box, self.consumer, strict=True)]
        )


# A box without axes always holds one index, the empty tuple; "no index" needs an axis that is empty.
_NOTHING: Box = (range(0),)


@dataclass(frozen=True, slots=True)
class Guarded:
    """A relation that holds for consumers within a box; the others read nothing (parts of a concatenation, say)."""

    inner: Blockwise
    within: Box

    @property
    def producer(self) -> Shape:
        return self.inner.producer

    @property
    def consumer(self) -> Shape:
        return self.inner.consumer

    @property
    def barrier(self) -> bool:
        return False

    def reads(self, out: Box) -> Box:
        # Called for every task and each of many parts, most of which it does not read.
        inside: list[Span] = []
        for span, guard in zip(out, self.within, strict=True):
            both = intersect(span, guard)
            if not both:
                return (range(0),) * len(self.producer) or _NOTHING
            inside.append(both)
        return self.inner.reads(tuple(inside))

    def consumers(self, inputs: Box) -> Box:
        found = self.inner.consumers(inputs)
        if any(not len(span) for span in found):
            return found
        return tuple(intersect(a, b) for a, b in zip(found, self.within, strict=True))


@dataclass(frozen=True, slots=True)
class _Whole:
    producer: Shape
    consumer: Shape

    @property
    def barrier(self) -> bool:
        return True

    def reads(self, out: Box) -> Box:
        return whole(self.producer)

    def consumers(self, inputs: Box) -> Box:
        return whole(self.consumer)


@dataclass(frozen=True, slots=True)
class All(_Whole):
    """Every consumer reads every producer.

    >>> from asyncexec.plan.relations import All
    >>> All((4,), ()).reads(())
    (range(0, 4),)
    """


@dataclass(frozen=True, slots=True)
class Opaque(_Whole):
    """A relation without a closed form: every consumer waits for the whole producer.

    >>> from asyncexec.plan.relations import Opaque
    >>> relation = Opaque((4,), (2,))
    >>> relation.barrier, relation.reads((range(0, 1),))
    (True, (range(0, 4),))
    """


@lru_cache(maxsize=256)  # A chain of stages has one, instead of one each.
def identity(shape: Shape) -> Blockwise:
    """Index i reads index i.

    >>> from asyncexec.plan.relations import identity
    >>> identity((4, 3)).reads((range(1, 2), range(0, 2)))
    (range(1, 2), range(0, 2))
    """
    return permute(shape, shape, tuple(range(len(shape))))


def permute(producer: Shape, consumer: Shape, axes: Sequence[int]) -> Blockwise:
    """Match producer axis p with consumer axis ``axes[p]``.

    Producer axes of length 1 and consumer axes that are not named broadcast. An axis named twice
    makes a diagonal.

    >>> from asyncexec.plan.relations import permute
    >>> permute((4, 3), (3, 4), axes=(1, 0)).reads((range(0, 1), range(2, 3)))
    (range(2, 3), range(0, 1))
    """
    if len(axes) != len(producer):
        raise RelationError(
            f"{len(producer)} producer axes need as many axes to match, not {len(axes)}"
        )
    _check_axes(consumer, axes)
    maps = tuple(same_blocks(n, consumer[axis]) for n, axis in zip(producer, axes, strict=True))
    return Blockwise(producer, consumer, tuple(axes), maps)


def broadcast(producer: Shape, consumer: Shape) -> Blockwise:
    """NumPy's rule: axes are matched from the last; an axis of length 1 or a missing one is repeated.

    >>> from asyncexec.plan.relations import broadcast
    >>> broadcast((3,), (4, 3)).consumers((range(1, 2),))
    (range(0, 4), range(1, 2))
    """
    return permute(producer, consumer, range(len(consumer) - len(producer), len(consumer)))


def window(windows: Sequence[BlockAccess]) -> Blockwise:
    """One :func:`~asyncexec.plan.axes.windowed` per axis: rechunking, overlap, slicing, concatenation.

    >>> from asyncexec.plan.axes import windowed
    >>> from asyncexec.plan.relations import window
    >>> halved = windowed(in_extent=12, in_chunk=4, out_extent=12, out_chunk=6)
    >>> window([halved]).reads((range(0, 1),))
    (range(0, 2),)
    """
    producer = tuple(w.producer for w in windows)
    consumer = tuple(w.consumer for w in windows)
    return Blockwise(producer, consumer, tuple(range(len(windows))), tuple(windows))


def block_reduce(producer: Shape, widths: Mapping[int, int], *, keepdims: bool = True) -> Blockwise:
    """Make one block of each group of ``widths[axis]`` blocks; axes not named stay.

    Without ``keepdims`` the axes named must each become a single block, and go.

    >>> from asyncexec.plan.relations import block_reduce
    >>> relation = block_reduce((10, 3), {0: 4})
    >>> relation.consumer, relation.reads((range(2, 3), range(0, 1)))
    ((3, 3), (range(8, 10), range(0, 1)))
    """
    _check_axes(producer, widths)
    consumer: list[int] = []
    axes: list[int | None] = []
    maps: list[AxisMap] = []
    for axis, n in enumerate(producer):
        width = widths.get(axis)
        if width is not None and not keepdims:
            if width < n:
                raise RelationError(
                    f"axis {axis} of {n} blocks cannot go: groups of {width} leave more than one"
                )
            axes.append(None)
            maps.append(every_block(n))
            continue
        axes.append(len(consumer))
        maps.append(same_blocks(n, n) if width is None else block_groups(width, n))
        consumer.append(n if width is None else -(-n // width))
    return Blockwise(producer, tuple(consumer), tuple(axes), tuple(maps))


def gather(
    producer: Shape,
    axis: int,
    indices: NDArray[np.int64],
    *,
    extent: int,
    chunk: int,
    out_chunk: int,
) -> Blockwise:
    """Take ``indices`` (elements) along ``axis``, which has ``extent`` elements in blocks of ``chunk``.

    >>> from asyncexec.plan.relations import gather
    >>> relation = gather((4,), 0, np.array([9, 0, 1]), extent=10, chunk=3, out_chunk=2)
    >>> relation.consumer, relation.reads((range(0, 1),))
    ((2,), ((0, 3),))
    """
    _check_axes(producer, (axis,))
    taken = gathered(indices, extent, chunk, out_chunk)
    consumer = tuple(taken.consumer if p == axis else n for p, n in enumerate(producer))
    maps = tuple(taken if p == axis else same_blocks(n, n) for p, n in enumerate(producer))
    return Blockwise(producer, consumer, tuple(range(len(producer))), maps)


def of_access(access: AccessMap, shape: Shape, blocks: Shape, grid: Shape) -> Relation:
    """Return the relation of tasks over ``grid`` to a stage that writes ``shape`` in ``blocks``, by ``access``."""
    axes: list[int | None] = []
    maps: list[AxisMap] = []
    for p, (along, extent, block) in enumerate(zip(access.axes, shape, blocks, strict=True)):
        axis = along.axis
        if axis is None and 0 < extent <= block and len(grid) == len(shape) and grid[p] == 1:
            # A single block on both sides follows its axis, so that the whole relation may be the identity.
            axis = p
        axes.append(axis)
        maps.append(BlockAccess(along, extent, block, 1 if axis is None else grid[axis]))
    producer = tuple(count_blocks(n, block) for n, block in zip(shape, blocks, strict=True))
    inner = Blockwise(producer, grid, tuple(axes), tuple(maps))
    if not access.guards or not shape:
        # A single element is read by every task: no slice of it is empty.
        return inner
    return Guarded(inner, _box_of(access.guards, grid))


def _box_of(guards: Sequence[Guard], grid: Shape) -> Box:
    box: list[Span] = [range(n) for n in grid]
    for axis, start, stop in guards:
        box[axis] = intersect(box[axis], range(start, stop))
    return tuple(box)


def _check_axes(shape: Shape, axes: Iterable[int]) -> None:
    wrong = [axis for axis in axes if not 0 <= axis < len(shape)]
    if wrong:
        raise RelationError(f"an index space of {shape} has no axes {wrong}: count from 0")


__all__ = [
    "All",
    "Blockwise",
    "Guarded",
    "Opaque",
    "Relation",
    "Window",
    "block_reduce",
    "broadcast",
    "gather",
    "identity",
    "of_access",
    "permute",
    "window",
]
