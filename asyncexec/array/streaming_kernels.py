"""The kernels of tasks that take their input piece by piece, and keep one partial result.

Workers load this module for such tasks alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.direct_merging import LEAST_BYTES, Merge, direct_merge
from asyncexec.array.kernels import FusedKernel, elements_along
from asyncexec.array.reducers import Part, Reducer
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Index
from asyncexec.plan.pieces import Pieces

type Held = list[tuple[tuple[Part, ...], int]]
"""For each reduction, the partial result so far, and the number of elements that it stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePieces:
    """The merging of the partial results of pieces, one after another.

    ``access`` is what each piece needs of the arrays of partial results, of which one element stands for ``units``
    elements along ``axes``, of ``extents`` in all. ``last`` makes the result of the last partial result.
    """

    reducer: Reducer
    axes: tuple[int, ...]
    units: tuple[int, ...]
    extents: tuple[int, ...]
    last: Reducer | None
    access: AccessMap

    def count(self, piece: Index) -> int:
        """Return the number of elements that the partial result of ``piece`` stands for."""
        found = elements_along(self.access, self.axes, self.units, self.extents, piece)
        return math.prod(int(along.sum()) for along in found)

    def finished(self, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        """Return the arrays that the task writes."""
        if self.last is None:
            return parts
        count = math.prod(self.extents)
        if self.last is not self.reducer:
            # It takes the last step of merging, too, as it would in a pass of its own.
            counts = np.full((1,) * parts[0].ndim, float(count))
            parts = self.last.merge(parts, self.axes, counts)
        return (self.last.finish(parts, count),)


@dataclass(frozen=True, slots=True)
class StreamedKernel:
    """A kernel that takes pieces one after another, and holds what one of them needs, and a partial result.

    >>> import asyncexec.array as xp
    >>> x = xp.ones((1000,), chunks=(2,), spec=ax.Spec(reduction_tasks=2))
    >>> kernel = xp.sum(x).to_plan().stages[0].kernel
    >>> list(kernel.pieces((0,)))[:3]
    [(0,), (1,), (2,)]

    Attributes
    ----------
    kernel : FusedKernel
        What is done for each piece; it makes the partial results of all reductions.
    merges : tuple of MergePieces
        What becomes of those of each reduction.
    results : tuple of (int, int)
        The arrays that are wanted: the number of the reduction, and of the array among those that it makes.
    taken : Pieces
        The pieces that each task takes.
    after : FusedKernel or None
        What is made of these arrays, once a task.
    """

    kernel: FusedKernel
    merges: tuple[MergePieces, ...]
    results: tuple[tuple[int, int], ...]
    taken: Pieces
    after: FusedKernel | None = None

    def pieces(self, index: Index) -> Iterator[Index]:
        """Iterate over the pieces of a task, in the order in which they are merged."""
        return self.taken.of(index)

    def __call__(self, index: Index, pieces: Iterable[tuple[Index, Sequence[Any]]]) -> Any:
        """Return what the task puts out; ``pieces`` are given with their inputs, which are not held."""
        held: Held | None = None
        for piece, inputs in pieces:
            held = self.take(held, piece, *inputs)
            del inputs
        return self.finish(index, held)

    def take(self, held: Held | None, piece: Index, *inputs: Any) -> Held:
        """Return ``held``, which it may overwrite, with the next piece merged into it; None is nothing yet."""
        if held is not None and (direct := self._direct(held)) is not None:
            return self._taken_directly(held, piece, inputs, *direct)
        made = self.kernel(piece, *inputs)
        parts = iter(made if len(self.kernel.results) > 1 else (made,))
        found: Held = []
        others = [block for block in inputs if block is not None]
        with np.errstate(all="ignore"):
            for number, merge in enumerate(self.merges):
                arrays = merge.reducer.partial_dtypes
                new = tuple([np.asarray(next(parts)) for _ in arrays])
                count = merge.count(piece)
                if held is None:
                    found.append((_kept(merge.reducer, new, others), count))
                    others += new
                    continue
                before, elements = held[number]
                both = merge.reducer.add(before, new, merge.axes, (elements, count))
                found.append((both, elements + count))
        return found

    def _direct(self, held: Held) -> tuple[FusedKernel, Merge] | None:
        """Return what merges a piece directly, where its partial result is large enough to be worth it."""
        if len(self.merges) != 1 or sum([part.nbytes for part in held[0][0]]) < LEAST_BYTES:
            return None
        return direct_merge(self.kernel, self.merges[0].reducer)

    def _taken_directly(
        self, held: Held, piece: Index, inputs: Sequence[Any], head: FusedKernel, merge_into: Merge
    ) -> Held:
        (merge,), ((kept, elements),) = self.merges, held
        made = head(piece, *inputs)
        more = merge.count(piece)
        with np.errstate(all="ignore"):
            merge_into(kept, made if len(head.results) > 1 else (made,), (elements, more))
        return [(kept, elements + more)]

    def finish(self, index: Index, held: Held | None) -> Any:
        """Return what the task at ``index`` puts out, when all its pieces are merged."""
        with np.errstate(all="ignore"):
            pairs = zip(self.merges, held or (), strict=True)
            made = [merge.finished(parts) for merge, (parts, _) in pairs]
        found = [made[number][array] for number, array in self.results]
        if self.after is not None:
            return self.after(index, *found)
        return found[0] if len(found) == 1 else tuple(found)


def _kept(reducer: Reducer, parts: tuple[Part, ...], others: Sequence[Any]) -> tuple[Part, ...]:
    """Return the first partial result, into which others are merged.

    What has no memory of its own is copied: it may be an input, or that of another reduction of the same (``others``).
    """
    return tuple(
        [
            part
            if reducer.adds_in_place
            and part.flags.writeable
            and not any(np.may_share_memory(part, other) for other in others)
            else part.copy(order="K")
            for part in parts
        ]
    )
