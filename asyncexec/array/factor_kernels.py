"""Steps of blocked factorizations, as tasks run them; NumPy is all that they need."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

type Block = NDArray[Any]


def factor_column(block: Block, corner: Block, *, block_id: tuple[int, ...]) -> Block:
    """Return a block of a column of a Cholesky factor, of which ``corner`` is the first.

    ``block`` is that of the matrix: its factor X solves ``X @ adjoint(corner) = block``.
    """
    if block_id[-2] == 0:
        return corner
    return _adjoint(np.linalg.solve(corner, _adjoint(block)))


def _adjoint(block: Block) -> Block:
    return np.conj(np.swapaxes(block, -1, -2))
