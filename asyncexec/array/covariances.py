"""Covariances and correlation coefficients, made of means and of a matrix product."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.arithmetic import clip, divide, imag, real, sqrt
from asyncexec.array.array import Array
from asyncexec.array.contraction import pair_product
from asyncexec.array.data_types import astype
from asyncexec.array.diagonals import diagonal
from asyncexec.array.dtypes import check_numbers, checked_dtype, floating
from asyncexec.array.integers import integer
from asyncexec.array.manipulation import concat
from asyncexec.array.operands import chunk_limit, common_spec
from asyncexec.array.statistical import mean
from asyncexec.array.wrapping import as_array


def cov(
    m: Array,
    /,
    y: Array | None = None,
    *,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    dtype: Any = None,
) -> Array:
    """Return the covariance matrix of variables, as ``numpy.cov`` does without weights.

    >>> x = xp.asarray([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]], chunks=(1, 2))
    >>> xp.cov(x).compute()
    array([[ 1., -1.],
           [-1.,  1.]])

    Parameters
    ----------
    m : Array
        One variable a row, one observation a column; a single axis is one variable.
    y : Array, optional
        More variables, in the same form.
    rowvar : bool
        False, if variables are columns.
    bias : bool
        Whether to divide by the number of observations, rather than by one less.
    ddof : int, optional
        What to take off the number of observations, whatever ``bias`` says.
    dtype : dtype, optional
        In which to compute; by default floating types stay, and others become float64.

    Returns
    -------
    Array
        Of shape ``(N, N)`` for N variables, without axes for a single one.

    Raises
    ------
    ValueError
        If there are more than two axes, or the numbers of observations differ.
    """
    observations = _observations("cov", m, y, rowvar=rowvar, dtype=dtype)
    taken = integer(ddof, "ddof") if ddof is not None else int(not bias)
    return _without_ones(_covariance("cov", observations, taken))


def corrcoef(
    x: Array, /, y: Array | None = None, *, rowvar: bool = True, dtype: Any = None
) -> Array:
    """Return the matrix of correlation coefficients of variables, as ``numpy.corrcoef``.

    Parameters and errors are those of :func:`cov`.

    >>> xp.corrcoef(xp.asarray([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])).compute()
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    observations = _observations("corrcoef", x, y, rowvar=rowvar, dtype=dtype)
    matrix = _covariance("corrcoef", observations, 1)
    spread = sqrt(real(diagonal(matrix)) if matrix.dtype.kind == "c" else diagonal(matrix))
    scaled = divide(divide(matrix, spread[:, None]), spread[None, :])
    return _without_ones(_within_one(scaled))


def _observations(operation: str, m: Array, y: Array | None, *, rowvar: bool, dtype: Any) -> Array:
    """Return all variables as rows, in the type that is computed in."""
    parts = [as_array(each, operation) for each in (m, y) if each is not None]
    rows = []
    for part in parts:
        check_numbers(operation, part.dtype)
        if part.ndim > 2:
            raise ValueError(
                f"{operation}() takes variables in one axis or two, and got an array of shape {part.shape}"
            )
        row = part if part.ndim == 2 else part[(None,) * (2 - part.ndim)]
        rows.append(row if rowvar or part.ndim < 2 else row.T)
    counts = {row.shape[1] for row in rows}
    if len(counts) != 1:
        raise ValueError(
            f"{operation}() of arrays of shapes {parts[0].shape} and {parts[1].shape}: the numbers of observations "
            f"differ"
        )
    wanted = floating(np.result_type(*(row.dtype for row in rows)))
    if dtype is not None:
        wanted = checked_dtype(dtype, what="the result")
    rows = [astype(row, wanted) for row in rows]
    return concat(rows, axis=0) if len(rows) > 1 else rows[0]


def _covariance(operation: str, observations: Array, ddof: int) -> Array:
    deviations = observations - mean(observations, axis=1, keepdims=True)
    spec = common_spec((observations.own_spec,))
    node = pair_product(
        operation,
        (deviations.node, deviations.node),
        (("column", "inner"), ("row", "inner"), ("row", "column")),
        limit=chunk_limit(spec),
        free_bytes=observations.spec.free_bytes,
        conjugate=True,
    )
    divisor = max(observations.shape[1] - ddof, 0)
    return Array(build.apply_elementwise("divide", np.divide, (node, float(divisor))), spec)


def _within_one(matrix: Array) -> Array:
    """Return ``matrix`` with coefficients beyond 1 by rounding cut off, as NumPy does it part by part."""
    if matrix.dtype.kind != "c":
        return clip(matrix, -1, 1)
    return clip(real(matrix), -1, 1) + 1j * clip(imag(matrix), -1, 1)


def _without_ones(matrix: Array) -> Array:
    return matrix[0, 0] if matrix.shape == (1, 1) else matrix
