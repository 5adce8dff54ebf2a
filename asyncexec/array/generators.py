"""Contents of created arrays, block by block, from the numbers of their elements."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Positions = tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, slots=True)
class Full:
    """One value everywhere; takes no memory."""

    value: Any
    dtype: np.dtype[Any]

    def __call__(self, positions: Positions) -> NDArray[Any]:
        return np.broadcast_to(np.asarray(self.value, self.dtype), tuple(map(len, positions)))


@dataclass(frozen=True, slots=True)
class Range:
    """``start + step * number``."""

    start: float
    step: float
    dtype: np.dtype[Any]

    def __call__(self, positions: Positions) -> NDArray[Any]:
        (numbers,) = positions
        found: NDArray[Any]
        # Added in place: beside the numbers and the result, nothing of their size is held.
        if not (isinstance(self.start, int) and isinstance(self.step, int)):
            found = numbers * float(self.step)
            found += self.start
        elif self.dtype.kind == "u":
            # Exact modulo 2**64, as the values are that fit.
            modulus = 2**64
            found = numbers.astype(np.uint64)
            found *= np.uint64(self.step % modulus)
            found += np.uint64(self.start % modulus)
        else:
            found = numbers * self.step
            found += self.start
        return found.astype(self.dtype, copy=False)

    def working_bytes(self, lengths: tuple[int, ...]) -> int:
        """Return the bytes of temporaries for a block of these lengths: the numbers, and values that are cast."""
        exact = isinstance(self.start, int) and isinstance(self.step, int)
        made = np.dtype(
            (np.uint64 if self.dtype.kind == "u" else np.int64) if exact else np.float64
        )
        return math.prod(lengths) * (8 if made == self.dtype else 16)


@dataclass(frozen=True, slots=True)
class Spaced:
    """``steps + 1`` evenly spaced values from ``start`` to ``stop``, the last exactly ``stop``."""

    start: complex
    stop: complex
    steps: int
    dtype: np.dtype[Any]

    def __call__(self, positions: Positions) -> NDArray[Any]:
        (numbers,) = positions
        # Multiply last, as NumPy does, so that results are the same to the bit.
        step = (self.stop - self.start) / self.steps if self.steps else 0.0
        if step:
            values = self.start + numbers * step
        else:
            values = self.start + numbers / max(self.steps, 1) * (self.stop - self.start)
        values = np.asarray(values)
        if self.steps:
            values[numbers == self.steps] = self.stop
        if self.dtype.kind in "iu":
            values = np.floor(values)
        return values.astype(self.dtype, copy=False)


@dataclass(frozen=True, slots=True)
class Diagonal:
    """Ones on the ``k``-th diagonal, zeros elsewhere."""

    k: int
    dtype: np.dtype[Any]

    def __call__(self, positions: Positions) -> NDArray[Any]:
        rows, columns = positions
        return np.equal.outer(rows + self.k, columns).astype(self.dtype)

    def working_bytes(self, lengths: tuple[int, ...]) -> int:
        """Return the bytes of temporaries for a block of these lengths: truth values, and numbers along each axis."""
        return math.prod(lengths) + 2 * 8 * sum(lengths)


@dataclass(frozen=True, slots=True)
class Triangle:
    """True for elements on or below the ``k``-th diagonal."""

    k: int

    def __call__(self, positions: Positions) -> NDArray[np.bool_]:
        rows, columns = positions
        found: NDArray[np.bool_] = np.greater_equal.outer(rows + self.k, columns)
        return found

    def working_bytes(self, lengths: tuple[int, ...]) -> int:
        """Return the bytes of temporaries for a block of these lengths: numbers along each axis."""
        return 2 * 8 * sum(lengths)


@dataclass(frozen=True, slots=True)
class Powers:
    """Powers of ``base`` of evenly spaced values, times ``sign``; ``exact`` has values of some numbers."""

    exponents: Spaced
    base: float
    sign: float
    exact: tuple[tuple[int, float], ...]
    dtype: np.dtype[Any]

    def __call__(self, positions: Positions) -> Any:
        found = np.power(self.base, self.exponents(positions)) * self.sign
        for number, value in self.exact:
            found[positions[0] == number] = value
        return found.astype(self.dtype, copy=False)
