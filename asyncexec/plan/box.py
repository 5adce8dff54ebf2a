"""Index spaces and boxes in them.

An *index space* is a shape, like a chunk grid. An *index* is a point in it: a tuple, or (row-major) one flat integer.
A *box* is a product of one span per axis; a *span* is a ``range`` of step 1 or a sorted tuple of integers.
Closed forms make ranges; only a gather makes tuples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import product

type Shape = tuple[int, ...]
type Index = tuple[int, ...]
type Span = range | tuple[int, ...]
type Box = tuple[Span, ...]


def whole(shape: Shape) -> Box:
    """Return the box of every index of ``shape``."""
    return tuple(range(n) for n in shape)


def point(index: Index) -> Box:
    """Return the box that holds just ``index``."""
    return tuple([range(i, i + 1) for i in index])


def size(box: Box) -> int:
    """Return the number of indices in ``box``."""
    return math.prod(len(span) for span in box)


def indices(box: Box) -> Iterator[Index]:
    """Iterate over the indices of ``box``, row-major."""
    return product(*box)


def ravel(index: Index, shape: Shape) -> int:
    """Return the flat (row-major) form of ``index``."""
    flat = 0
    for i, n in zip(index, shape, strict=True):
        flat = flat * n + i
    return flat


def unravel(flat: int, shape: Shape) -> Index:
    """Return the index whose flat form is ``flat``."""
    if len(shape) == 1:
        return (flat,)
    index: list[int] = []
    for n in reversed(shape):
        flat, i = divmod(flat, n)
        index.append(i)
    index.reverse()
    return tuple(index)


def flat_runs(box: Box, shape: Shape) -> Iterator[range]:
    """Iterate over the flat indices of ``box`` as maximal contiguous ranges, in ascending order."""
    ranges = True
    for span in box:
        if not span:
            return iter(())
        ranges = ranges and type(span) is range
    axis = len(shape)
    run = 1
    while axis and len(box[axis - 1]) == shape[axis - 1]:
        axis -= 1
        run *= shape[axis]
    if not axis:
        return iter((range(run),))
    if not ranges:
        return _merged(_runs(box, shape, axis - 1, run))
    # Runs of ranges never touch: a span that fills its axis has been taken into the run.
    return _runs(box, shape, axis - 1, run)


def _runs(box: Box, shape: Shape, axis: int, run: int) -> Iterator[range]:
    """Iterate over contiguous ranges in ascending order; axes behind ``axis`` are whole and make ``run``."""
    span = box[axis]
    extent = shape[axis]
    pieces = (
        ((span.start * run, span.stop * run),)
        if isinstance(span, range)
        else tuple((i * run, (i + 1) * run) for i in span)
    )
    for outer in product(*box[:axis]):
        base = 0
        for i, n in zip(outer, shape, strict=False):
            base = base * n + i
        base *= extent * run
        for start, stop in pieces:
            yield range(base + start, base + stop)


def _merged(runs: Iterator[range]) -> Iterator[range]:
    held = next(runs)
    for run in runs:
        if held.stop == run.start:
            held = range(held.start, run.stop)
        else:
            yield held
            held = run
    yield held


def clip(start: int, stop: int, extent: int) -> range:
    """Return ``range(start, stop)`` cut to ``[0, extent)``; empty ranges are ``range(0)``."""
    start, stop = max(start, 0), min(stop, extent)
    return range(start, stop) if start < stop else range(0)


def union(spans: Iterator[Span]) -> Span:
    """Return the union of ``spans``, as a range where it is contiguous."""
    members: set[int] = set()
    for span in spans:
        members.update(span)
    ordered = tuple(sorted(members))
    if ordered and ordered[-1] - ordered[0] + 1 == len(ordered):
        return range(ordered[0], ordered[-1] + 1)
    return ordered or range(0)


def intersect(a: Span, b: Span) -> Span:
    """Return the positions that are in both ``a`` and ``b``."""
    if isinstance(a, range) and isinstance(b, range):
        return clip(max(a.start, b.start), min(a.stop, b.stop), max(a.stop, b.stop))
    shared = set(b)
    return union(iter([tuple(i for i in a if i in shared)]))


def union_over(span: Span, each: Callable[[int], Span]) -> Span:
    """Return the union of ``each`` over ``span``."""
    if len(span) == 1:
        return each(span[0])
    return union(each(i) for i in span)


def next_index(index: Index, shape: Shape) -> Index | None:
    """Return the index after ``index`` in row-major order; None after the last.

    >>> from asyncexec.plan.box import next_index
    >>> next_index((0, 2), (2, 3)), next_index((1, 2), (2, 3))
    ((1, 0), None)
    """
    found = list(index)
    for axis in reversed(range(len(shape))):
        found[axis] += 1
        if found[axis] < shape[axis]:
            return tuple(found)
        found[axis] = 0
    return None
