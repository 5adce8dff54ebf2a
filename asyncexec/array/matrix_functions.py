"""Determinants, inverses, powers and ranks of matrices, of the array API standard's extension ``linalg``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from asyncexec.array import build, creation
from asyncexec.array.array import Array
from asyncexec.array.decompositions import svd, svdvals
from asyncexec.array.dtypes import real_dtype
from asyncexec.array.integers import integer
from asyncexec.array.linear_systems import solve
from asyncexec.array.matrix_arguments import adjoint_of, matrices_of, square_matrices
from asyncexec.array.matrix_kernels import (
    MatrixPower,
    determinant,
    inverse,
    sign_and_logarithm,
)
from asyncexec.array.operands import chunk_limit
from asyncexec.array.products import matmul
from asyncexec.array.searching import where
from asyncexec.array.statistical import max as largest, sum as total
from asyncexec.array.tall_qr import wide_itemsize
from asyncexec.array.whole_matrices import (
    BESIDES,
    MatrixOutput,
    in_whole_matrices,
    one_of_matrices,
    several_of_matrices,
)

_COPIES = {"det": 2, "slogdet": 2, "inv": 4, "matrix_power": 5}
"""The number of copies of a matrix, in double precision, that NumPy and LAPACK make on the way."""

_POWER_SHARE = 4
"""A matrix of a fourth of a good chunk or less is multiplied by itself in one task."""


class SlogdetResult(NamedTuple):
    """The result of :func:`slogdet`.

    >>> xp.linalg.slogdet(xp.eye(2))._fields
    ('sign', 'logabsdet')
    """

    sign: Array
    logabsdet: Array


def det(x: Array, /) -> Array:
    """Return the determinant of a square matrix, or of each of a stack; a task holds whole matrices.

    >>> xp.linalg.det(xp.asarray([[1.0, 2.0], [3.0, 4.0]])).compute()
    array(-2.)

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, M)``.

    Raises
    ------
    TypeError
        If the elements are not of a real or complex floating type of single or double precision.
    ValueError
        If matrices are not square.
    MemoryBudgetError
        If a matrix, and what is needed to compute with it, does not fit into a task's memory.
    """
    return _of_each("det", x, determinant, ())


def slogdet(x: Array, /) -> SlogdetResult:
    """Return the sign of the determinant of a square matrix, and the logarithm of its magnitude.

    For determinants that would be too large or too small; ``sign * exp(logabsdet)`` is :func:`det`, whose errors it
    raises.

    >>> sign, logabsdet = xp.linalg.slogdet(xp.eye(3) * 1e200)
    >>> sign.compute(), bool(np.isclose(logabsdet.compute(), 600 * np.log(10)))
    (array(1.), True)

    Returns
    -------
    SlogdetResult
        The namedtuple ``(sign, logabsdet)``. The sign of a complex determinant is a complex number of magnitude 1; a
        determinant of 0 has the sign 0 and the logarithm minus infinity.
    """
    array = square_matrices(x, "slogdet")
    real = real_dtype(array.dtype)
    lead, spec = array.shape[:-2], array.own_spec
    if not array.size:
        one = creation.ones(lead, dtype=array.dtype, spec=spec)
        return SlogdetResult(one, creation.zeros(lead, dtype=real, spec=spec))
    made = [
        MatrixOutput(name="sign", shape=(), dtype=array.dtype),
        MatrixOutput(name="logabsdet", shape=(), dtype=real),
    ]
    copies = _COPIES["slogdet"]
    node = in_whole_matrices("slogdet", array.node, array.spec, copies)
    nodes = several_of_matrices("slogdet", node, sign_and_logarithm, made, copies=copies)
    return SlogdetResult(*(Array(each, spec) for each in nodes))


def inv(x: Array, /) -> Array:
    """Return the inverse of a square matrix, or of each of a stack.

    A task holds a whole matrix where it fits; larger ones are inverted as in :func:`solve`, whose errors it raises.
    Where a matrix is singular, the computation fails.

    >>> xp.linalg.inv(xp.asarray([[2.0, 0.0], [0.0, 4.0]])).compute()
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    array = square_matrices(x, "inv")
    side = array.shape[-1]
    copies = _COPIES["inv"] + BESIDES
    if side * side * wide_itemsize(array.dtype) * copies > array.spec.free_bytes:
        # One right-hand side for each column.
        one = creation.eye(side, dtype=array.dtype, spec=array.own_spec)
        return solve(array, one)
    return _of_each("inv", array, inverse, array.shape[-2:])


def matrix_power(x: Array, n: int, /) -> Array:
    """Return a square matrix, or each of a stack, multiplied by itself ``n`` times.

    >>> xp.linalg.matrix_power(xp.asarray([[1.0, 1.0], [0.0, 1.0]]), 5).compute()
    array([[1., 5.],
           [0., 1.]])

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, M)``.
    n : int
        0 makes identity matrices; a negative one is that of the inverse.

    Raises
    ------
    TypeError
        If ``n`` is no integer, or the elements are not of a floating type of single or double precision.
    ValueError
        If matrices are not square.
    MemoryBudgetError
        For a negative ``n``, as :func:`inv`.
    """
    array = square_matrices(x, "matrix_power")
    exponent = integer(n, "n")
    side = array.shape[-1]
    if exponent == 0:
        one = creation.eye(side, dtype=array.dtype, spec=array.own_spec)
        limit = chunk_limit(array.own_spec)
        return Array(build.broadcast(one.node, array.shape, limit=limit), array.own_spec)
    if exponent < 0:
        return matrix_power(inv(array), -exponent)
    if exponent == 1:
        return array
    if side * side * wide_itemsize(array.dtype) * _POWER_SHARE <= chunk_limit(array.own_spec):
        return _of_each("matrix_power", array, MatrixPower(exponent), array.shape[-2:])
    half = matrix_power(array, exponent // 2)
    even = matmul(half, half)
    return matmul(even, array) if exponent % 2 else even


def matrix_rank(x: Array, /, *, rtol: float | Array | None = None) -> Array:
    """Return how many singular values of a matrix, or of each of a stack, count as not zero.

    >>> xp.linalg.matrix_rank(xp.ones((4, 3))).compute()
    array(1)

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, N)``.
    rtol : float or Array, optional
        Those count that are larger than ``rtol`` times the largest; by default the larger of M and N times the
        machine's precision. An array has one for each matrix.

    Raises
    ------
    TypeError, ValueError, MemoryBudgetError
        As :func:`svdvals` does.
    """
    array = matrices_of(x, "matrix_rank")
    singular = svdvals(array)
    if not singular.shape[-1]:
        return creation.zeros(array.shape[:-2], dtype=np.int64, spec=array.own_spec)
    counted = singular > _least(array, singular, rtol)
    return total(counted, axis=-1, dtype=np.int64)


def pinv(x: Array, /, *, rtol: float | Array | None = None) -> Array:
    """Return the Moore-Penrose pseudo-inverse of a matrix, or of each of a stack, from its singular values.

    >>> x = xp.asarray([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> xp.linalg.pinv(x).compute()
    array([[1. , 0. , 0. ],
           [0. , 0.5, 0. ]])

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, N)``.
    rtol : float or Array, optional
        See :func:`matrix_rank`; singular values that do not count are left out.

    Returns
    -------
    Array
        Of shape ``(..., N, M)``.

    Raises
    ------
    TypeError, ValueError, MemoryBudgetError
        As :func:`svd` does.
    """
    array = matrices_of(x, "pinv")
    *lead, m, n = array.shape
    if not array.size:
        return creation.zeros((*lead, n, m), dtype=array.dtype, spec=array.own_spec)
    u, singular, vh = svd(array, full_matrices=False)
    one = singular.dtype.type(1)
    counted = singular > _least(array, singular, rtol)
    inverted = where(counted, one / where(counted, singular, one), singular.dtype.type(0))
    return matmul(adjoint_of(vh) * inverted[..., None, :], adjoint_of(u))


def _least(array: Array, singular: Array, rtol: float | Array | None) -> Array:
    """Return what singular values must exceed to count."""
    if rtol is None:
        rtol = max(array.shape[-2:]) * float(np.finfo(singular.dtype).eps)
    if not isinstance(rtol, int | float):
        rtol = rtol[..., None]
    return largest(singular, axis=-1, keepdims=True) * rtol


def _of_each(operation: str, x: Array, call: Callable[..., Any], shape: tuple[int, ...]) -> Array:
    array = square_matrices(x, operation)
    copies = _COPIES[operation]
    node = one_of_matrices(
        operation,
        in_whole_matrices(operation, array.node, array.spec, copies),
        call,
        shape=shape,
        dtype=array.dtype,
        copies=copies,
    )
    return Array(node, array.own_spec)
