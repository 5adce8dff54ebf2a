"""Runs of equal elements in sorted blocks, on workers: how many begin in a block, and what stands where they begin.

Blocks come with the last element of the block before, so that a run that goes on is not counted again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.plan.box import Index

type Block = NDArray[Any]


def begins(block: Block, before: Block, block_id: Index, *, equal_nan: bool) -> Block:
    """Return where runs begin; each NaN is a run of its own, or all are one (``equal_nan``)."""
    found = np.ones(block.shape, np.bool_)
    # By the operator, which compares records, too.
    found[1:] = block[1:] != block[:-1]
    if block_id[0]:
        found[:1] = block[:1] != before
    if equal_nan and block.dtype.kind in "fcmM":
        missing = np.isnan(block)
        found[1:] &= ~(missing[1:] & missing[:-1])
        if block_id[0]:
            found[:1] &= ~(missing[:1] & np.isnan(before))
    return found


def count_runs(block: Block, before: Block, *, block_id: Index, equal_nan: bool) -> Block:
    """Return how many runs begin in ``block``, as an array of one element."""
    found = begins(block, before, block_id, equal_nan=equal_nan)
    return np.asarray([np.count_nonzero(found)], np.int64)


def run_numbers(
    block: Block, before: Block, earlier: Block, *, block_id: Index, equal_nan: bool
) -> Block:
    """Return the number of the run of each element; ``earlier`` runs begin in blocks before."""
    found = np.cumsum(begins(block, before, block_id, equal_nan=equal_nan), dtype=np.int64)
    found += earlier[0] - 1
    return found


@dataclass(frozen=True, slots=True)
class AtBegins:
    """Return the elements of ``others`` where runs begin, filled up with zeros to ``length``."""

    length: int

    def __call__(
        self, block: Block, before: Block, others: Block, *, block_id: Index, equal_nan: bool
    ) -> Block:
        chosen = others[begins(block, before, block_id, equal_nan=equal_nan)]
        found = np.zeros(self.length, others.dtype)
        found[: len(chosen)] = chosen
        return found
