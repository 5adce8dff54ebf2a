"""Arguments of linear algebra functions: matrices and stacks of them, checked before anything is built."""

from __future__ import annotations

from numpy.linalg import LinAlgError

from asyncexec.array.arithmetic import conj
from asyncexec.array.array import Array
from asyncexec.array.wrapping import as_array

_TYPES = frozenset({"float32", "float64", "complex64", "complex128"})


def matrices_of(x: Array, operation: str) -> Array:
    """Return ``x`` as an array of matrices of floating elements.

    Raises
    ------
    numpy.linalg.LinAlgError
        If there are fewer than two axes.
    TypeError
        If the elements are not of a real or complex floating type of single or double precision.
    """
    array = as_array(x, operation)
    if array.ndim < 2:
        raise LinAlgError(
            f"{operation}() takes a matrix or a stack of matrices, and got an array of {array.ndim} axes"
        )
    return floating_array(array, operation)


def square_matrices(x: Array, operation: str) -> Array:
    """Return ``x`` as an array of square matrices of floating elements; errors are those of :func:`matrices_of`.

    Raises
    ------
    numpy.linalg.LinAlgError
        Also if the last two axes differ in length.
    """
    array = matrices_of(x, operation)
    if array.shape[-1] != array.shape[-2]:
        raise LinAlgError(
            f"{operation}() takes square matrices, and got an array of shape {array.shape}"
        )
    return array


def floating_array(x: Array, operation: str) -> Array:
    """Return ``x`` as an array of floating elements.

    Raises
    ------
    TypeError
        If they are of no real or complex floating type of single or double precision.
    """
    array = as_array(x, operation)
    if array.dtype.name not in _TYPES:
        raise TypeError(
            f"{operation}() takes elements of type {', '.join(sorted(_TYPES))}, and got {array.dtype}; "
            f"convert them, such as by .astype('float64')"
        )
    return array


def adjoint_of(array: Array) -> Array:
    """Return the conjugate transpose of each matrix."""
    return conj(array.mT) if array.dtype.kind == "c" else array.mT
