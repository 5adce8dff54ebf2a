"""Fourier transforms of blocks, and numbers that belong to them, as tasks make them; NumPy is all that they need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Block = NDArray[Any]
type Positions = tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, slots=True)
class FourierTransform:
    """The function ``name`` of ``numpy.fft`` of a block that has ``axis`` (counted from the end) whole."""

    name: str
    n: int
    axis: int
    norm: str

    def __call__(self, block: Block) -> Block:
        function = getattr(np.fft, self.name)
        return np.asarray(function(block, n=self.n, axis=self.axis, norm=self.norm))


@dataclass(frozen=True, slots=True)
class Frequencies:
    """Sample frequencies of a transform of ``n`` points ``d`` apart, negative ones behind unless ``half`` is True."""

    n: int
    d: float
    half: bool
    dtype: np.dtype[Any]

    def __call__(self, positions: Positions) -> Block:
        (numbers,) = positions
        if not self.half:
            numbers = np.where(numbers < -(-self.n // 2), numbers, numbers - self.n)
        # NumPy multiplies as well, so that results are the same to the bit.
        return np.asarray(numbers * (1.0 / (self.n * self.d))).astype(self.dtype, copy=False)


@dataclass(frozen=True, slots=True)
class Twiddles:
    """The factors ``exp(sign * 2j * pi * row * column / n)``; axes beyond the second have length 1."""

    n: int
    sign: int
    dtype: np.dtype[Any]

    def __call__(self, positions: Positions) -> Block:
        rows, columns, *rest = positions
        # Exact, because rows times columns are less than n.
        turns = np.multiply.outer(rows, columns) / self.n
        found: Block = np.exp(self.sign * 2j * math.pi * turns).astype(self.dtype, copy=False)
        return np.reshape(found, (*found.shape, *(1 for _ in rest)))
