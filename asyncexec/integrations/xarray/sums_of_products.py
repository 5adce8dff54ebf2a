"""``numpy.einsum`` and ``numpy.linalg.lstsq`` of lazy arrays, as far as xarray calls them."""

from __future__ import annotations

from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array.array import Array


def einsum(subscripts: str, *operands: Any) -> Array:
    """Return the sum of products of ``operands`` that ``subscripts`` says, chunk by chunk.

    Operands are broadcast against each other, multiplied and summed, in one task for each chunk; nothing of the size
    of all axes together is stored.

    Raises
    ------
    TypeError
        If an operand has a subscript twice.
    """
    inputs, output = _subscripts(subscripts, [np.ndim(o) for o in operands])
    if any(len(set(own)) != len(own) for own in inputs):
        raise TypeError(
            f"einsum {subscripts!r} takes a diagonal, which is not offered for lazy arrays"
        )
    summed = [label for label in dict.fromkeys("".join(inputs)) if label not in output]
    order = [*output, *summed]
    product: Any = None
    for operand, own in zip(operands, inputs, strict=True):
        placed = _placed(operand, own, order)
        product = placed if product is None else product * placed
    if not summed:
        return xp.asarray(product)
    axes = tuple(range(len(output), len(order)))
    return xp.sum(product, axis=axes, dtype=product.dtype)


def _subscripts(subscripts: str, ndims: list[int]) -> tuple[list[str], str]:
    """Return the labels of the axes of each operand, and of the result; ``...`` are labels in capitals."""
    left, _, right = subscripts.replace(" ", "").partition("->")
    inputs = left.split(",")
    spare = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    widths = [n - len(own.replace("...", "")) for own, n in zip(inputs, ndims, strict=True)]
    most = max((w for own, w in zip(inputs, widths, strict=True) if "..." in own), default=0)
    shared = [label for label in spare if label not in subscripts][:most]
    filled = [
        own.replace("...", "".join(shared[most - width :])) if "..." in own else own
        for own, width in zip(inputs, widths, strict=True)
    ]
    if "->" not in subscripts:
        every = "".join(filled)
        right = "".join(shared) + "".join(
            sorted(x for x in set(every) - set(shared) if every.count(x) == 1)
        )
    return filled, right.replace("...", "".join(shared))


def _placed(operand: Any, own: str, order: list[str]) -> Any:
    """Return ``operand`` with an axis for each label of ``order``, of length 1 where it has none."""
    present = [label for label in order if label in own]
    axes = tuple(own.index(label) for label in present)
    missing = tuple(i for i, label in enumerate(order) if label not in own)
    if isinstance(operand, Array):
        moved = xp.permute_dims(operand, axes)
        return xp.expand_dims(moved, missing) if missing else moved
    return np.expand_dims(np.transpose(np.asarray(operand), axes), missing)


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
    least = np.finfo(matrix.dtype).eps * max(matrix.shape) if rcond is None else rcond
    singular = np.linalg.svd(matrix, compute_uv=False)
    rank = int((singular > least * singular.max(initial=0.0)).sum())
    columns = values if values.ndim > 1 else xp.expand_dims(values, 1)
    coefficients = einsum("ab,bc->ac", np.linalg.pinv(matrix, rcond=least), columns)
    fitted = einsum("ab,bc->ac", matrix, coefficients)
    errors = columns - fitted
    residuals = xp.sum(errors * errors, axis=0)
    if rank < matrix.shape[1] or matrix.shape[0] <= matrix.shape[1]:
        residuals = residuals[:0]
    return (coefficients if values.ndim > 1 else coefficients[:, 0]), residuals, rank, singular
