"""Eigenvalues and eigenvectors, of the array API standard's extension ``linalg``; a task holds whole matrices."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from asyncexec.array import creation
from asyncexec.array.array import Array
from asyncexec.array.dtypes import real_dtype
from asyncexec.array.matrix_arguments import square_matrices
from asyncexec.array.matrix_kernels import (
    complex_eigenvalues,
    complex_eigenvectors,
    hermitian_eigenvalues,
    hermitian_eigenvectors,
)
from asyncexec.array.whole_matrices import (
    MatrixOutput,
    in_whole_matrices,
    one_of_matrices,
    several_of_matrices,
)

_COPIES = {"eigh": 5, "eigvalsh": 2, "eig": 7, "eigvals": 4}
"""The number of copies of a matrix, in double precision, that NumPy and LAPACK make on the way."""


class EighResult(NamedTuple):
    """The result of :func:`eigh`.

    >>> xp.linalg.eigh(xp.eye(2))._fields
    ('eigenvalues', 'eigenvectors')
    """

    eigenvalues: Array
    eigenvectors: Array


class EigResult(NamedTuple):
    """The result of :func:`eig`.

    >>> xp.linalg.eig(xp.eye(2))._fields
    ('eigenvalues', 'eigenvectors')
    """

    eigenvalues: Array
    eigenvectors: Array


def eigh(x: Array, /) -> EighResult:
    """Return the eigenvalues and eigenvectors of a Hermitian (or real symmetric) matrix, or of each of a stack.

    >>> values, vectors = xp.linalg.eigh(xp.asarray([[2.0, 1.0], [1.0, 2.0]]))
    >>> values.compute()
    array([1., 3.])
    >>> vectors.shape
    (2, 2)

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, M)``; only the lower triangle is used.

    Returns
    -------
    EighResult
        The namedtuple ``(eigenvalues, eigenvectors)``: real numbers in ascending order, of shape ``(..., M)``, and
        orthonormal columns, of shape ``(..., M, M)``, whose signs are those that LAPACK yields.

    Raises
    ------
    TypeError
        If the elements are not of a real or complex floating type of single or double precision.
    ValueError
        If matrices are not square.
    MemoryBudgetError
        If a matrix, and what is needed to compute with it, does not fit into a task's memory.
    """
    array = square_matrices(x, "eigh")
    return EighResult(*_values_and_vectors("eigh", array, real_dtype(array.dtype), array.dtype))


def eigvalsh(x: Array, /) -> Array:
    """Return the eigenvalues of a Hermitian matrix, or of each of a stack, in ascending order; see :func:`eigh`.

    >>> xp.linalg.eigvalsh(xp.asarray([[2.0, 1.0], [1.0, 2.0]])).compute()
    array([1., 3.])
    """
    array = square_matrices(x, "eigvalsh")
    return _values("eigvalsh", array, real_dtype(array.dtype))


def eig(x: Array, /) -> EigResult:
    """Return the eigenvalues and right eigenvectors of a square matrix, or of each of a stack; both are complex.

    >>> values, vectors = xp.linalg.eig(xp.asarray([[0.0, -1.0], [1.0, 0.0]]))
    >>> values.compute()
    array([0.+1.j, 0.-1.j])
    >>> vectors.dtype
    dtype('complex128')

    Parameters
    ----------
    x : Array
        Of shape ``(..., M, M)``.

    Returns
    -------
    EigResult
        The namedtuple ``(eigenvalues, eigenvectors)``: of shape ``(..., M)``, in LAPACK's order, and columns of length
        1, of shape ``(..., M, M)``.

    Raises
    ------
    TypeError, ValueError, MemoryBudgetError
        As :func:`eigh` does.
    """
    array = square_matrices(x, "eig")
    dtype = np.result_type(array.dtype, np.complex64)
    return EigResult(*_values_and_vectors("eig", array, dtype, dtype))


def eigvals(x: Array, /) -> Array:
    """Return the eigenvalues of a square matrix, or of each of a stack, as complex numbers; see :func:`eig`.

    >>> xp.linalg.eigvals(xp.asarray([[2.0, 0.0], [5.0, 3.0]])).compute()
    array([3.+0.j, 2.+0.j])
    """
    array = square_matrices(x, "eigvals")
    return _values("eigvals", array, np.result_type(array.dtype, np.complex64))


def _values(operation: str, array: Array, dtype: np.dtype) -> Array:
    if not array.size:
        return creation.zeros(array.shape[:-1], dtype=dtype, spec=array.own_spec)
    copies = _COPIES[operation]
    node = one_of_matrices(
        operation,
        in_whole_matrices(operation, array.node, array.spec, copies),
        hermitian_eigenvalues if operation == "eigvalsh" else complex_eigenvalues,
        shape=array.shape[-1:],
        dtype=dtype,
        copies=copies,
    )
    return Array(node, array.own_spec)


def _values_and_vectors(
    operation: str, array: Array, dtype: np.dtype, vector_dtype: np.dtype
) -> tuple[Array, ...]:
    made = [
        MatrixOutput(name="eigenvalues", shape=array.shape[-1:], dtype=dtype),
        MatrixOutput(name="eigenvectors", shape=array.shape[-2:], dtype=vector_dtype),
    ]
    if not array.size:
        lead = array.shape[:-2]
        return tuple(
            creation.zeros((*lead, *each.shape), dtype=each.dtype, spec=array.own_spec)
            for each in made
        )
    copies = _COPIES[operation]
    nodes = several_of_matrices(
        operation,
        in_whole_matrices(operation, array.node, array.spec, copies),
        hermitian_eigenvectors if operation == "eigh" else complex_eigenvectors,
        made,
        copies=copies,
    )
    return tuple(Array(node, array.own_spec) for node in nodes)
