"""The functions that tasks of grouped reductions call with whole blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array.grouped_elements import Coder, grouped_elements
from asyncexec.array.grouped_reducers import GroupedAccumulate, GroupedReducer, merging_ufuncs
from asyncexec.array.reducers import MERGING_COPIES, merged_pair
from asyncexec.array.slab_lengths import slabs_of

type Part = NDArray[Any]


@dataclass(frozen=True, slots=True)
class StartGroups:
    """The function that reduces a block by the labels of its elements to partial results, or to results.

    Attributes
    ----------
    axes : tuple of int
        The axes that labels are along, ascending.
    size : int
        See :func:`~asyncexec.array.grouped_elements.grouped_elements`.
    coder : callable or None
        Makes codes of labels, where they are no codes.
    finishes : bool
        Whether each group is whole, so that the result is returned.
    """

    reducer: GroupedReducer
    axes: tuple[int, ...]
    size: int
    coder: Coder | None = None
    finishes: bool = False

    def __call__(self, block: Part, labels: Part, numbers: Part) -> Any:
        codes = labels if self.coder is None else self.coder(labels)
        elements = grouped_elements(block, codes, self.axes, self.size, numbers)
        parts = self.reducer.start(elements)
        if self.finishes:
            return _groups_last(self.reducer.finish(parts))
        # Not copied: merging goes through memory in the same order, and what writes chunks copies them.
        return tuple(np.expand_dims(np.moveaxis(part, 0, -1), self.axes) for part in parts)

    @property
    def merges_blocks(self) -> bool:
        """True where :meth:`merge_into` merges a block into a partial result without making one of the block."""
        return isinstance(self.reducer, GroupedAccumulate) and self.size > 0 and not self.finishes

    def merge_into(self, held: Sequence[Part], block: Part, labels: Part, numbers: Part) -> None:
        """Merge what this returns for a block into ``held``, of the same shapes, group by group."""
        assert isinstance(self.reducer, GroupedAccumulate)  # noqa: S101 - for type checkers
        codes = labels if self.coder is None else self.coder(labels)
        elements = grouped_elements(block, codes, self.axes, self.size, numbers)
        groups_first = [np.moveaxis(np.squeeze(part, self.axes), -1, 0) for part in held]
        self.reducer.merge_into(groups_first, elements)


def _groups_last(part: Part) -> Part:
    return np.ascontiguousarray(np.moveaxis(part, 0, -1))


@dataclass(frozen=True, slots=True)
class MergeGroups:
    """The function that merges the partial results of a cohort along ``axis``; the last block is ``places``, if any.

    Attributes
    ----------
    size : int or None
        Groups of a cohort, where partial results are put into its places; None where they are there already.
    finishes : bool
        Whether the result is returned, without ``axis``.
    groups : int
        How many groups there are in all; the result of the last cohort is cut to them.
    """

    reducer: GroupedReducer
    axis: int
    size: int | None
    finishes: bool = False
    groups: int = 0

    def __call__(self, *blocks: Part, **block: Any) -> Any:
        parts: Sequence[Part] = blocks
        if self.size is not None:
            parts = self._placed(blocks[:-1], blocks[-1], self.size)
        merged = self.reducer.merge(parts, (self.axis,))
        if not self.finishes:
            return tuple(merged)
        found = np.squeeze(self.reducer.finish(merged), self.axis)
        cohort = block["block_id"][-1]
        return found[..., : self.groups - cohort * found.shape[-1]]

    def _placed(self, parts: Sequence[Part], places: Part, size: int) -> Sequence[Part]:
        """Return partial results of chunks in the places of their groups in the cohort."""
        found = []
        for part, identity in zip(parts, self.reducer.identities, strict=True):
            rows = np.moveaxis(part, self.axis, 0)
            placed = np.full((*rows.shape[:-1], size), identity, part.dtype)
            for row, into, own in zip(rows, placed, places, strict=True):
                there = own >= 0
                into[..., own[there]] = row[..., there]
            found.append(np.moveaxis(placed, 0, self.axis))
        return found


@dataclass(frozen=True, slots=True)
class MergePasses:
    """The passes of a tree in which partial results of all groups are merged: the part of a reducer that they use."""

    reducer: GroupedReducer

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return self.reducer.partial_dtypes

    @property
    def result_dtype(self) -> np.dtype[Any]:
        return self.reducer.result_dtype

    def start(
        self, block: Part, axes: tuple[int, ...], origin: tuple[int, ...]
    ) -> tuple[Part, ...]:
        raise AssertionError("partial results are there already")

    def merge(self, parts: Sequence[Part], axes: tuple[int, ...], counts: Part) -> tuple[Part, ...]:
        return self.reducer.merge(parts, axes)

    def add(
        self,
        held: tuple[Part, ...],
        parts: tuple[Part, ...],
        axes: tuple[int, ...],
        counts: tuple[int, int],
    ) -> tuple[Part, ...]:
        ufuncs = merging_ufuncs(self.reducer)
        if not ufuncs:
            return merged_pair(self, held, parts, axes, counts)
        triples = zip(ufuncs, held, parts, strict=True)
        return tuple(ufunc(one, other, out=one) for ufunc, one, other in triples)

    @property
    def adds_in_place(self) -> bool:
        return bool(merging_ufuncs(self.reducer))

    @property
    def adding_copies(self) -> int:
        return 0 if merging_ufuncs(self.reducer) else MERGING_COPIES

    def finish(self, parts: Sequence[Part], count: int) -> Part:
        return self.reducer.finish(parts)

    def working_bytes(self, elements: int) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class SettleGroups:
    """The function that divides sums by numbers of members, and fills in groups without any."""

    divides: bool
    fill: Any
    dtype: np.dtype[Any]

    def __call__(self, block: Part, members: Part) -> Part:
        # Slab by slab: quotients are wider than results, and are made beside them.
        pair = np.broadcast_arrays(block, members)
        found = np.empty(pair[0].shape, self.dtype)
        for slab in slabs_of(found.shape):
            found[slab] = self._settled(pair[0][slab], pair[1][slab])
        return found

    def _settled(self, block: Part, members: Part) -> Part:
        found = np.divide(block, members) if self.divides else block
        return np.where(members == 0, self.fill, found).astype(self.dtype, copy=False)


@dataclass(frozen=True, slots=True)
class ElementNumbers:
    """Numbers of elements of an array of ``shape``, in C order."""

    shape: tuple[int, ...]

    def __call__(self, positions: tuple[NDArray[np.int64], ...]) -> NDArray[Any]:
        found = np.zeros((1,) * len(self.shape), np.int64)
        for axis, along in enumerate(positions):
            column = along.reshape([-1 if a == axis else 1 for a in range(len(self.shape))])
            found = found * self.shape[axis] + column
        return found
