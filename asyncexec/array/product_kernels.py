"""Products of the blocks of two arrays, as tasks run them; NumPy is all that they need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Block = NDArray[Any]
type Labels = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class PairProduct:
    """The sum of products of two blocks, as ``numpy.einsum`` has it, by matrix products wherever there are any.

    Attributes
    ----------
    left, right : tuple
        A label for each axis of the blocks, none twice in one of them. What both have is multiplied element by element.
    out : tuple
        The labels of the result's axes. What both have and ``out`` lacks is summed over.
    groups : int
        How many axes of length 1 the result has in front.
    conjugate : bool
        Whether the left block is conjugated first.
    """

    left: Labels
    right: Labels
    out: Labels
    groups: int = 0
    conjugate: bool = False

    def __call__(self, a: Block, b: Block) -> Block:
        both = [label for label in self.out if label in self.left and label in self.right]
        summed = [label for label in self.left if label not in self.out]
        rows = [label for label in self.out if label not in self.right]
        columns = [label for label in self.out if label not in self.left]
        if self.conjugate and a.dtype.kind == "c":
            a = np.conj(a)
        a = np.transpose(a, [self.left.index(label) for label in (*both, *rows, *summed)])
        b = np.transpose(b, [self.right.index(label) for label in (*both, *summed, *columns)])
        found = self._product(a, b, (len(both), len(rows), len(summed)))
        order = (*both, *rows, *columns)
        found = np.transpose(found, [order.index(label) for label in self.out])
        return np.asarray(found[(None,) * self.groups])

    def _product(self, a: Block, b: Block, axes: tuple[int, int, int]) -> Block:
        """Return the product of blocks whose axes are in order: those of both, and of one, what is summed between."""
        both, rows, summed = axes
        row_lengths, column_lengths = a.shape[both : both + rows], b.shape[both + summed :]
        if not summed:
            a = a.reshape((*a.shape, *(1 for _ in column_lengths)))
            b = b.reshape((*b.shape[:both], *(1 for _ in row_lengths), *column_lengths))
            return np.asarray(np.multiply(a, b))
        inner = math.prod(a.shape[both + rows :])
        if not row_lengths and not column_lengths:
            a, b = a.reshape((*a.shape[:both], inner)), b.reshape((*b.shape[:both], inner))
            return np.asarray(_vector_products(a, b))
        a = a.reshape(*a.shape[:both], math.prod(row_lengths), inner)
        b = b.reshape(*b.shape[:both], inner, math.prod(column_lengths))
        found = np.matmul(a, b)
        return np.asarray(found.reshape(*found.shape[:-2], *row_lengths, *column_lengths))


def _vector_products(a: Block, b: Block) -> Any:
    if a.dtype.kind != "c":
        return np.vecdot(a, b)
    return np.matmul(a[..., None, :], b[..., None])[..., 0, 0]
