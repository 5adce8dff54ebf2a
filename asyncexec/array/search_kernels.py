"""Searching of one block among the elements of another, on workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Block = NDArray[Any]


@dataclass(frozen=True, slots=True)
class CountBelow:
    """Count, for each of ``wanted``, the elements of ``line`` below it (``side="right"``: below it or equal).

    ``ordered`` says whether ``line`` is sorted already, ``stacked`` whether the result begins with an axis of length 1.
    """

    side: Any
    ordered: bool
    stacked: bool

    def __call__(self, line: Block, wanted: Block) -> Block:
        found = np.searchsorted(line if self.ordered else np.sort(line), wanted, side=self.side)
        counts = np.asarray(found, np.int64)
        return counts[np.newaxis] if self.stacked else counts


_FEW = 16
"""So many known elements are compared one after another: a search for each element of a block takes longer."""


@dataclass(frozen=True, slots=True)
class IsAmong:
    """Return where elements of ``block`` are among those of ``line``, or where they are not (``invert``)."""

    dtype: np.dtype[Any]
    invert: bool
    stacked: bool

    def __call__(self, line: Block, block: Block) -> Block:
        block = block.astype(self.dtype, copy=False)
        known = line.astype(self.dtype, copy=False)
        if known.size <= _FEW:
            found = np.zeros(block.shape, np.bool_)
            for k in range(known.size):
                found |= np.asarray(block == known[k])
        else:
            known = np.sort(known)
            places = np.asarray(np.searchsorted(known, block))
            np.minimum(places, known.size - 1, out=places)
            found = np.asarray(known[places] == block)
        if self.invert:
            found = ~found
        return found[np.newaxis] if self.stacked else found


@dataclass(frozen=True, slots=True)
class BinNumbers:
    """Return the numbers of the bins between ``edges`` in which elements lie."""

    edges: Block
    right: bool

    def __call__(self, block: Block) -> Block:
        return np.asarray(np.digitize(block, self.edges, right=self.right), np.int64)


@dataclass(frozen=True, slots=True)
class Interpolation:
    """The function that interpolates a block."""

    left: complex | None
    right: complex | None
    period: float | None
    dtype: np.dtype[Any]

    def __call__(self, block: Block, places: Block, values: Block) -> Block:
        options: Any = {"left": self.left, "right": self.right, "period": self.period}
        return np.asarray(np.interp(block, places, values, **options)).astype(self.dtype)
