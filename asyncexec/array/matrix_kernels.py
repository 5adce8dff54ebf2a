"""Functions of whole matrices in one block, as tasks run them; NumPy is all that they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Block = NDArray[Any]


def determinant(block: Block) -> Block:
    """Return the determinant of each matrix."""
    return np.asarray(np.linalg.det(block))


def sign_and_logarithm(block: Block) -> tuple[Block, Block]:
    """Return the sign of each determinant, and the logarithm of its magnitude."""
    found = np.linalg.slogdet(block)
    return np.asarray(found.sign), np.asarray(found.logabsdet)


def lower_factor(block: Block) -> Block:
    """Return the Cholesky factor of each matrix."""
    return np.asarray(np.linalg.cholesky(block))


def inverse(block: Block) -> Block:
    """Return the inverse of each matrix."""
    return np.asarray(np.linalg.inv(block))


def solution(matrices: Block, right: Block) -> Block:
    """Return the solution of each system of equations; one axis of ``right`` is one vector, as in NumPy."""
    return np.asarray(np.linalg.solve(matrices, right))


def hermitian_eigenvalues(block: Block) -> Block:
    """Return the eigenvalues of each Hermitian matrix, in ascending order."""
    return np.asarray(np.linalg.eigvalsh(block))


def hermitian_eigenvectors(block: Block) -> tuple[Block, Block]:
    """Return the eigenvalues of each Hermitian matrix, in ascending order, and its eigenvectors."""
    found = np.linalg.eigh(block)
    return found.eigenvalues, found.eigenvectors


def complex_eigenvalues(block: Block) -> Block:
    """Return the eigenvalues of each matrix, as complex numbers."""
    return _complex(np.linalg.eigvals(block), block)


def complex_eigenvectors(block: Block) -> tuple[Block, Block]:
    """Return the eigenvalues of each matrix and its eigenvectors, as complex numbers."""
    found = np.linalg.eig(block)
    return _complex(found.eigenvalues, block), _complex(found.eigenvectors, block)


def _complex(found: Block, block: Block) -> Block:
    # NumPy returns real numbers where all of a block are.
    return found.astype(np.result_type(block, np.complex64), copy=False)


def complete_qr(block: Block) -> tuple[Block, Block]:
    """Return Q and R of each matrix, Q with as many columns as rows."""
    found = np.linalg.qr(block, mode="complete")
    return found.Q, found.R


def full_svd(block: Block) -> tuple[Block, Block, Block]:
    """Return U, S and Vh of each matrix, U and Vh square."""
    found = np.linalg.svd(block, full_matrices=True)
    return found.U, found.S, found.Vh


def cross_product(a: Block, b: Block, *, axis: int) -> Block:
    """Return the cross products of vectors along ``axis``, counted from the end, after broadcasting."""
    return np.asarray(np.cross(a, b, axis=axis))


@dataclass(frozen=True, slots=True)
class MatrixPower:
    """The function that returns the matrices of a block to the power ``exponent``."""

    exponent: int

    def __call__(self, block: Block) -> Block:
        return np.asarray(np.linalg.matrix_power(block, self.exponent))


@dataclass(frozen=True, slots=True)
class DiagonalOfBlock:
    """The step that returns the diagonal over the last two axes of a block."""

    def __call__(self, index: Any, values: Any) -> Block:
        return np.diagonal(np.asarray(values[0]), axis1=-2, axis2=-1)
