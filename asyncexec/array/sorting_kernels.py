"""Sorting and merging of blocks, on workers: by value, equal ones by what belongs to them (their numbers, mostly)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array.merge_exchange import Exchange
from asyncexec.plan.box import Index

type Block = NDArray[Any]


def sorted_block(block: Block, *, axis: int, descending: bool = False) -> Block:
    """Return ``block`` sorted along ``axis``; NaN counts as the greatest."""
    found = np.sort(block, axis=axis, kind="stable" if _has_unlike_equals(block) else None)
    return np.flip(found, axis) if descending else found


def _has_unlike_equals(block: Block) -> bool:
    """Return whether elements that are equal may differ, so that their order shows.

    Where none do, sorting in any order gives the same bits, and NumPy's vectorized quicksort takes half the time.
    """
    if block.dtype.kind == "f":
        return bool((np.signbit(block) & (block == 0)).any())
    return block.dtype.kind not in "biumM"


def sorting_numbers(block: Block, *, axis: int, descending: bool = False) -> Block:
    """Return the numbers of the elements of ``block`` along ``axis`` in sorted order, equal ones as they are."""
    if not descending:
        return np.argsort(block, axis=axis, kind="stable")
    # The order of the line turned around, turned around: equal elements are in their own order again.
    turned = np.argsort(np.flip(block, axis), axis=axis, kind="stable")
    np.subtract(block.shape[axis] - 1, turned, out=turned)
    return np.flip(turned, axis)


def greatest_value(dtype: np.dtype[Any]) -> Any:
    """Return the value after which no other comes in sorted order: NaN where there is one."""
    if dtype.kind == "b":
        return np.True_
    if dtype.kind in "iu":
        return np.iinfo(dtype).max
    return complex(np.nan, np.nan) if dtype.kind == "c" else np.nan


def same_place(first: Block, second: Block) -> Block:
    """Return where sorted order has no preference: equal values, and NaN and NaN, part by part of complex numbers."""
    if first.dtype.kind == "c":
        real, imaginary = (same_place(part(first), part(second)) for part in (np.real, np.imag))
        return real & imaginary
    found: Block = first == second
    if first.dtype.kind == "f":
        found |= np.isnan(first) & np.isnan(second)
    return found


def ordered_together(values: Block, others: Block, axis: int) -> tuple[Block, Block]:
    """Return both in the order of ``values``, those of equal values in the order of ``others``."""
    order = np.argsort(values, axis=axis, kind="stable")
    values, others = (np.take_along_axis(each, order, axis) for each in (values, others))
    del order
    values, others = np.moveaxis(values, axis, -1), np.moveaxis(others, axis, -1)
    tied = same_place(values[..., 1:], values[..., :-1])
    if (tied & (others[..., 1:] < others[..., :-1])).any():
        runs = np.zeros(values.shape, np.int64)
        np.cumsum(~tied, axis=-1, out=runs[..., 1:])
        order = np.lexsort((others, runs), axis=-1)
        del runs
        values, others = (np.take_along_axis(each, order, -1) for each in (values, others))
    return np.moveaxis(values, -1, axis), np.moveaxis(others, -1, axis)


@dataclass(frozen=True, slots=True)
class SortBlocks:
    """Sort a block (and what belongs to it), and fill it up to ``length`` elements with what sorts last."""

    axis: int
    length: int

    def __call__(self, *blocks: Block, block_id: Index) -> tuple[Block, ...]:
        if len(blocks) == 1:
            return (self._filled(sorted_block(blocks[0], axis=self.axis)),)
        values, others = ordered_together(blocks[0], blocks[1], self.axis)
        return self._filled(values), self._filled(others)

    def _filled(self, block: Block) -> Block:
        missing = self.length - block.shape[self.axis]
        if not missing:
            return block
        shape = tuple(missing if a == self.axis else n for a, n in enumerate(block.shape))
        greatest = np.full(shape, greatest_value(block.dtype), block.dtype)
        return np.concatenate([block, greatest], axis=self.axis)


@dataclass(frozen=True, slots=True)
class MergePairs:
    """Merge two sorted blocks into one of twice the length; those from number ``pairs`` on stay as they are.

    Blocks come as ``(first, second)``, or as ``(first, second, others of the first, others of the second)``.
    """

    axis: int
    pairs: int

    def __call__(self, *blocks: Block, block_id: Index) -> tuple[Block, ...]:
        both = np.concatenate(blocks[:2], axis=self.axis)
        merging = block_id[self.axis] < self.pairs
        if len(blocks) == 2:
            if merging:
                # Timsort finds the two runs, and merges them.
                both.sort(axis=self.axis, kind="stable")
            return (both,)
        others = np.concatenate(blocks[2:], axis=self.axis)
        return ordered_together(both, others, self.axis) if merging else (both, others)


@dataclass(frozen=True, slots=True)
class KeepHalf:
    """Merge a sorted block with its partner's, and keep the half that is its own, within ``extent`` elements in all.

    Attributes
    ----------
    axis : int
    exchange : Exchange
        Says which block has which partner.
    extent : int
        Length of the result, whose last block is cut to it.
    result : int
        Whether to return values (0) or what belongs to them (1).
    """

    axis: int
    exchange: Exchange
    extent: int
    result: int = 0

    def __call__(self, *blocks: Block, block_id: Index) -> Block:
        own = block_id[self.axis]
        partner = self.exchange.partner(own)
        length = blocks[0].shape[self.axis]
        count = min(length, self.extent - own * length)
        if partner == own:
            return self._part(blocks[2 * self.result], 0, count)
        if partner < own:
            # Both tasks merge alike: zeros of both signs are equal, and lie where they lay.
            blocks = tuple(blocks[k] for k in (1, 0, 3, 2)[: len(blocks)])
        merge = MergePairs(self.axis, 1)
        merged = merge(*blocks, block_id=(0,) * blocks[0].ndim)[self.result]
        return self._part(merged, length if partner < own else 0, count)

    def _part(self, block: Block, start: int, count: int) -> Block:
        return block[(slice(None),) * self.axis + (slice(start, start + count),)]
