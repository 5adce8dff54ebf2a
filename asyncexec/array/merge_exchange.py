"""Batcher's merge exchange: which blocks are compared with which in the passes of a sorting network.

The network is Algorithm M of Knuth, The Art of Computer Programming 3, section 5.2.2 (K. E. Batcher, "Sorting networks
and their applications", 1968). It sorts single elements. With sorted blocks of equal length in place of elements, and
the merging and splitting of two blocks in place of a comparison, it sorts what is in the blocks (exercise 5.3.4-38).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Exchange:
    """One pass over ``blocks`` blocks: block ``i`` with block ``i + distance`` where ``i & bit == residue``."""

    blocks: int
    bit: int
    residue: int
    distance: int

    def partner(self, block: int) -> int:
        """Return the number of the block that ``block`` is compared with; its own where there is none."""
        above, below = block + self.distance, block - self.distance
        if block & self.bit == self.residue and above < self.blocks:
            return above
        if below >= 0 and below & self.bit == self.residue:
            return below
        return block

    def lower(self) -> NDArray[np.int64]:
        """Return the numbers of the blocks that get the lower half of what two have."""
        numbers = np.arange(max(self.blocks - self.distance, 0))
        found: NDArray[np.int64] = numbers[(numbers & self.bit) == self.residue]
        return found

    def partners(self) -> NDArray[np.int64]:
        """Return :meth:`partner` of each block."""
        found = np.arange(self.blocks)
        lower = self.lower()
        found[lower], found[lower + self.distance] = lower + self.distance, lower
        return found


def exchanges(blocks: int) -> Iterator[Exchange]:
    """Iterate over the passes that sort ``blocks`` blocks; about half the square of the binary logarithm of it."""
    top = 1 << max(blocks - 1, 0).bit_length() >> 1
    bit = top
    while bit:
        last, residue, distance = top, 0, bit
        while True:
            yield Exchange(blocks, bit, residue, distance)
            if last == bit:
                break
            distance, last, residue = last - bit, last >> 1, bit
        bit >>= 1
