"""The index space of a Cubed operation.

Cubed gives an operation its tasks as an iterable of block coordinates, which may be long. Where the coordinates fill a
box, they are kept as an index space and an offset.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

from cubed.primitive.blockwise import ChunkKeys

if TYPE_CHECKING:
    from asyncexec.plan.box import Index, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A box of block coordinates.

    Attributes
    ----------
    shape : tuple of int
        The index space of the stage.
    first : tuple of int
        The coordinates of index ``(0, 0, ...)``.
    """

    shape: Shape
    first: Index

    @property
    def from_origin(self) -> bool:
        """True where task indices are block coordinates."""
        return not any(self.first)

    def coordinates(self, index: Index) -> Index:
        """Return the block coordinates of the task at ``index``."""
        return tuple([i + o for i, o in zip(index, self.first, strict=True)])


def grid_of(mappable: Iterable[Any]) -> Grid | None:
    """Return the box that ``mappable``'s coordinates fill in row-major order; None if they do not.

    Cubed's own ``ChunkKeys`` are such a box by definition; others are iterated over, and none is kept.
    """
    if isinstance(mappable, ChunkKeys):
        shape = tuple(len(chunks) for chunks in mappable.chunks_normal)
        return Grid(shape=shape, first=(0,) * len(shape))
    if isinstance(mappable, Iterator):
        return None  # an iterator can be consumed only once, and the tasks need it
    bounds = _bounds(mappable)
    if bounds is None:
        return None
    first, last = bounds
    spans = [range(a, b + 1) for a, b in zip(first, last, strict=True)]
    try:
        in_order = all(tuple(c) == e for c, e in zip(mappable, product(*spans), strict=True))
    except ValueError:
        return None  # more coordinates than the box holds, or fewer
    return Grid(shape=tuple(map(len, spans)), first=first) if in_order else None


def _bounds(mappable: Iterable[Any]) -> tuple[Index, Index] | None:
    """Return the first and the last coordinates; None if there are none, or something is not coordinates."""
    first: Index | None = None
    last: Index = ()
    for coordinates in mappable:
        if not isinstance(coordinates, list) or not all(_is_whole(i) for i in coordinates):
            return None
        last = tuple([int(i) for i in coordinates])
        if first is None:
            first = last
        elif len(first) != len(last):
            return None
    return None if first is None else (first, last)


def _is_whole(value: object) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool)
