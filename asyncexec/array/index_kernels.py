"""Kernels of indexing and assignment: what a task does with its blocks. They need NumPy alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.kernels import Block
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Index, Shape


@dataclass(frozen=True, slots=True)
class TakePoints:
    """Take single points of a block: ``numbers`` has a row for each, with its place along each of the first axes."""

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        block, numbers = values
        return np.asarray(block)[tuple(np.asarray(numbers).T)]


@dataclass(frozen=True, slots=True)
class PickAlong:
    """The function that takes elements along ``axis`` of a part of a line, which begins at ``begin``, of ``extent``.

    Elements of other parts are those of ``sofar``.

    Raises
    ------
    IndexError
        If an index is out of range.
    """

    axis: int
    begin: int
    extent: int

    def __call__(self, block: Block, numbers: Block, sofar: Block | None = None) -> Block:
        n = self.extent
        if numbers.size and (int(numbers.min()) < -n or int(numbers.max()) >= n):
            wrong = numbers[(numbers < -n) | (numbers >= n)].flat[0]
            raise IndexError(
                f"take_along_axis: index {wrong} is out of range for axis {self.axis} with {n} elements"
            )
        places = numbers.astype(np.int64)
        places += np.where(places < 0, n - self.begin, -self.begin)
        length = block.shape[self.axis]
        if length == n:
            return np.take_along_axis(block, places, axis=self.axis)
        here = (places >= 0) & (places < length)
        found = np.take_along_axis(block, np.where(here, places, 0), axis=self.axis)
        return found if sofar is None else np.where(here, found, sofar)


def is_nonzero(block: Block) -> Block:
    """Return which elements :func:`numpy.nonzero` finds: of text, times and fields too."""
    found = np.zeros(block.shape, np.bool_)
    if block.ndim:
        found[np.nonzero(block)] = True
    else:
        found[...] = len(np.nonzero(block.reshape(1))[0])
    return found


def count_true(block: Block) -> Block:
    """Return how many elements of a mask are true, as an array of one."""
    return np.asarray([np.count_nonzero(block)], np.int64)


@dataclass(frozen=True, slots=True)
class Compact:
    """The function of what a mask selects along ``axis``: alone, or in front of zeros in a block ``length`` long."""

    axis: int
    length: int | None = None

    def __call__(self, block: Block, mask: Block) -> Block:
        lead: tuple[Any, ...] = (slice(None),) * self.axis
        if self.length is None:
            chosen: Block = block[(*lead, mask)]
            return chosen
        shape = (*block.shape[: self.axis], self.length, *block.shape[self.axis + 1 :])
        found = np.zeros(shape, block.dtype)
        found[(*lead, slice(0, np.count_nonzero(mask)))] = block[(*lead, mask)]
        return found


@dataclass(frozen=True, slots=True)
class NumbersOfTrue:
    """The function that puts the numbers of the true elements of a mask in front, in a block ``length`` long.

    Numbers count from the first element of the array, which has chunks of ``chunk``.
    """

    chunk: int
    length: int

    def __call__(self, mask: Block, block_id: Index) -> Block:
        found = np.zeros(self.length, np.int64)
        numbers = np.flatnonzero(mask)
        found[: len(numbers)] = numbers + block_id[0] * self.chunk
        return found


@dataclass(frozen=True, slots=True)
class SpreadOut:
    """The function that puts values where a mask is true along ``axis``, one after another.

    ``values`` begin ``shift`` (an array of one) elements before those of the block.
    """

    axis: int

    def __call__(self, block: Block, mask: Block, values: Block, shift: Block) -> Block:
        found = np.array(block)
        lead: tuple[Any, ...] = (slice(None),) * self.axis
        begin = int(shift[0])
        found[(*lead, mask)] = values[(*lead, slice(begin, begin + np.count_nonzero(mask)))]
        return found


@dataclass(frozen=True, slots=True)
class RepeatAlong:
    """The function that repeats each element ``times[axis]`` times along each axis."""

    times: Shape

    def __call__(self, block: Block) -> Block:
        for axis, times in enumerate(self.times):
            if times > 1:
                block = np.repeat(block, times, axis=axis)
        return block


@dataclass(frozen=True, slots=True, eq=False)
class PutPoints:
    """The function that sets single points of a block.

    Attributes
    ----------
    axes : tuple of int
        The axes that are indexed.
    grid : tuple of int
        Number of chunks along each of them.
    chunk_numbers : array of int
        Of each point, the number of its chunk in ``grid``; sorted.
    places : tuple of array of int
        Of each point, its place within the chunk, along each axis.
    ranks : array of int
        Of each point, the number of its value.
    constant : optional
        The value of all.
    """

    axes: tuple[int, ...]
    grid: Shape
    chunk_numbers: Any
    places: tuple[Any, ...]
    ranks: Any
    constant: Any = None

    def __call__(self, block: Block, values: Block | None = None, *, block_id: Index) -> Block:
        own = np.ravel_multi_index([block_id[axis] for axis in self.axes], self.grid)
        start, stop = np.searchsorted(self.chunk_numbers, (own, own + 1))
        if start == stop:
            return block
        found = np.array(block)
        moved = np.moveaxis(found, self.axes, range(len(self.axes)))
        points = tuple(along[start:stop] for along in self.places)
        if values is None:
            moved[points] = self.constant
        else:
            moved[points] = values if len(values) == 1 else values[self.ranks[start:stop]]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SetBox:
    """The elements ``begin``, ``begin + step``, … of each axis, up to ``end``, that get other values, or a constant."""

    begin: Shape
    end: Shape
    step: Shape
    constant: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lay:
    """Lay values over a block, in boxes, of which later ones lie over earlier ones.

    ``access`` is what the task needs of the result. It gets the block, and for each box without a constant the values
    of the elements between its ends, or None where it has no such elements.
    """

    boxes: tuple[SetBox, ...]
    access: AccessMap

    def __call__(self, index: Index, values: Sequence[Any]) -> Any:
        given = iter(values)
        result = base = np.asarray(next(given))
        numbers = [access.numbers(index) for access in self.access.axes]
        for box in self.boxes:
            laid = None if box.constant is not None else next(given)
            if box.constant is None and laid is None:
                continue
            parts = map(range, box.begin, box.end, box.step)
            pairs = [_hits(along, part) for along, part in zip(numbers, parts, strict=True)]
            if not all(_some(target) for target, _ in pairs):
                continue
            if result is base:
                result = np.array(base)
            where = _region([target for target, _ in pairs])
            if laid is None:
                result[where] = box.constant
            else:
                result[where] = np.asarray(laid)[_region([source for _, source in pairs])]
        return result


def _hits(numbers: Any, part: range) -> tuple[Any, Any]:
    """Return the places among ``numbers`` of those in ``part``, and their places among all within its ends."""
    if isinstance(numbers, range) and numbers.step == 1:
        low, high = max(numbers.start, part.start), min(numbers.stop, part.stop)
        first = low + -(low - part.start) % part.step
        stop = max(first, high)
        target = slice(first - numbers.start, stop - numbers.start, part.step)
        return target, slice(first - low, stop - low, part.step)
    listed = np.asarray(numbers)
    within = (listed >= part.start) & (listed < part.stop)
    hit = within & ((listed - part.start) % part.step == 0)
    return _evenly(np.flatnonzero(hit)), _evenly(np.flatnonzero(hit[within]))


def _some(place: Any) -> bool:
    return place.start < place.stop if isinstance(place, slice) else len(place) > 0


def _evenly(numbers: Any) -> Any:
    """Return ``numbers`` as a slice where they are evenly spaced."""
    if len(numbers) < 2:
        first = int(numbers[0]) if len(numbers) else 0
        return slice(first, first + len(numbers))
    step = int(numbers[1] - numbers[0])
    if step > 0 and (np.diff(numbers) == step).all():
        return slice(int(numbers[0]), int(numbers[-1]) + 1, step)
    return numbers


def _region(along: Sequence[Any]) -> tuple[Any, ...]:
    """Return an index of all combinations of what is selected along each axis."""
    if all(isinstance(part, slice) for part in along):
        return tuple(along)
    listed = [
        np.arange(part.start, part.stop, part.step or 1) if isinstance(part, slice) else part
        for part in along
    ]
    return tuple(np.ix_(*listed))


@dataclass(frozen=True, slots=True)
class RepeatElements:
    """The function that repeats each element of a block along an axis."""

    count: int
    axis: int

    def __call__(self, block: Any) -> Any:
        return np.repeat(block, self.count, self.axis)
