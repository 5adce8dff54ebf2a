"""Functions of blocks as users give them, in a module that loads nothing: workers import it with them."""

from __future__ import annotations

from typing import Any

import numpy as np


def plus_two(block: Any) -> Any:
    """Return ``block`` and two."""
    return block + 2


def centred(block: Any) -> Any:
    """Return ``block`` less its means along the first axis."""
    return block - block.mean(axis=0)


def total(block: Any) -> Any:
    """Return sums along the first axis."""
    return block.sum(axis=0)


def narrowed(block: Any, block_id: tuple[int, ...]) -> Any:
    """Return fewer columns of the first chunk."""
    return block[:, : (900, 1600)[block_id[1]]]


def twice(block: Any) -> Any:
    """Return ``block`` times two."""
    return block * 2


def both(block: Any) -> Any:
    """Return ``block`` and one, and ``block`` times two."""
    return block + 1, block * 2


def numbered(region: tuple[slice, ...]) -> Any:
    """Return an array of the shape of ``region``, of the number of its first row."""
    return np.full([part.stop - part.start for part in region], float(region[0].start))


def row_sum(block: Any) -> Any:
    """Return sums along the last axis."""
    return block.sum(axis=-1)
