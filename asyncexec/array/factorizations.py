"""Factorizations of the matrices in one block, as tasks run them; NumPy is all that they need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

type Block = NDArray[Any]


def reduced_qr(block: Block) -> tuple[Block, Block]:
    """Return Q and R of each matrix, R with as many rows as the shorter side."""
    found = np.linalg.qr(block, mode="reduced")
    return found.Q, found.R


def stacked_qr(block: Block) -> tuple[Block, Block]:
    """Return :func:`reduced_qr` of a block of rows; Q has as many columns as the block.

    The last block of a matrix may have fewer rows than columns. Zeros fill up its Q then, and R is as short as it is.
    """
    q, r = reduced_qr(block)
    missing = block.shape[-1] - q.shape[-1]
    if missing:
        q = np.concatenate([q, np.zeros((*q.shape[:-1], missing), q.dtype)], axis=-1)
    return q, r


def times_rows(q: Block, rows: Block) -> Block:
    """Return ``q @ rows``, where ``q`` has been filled up with columns that ``rows`` has no rows for."""
    return np.asarray(q[..., : rows.shape[-2]] @ rows)


def reduced_svd(block: Block) -> tuple[Block, Block, Block]:
    """Return U, S and Vh of each matrix, with as many singular values as the shorter side has elements."""
    found = np.linalg.svd(block, full_matrices=False)
    return found.U, found.S, found.Vh
