"""Counting of the elements of a block, on workers: the same tables for every block, so that their sum is that of all.

The first axes of a table stand for the number of the block, with length 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.plan.box import Index

type Block = NDArray[Any]


@dataclass(frozen=True, slots=True)
class CountInBins:
    """Count the elements of a block in each bin, or add up their weights, as ``numpy.histogram``.

    Attributes
    ----------
    bins : int or array
        How many of equal width within ``range``, or the edges.
    range : tuple of two numbers, or None
    """

    bins: Any
    range: Any

    def __call__(self, block: Block, *weights: Block) -> Block:
        given = weights[0] if weights else None
        found, _ = np.histogram(block, bins=self.bins, range=self.range, weights=given)
        return np.asarray(found).reshape((1,) * block.ndim + found.shape)


@dataclass(frozen=True, slots=True)
class CountInCells:
    """Count the points whose coordinates are the first ``dims`` blocks, or the columns of one, between ``edges``."""

    edges: tuple[Block, ...]
    columns: bool

    def __call__(self, *blocks: Block) -> Block:
        dims = len(self.edges)
        points: Any = blocks[0] if self.columns else blocks[:dims]
        weights = blocks[1:] if self.columns else blocks[dims:]
        bins: Any = list(self.edges)
        found, _ = np.histogramdd(points, bins=bins, weights=weights[0] if weights else None)
        return np.asarray(found)[np.newaxis]


@dataclass(frozen=True, slots=True)
class CountNumbers:
    """Count how often each number from 0 comes, or add up its weights; a block of the table has ``length`` of them."""

    length: int
    extent: int

    def __call__(self, block: Block, *weights: Block, block_id: Index = (0, 0)) -> Block:
        start = block_id[-1] * self.length
        count = min(self.length, self.extent - start)
        numbers = block.astype(np.int64, copy=False)
        given = weights[0] if weights else None
        if count < self.extent:
            here = (numbers >= start) & (numbers < start + count)
            numbers = numbers[here] - start
            given = None if given is None else given[here]
        counts = np.bincount(numbers, given, minlength=count)
        # Of no numbers NumPy returns integers, whatever the weights.
        dtype = np.int64 if given is None else np.float64
        return np.asarray(counts).astype(dtype, copy=False)[np.newaxis]
