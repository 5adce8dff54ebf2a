"""Reductions to extremes: their positions, and how far they are apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.reducers import Axes, MergedInPairs, Part

_NOWHERE = np.iinfo(np.int64).max
"""The position of an extreme where there is none."""


@dataclass(frozen=True, slots=True)
class ArgExtreme(MergedInPairs):
    """Position of the first minimum or maximum: its value, and its number among the reduced elements.

    ``extents`` are the lengths of the array. With ``skips_nan``, NaN is left out, and nothing else is an error.
    """

    value: np.dtype[Any]
    extents: tuple[int, ...]
    largest: bool
    skips_nan: bool = False

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.value, np.dtype(np.int64))

    @property
    def result_dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int64)

    def start(self, block: Part, axes: Axes, origin: tuple[int, ...]) -> tuple[Part, ...]:
        numbers = np.zeros((1,) * block.ndim, np.int64)
        stride = 1
        for axis in reversed(axes):
            along = (np.arange(block.shape[axis]) + origin[axis]) * stride
            numbers = numbers + along.reshape([-1 if a == axis else 1 for a in range(block.ndim)])
            stride *= self.extents[axis]
        return self._first(block, np.broadcast_to(numbers, block.shape), axes)

    def merge(self, parts: Sequence[Part], axes: Axes, counts: Part) -> tuple[Part, ...]:
        return self._first(parts[0], parts[1], axes)

    def finish(self, parts: Sequence[Part], count: int) -> Part:
        if self.skips_nan and (parts[1] == _NOWHERE).any():
            name = "nanargmax" if self.largest else "nanargmin"
            raise ValueError(f"{name} of elements that are all NaN: fill them before")
        return parts[1]

    def working_bytes(self, elements: int) -> int:
        return elements * (8 + 8 + 2)

    def _first(self, values: Part, numbers: Part, axes: Axes) -> tuple[Part, ...]:
        extreme = np.asarray(self._ufunc().reduce(values, axis=axes, keepdims=True))
        found = values == extreme
        if not self.skips_nan:
            # NaN counts as the extreme, as in NumPy, and is not equal to itself.
            found |= np.isnan(values) & np.isnan(extreme)
        first = np.minimum.reduce(np.where(found, numbers, _NOWHERE), axis=axes, keepdims=True)
        return extreme, np.asarray(first)

    def _ufunc(self) -> np.ufunc:
        if self.skips_nan:
            return np.fmax if self.largest else np.fmin
        return np.maximum if self.largest else np.minimum


@dataclass(frozen=True, slots=True)
class Extent:
    """The maximum less the minimum."""

    value: np.dtype[Any]

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.value, self.value)

    @property
    def result_dtype(self) -> np.dtype[Any]:
        # The difference of times is a duration.
        return np.subtract(np.zeros(0, self.value), np.zeros(0, self.value)).dtype

    def start(self, block: Part, axes: Axes, origin: tuple[int, ...]) -> tuple[Part, ...]:
        return self.merge((block, block), axes, block)

    def merge(self, parts: Sequence[Part], axes: Axes, counts: Part) -> tuple[Part, ...]:
        low, high = parts
        least = np.minimum.reduce(low, axis=axes, keepdims=True)
        return np.asarray(least), np.asarray(np.maximum.reduce(high, axis=axes, keepdims=True))

    def add(
        self, held: tuple[Part, ...], parts: tuple[Part, ...], axes: Axes, counts: tuple[int, int]
    ) -> tuple[Part, ...]:
        (low, high), (lower, higher) = held, parts
        return np.minimum(low, lower, out=low), np.maximum(high, higher, out=high)

    @property
    def adds_in_place(self) -> bool:
        return True

    @property
    def adding_copies(self) -> int:
        return 0

    def finish(self, parts: Sequence[Part], count: int) -> Part:
        return np.asarray(np.subtract(parts[1], parts[0]))

    def working_bytes(self, elements: int) -> int:
        return 0
