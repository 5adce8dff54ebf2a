"""``numpy.linalg.lstsq`` of lazy arrays, as far as xarray calls it: with a matrix in memory."""

from __future__ import annotations

from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array.array import Array


def least_squares_fit(matrix: Any, values: Array, rcond: Any = None) -> tuple[Any, Any, int, Any]:
    """Return what ``numpy.linalg.lstsq`` does, for a matrix in memory, and lazy values.

    The matrix's pseudo-inverse, by its singular values, is multiplied with the values.

    Raises
    ------
    TypeError
        If the matrix is lazy.
    """
    if isinstance(matrix, Array):
        raise TypeError(
            "numpy.linalg.lstsq of a lazy matrix is not offered: load the coordinates before"
        )
    matrix = np.asarray(matrix)
    matrix = matrix if matrix.dtype.kind in "fc" else matrix.astype(np.float64)
    least = np.finfo(matrix.dtype).eps * max(matrix.shape) if rcond is None else rcond
    singular = np.linalg.svd(matrix, compute_uv=False)
    rank = int((singular > least * singular.max(initial=0.0)).sum())
    columns = values if values.ndim > 1 else xp.expand_dims(values, 1)
    # NumPy's matrices become arrays where they stand before a lazy one.
    coefficients: Any = np.linalg.pinv(matrix, rcond=least) @ columns
    errors = columns - matrix @ coefficients
    residuals = xp.sum(errors * errors, axis=0)
    if rank < matrix.shape[1] or matrix.shape[0] <= matrix.shape[1]:
        residuals = residuals[:0]
    return (coefficients if values.ndim > 1 else coefficients[:, 0]), residuals, rank, singular
