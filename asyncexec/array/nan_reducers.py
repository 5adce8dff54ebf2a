"""Reducers that leave out NaN and count what is left: means and variances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.reducers import (
    DEVIATIONS_BYTES,
    Axes,
    Part,
    nothing_squared,
    reduced_where,
    squared,
    squares_of_deviations,
)
from asyncexec.array.slab_lengths import slabs_of

_DOUBLE = np.dtype(np.float64)
_COUNT = np.dtype(np.int64)


@dataclass(frozen=True, slots=True)
class NanMean:
    """Sum and number of what is not NaN."""

    through: np.dtype[Any]
    result: np.dtype[Any]

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.through, _COUNT)

    @property
    def result_dtype(self) -> np.dtype[Any]:
        return self.result

    def start(self, block: Part, axes: Axes, origin: tuple[int, ...]) -> tuple[Part, ...]:
        there = ~np.isnan(block)
        total = reduced_where(np.add, block, axes, self.through, there)
        return total, reduced_where(np.add, there, axes, _COUNT)

    def merge(self, parts: Sequence[Part], axes: Axes, counts: Part) -> tuple[Part, ...]:
        totals, numbers = parts
        return (
            reduced_where(np.add, totals, axes, self.through),
            reduced_where(np.add, numbers, axes, _COUNT),
        )

    def add(
        self, held: tuple[Part, ...], parts: tuple[Part, ...], axes: Axes, counts: tuple[int, int]
    ) -> tuple[Part, ...]:
        total, number = (np.add(*pair, out=pair[0]) for pair in zip(held, parts, strict=True))
        return total, number

    @property
    def adds_in_place(self) -> bool:
        return True

    @property
    def adding_copies(self) -> int:
        return 0

    def finish(self, parts: Sequence[Part], count: int) -> Part:
        return np.asarray(np.divide(parts[0], parts[1])).astype(self.result, copy=False)

    def working_bytes(self, elements: int) -> int:
        return 2 * elements


@dataclass(frozen=True, slots=True)
class NanVariance:
    """Mean, sum of squared deviations and number of what is not NaN, merged as by Chan, Golub, LeVeque (1983)."""

    result: np.dtype[Any]
    correction: float = 0.0
    root: bool = False
    through: np.dtype[Any] = _DOUBLE

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.through, _DOUBLE, _COUNT)

    @property
    def result_dtype(self) -> np.dtype[Any]:
        return self.result

    def start(self, block: Part, axes: Axes, origin: tuple[int, ...]) -> tuple[Part, ...]:
        there = ~np.isnan(block)
        number = reduced_where(np.add, there, axes, _COUNT)
        total = reduced_where(np.add, block, axes, self.through, there)
        if number.size == block.size:
            return total, nothing_squared(total), number
        mean = np.asarray(total / np.maximum(number, 1))
        return mean, squares_of_deviations(block, mean, axes, there=there), number

    def merge(self, parts: Sequence[Part], axes: Axes, counts: Part) -> tuple[Part, ...]:
        means, squares, numbers = parts
        number = reduced_where(np.add, numbers, axes, _COUNT)
        mean = reduced_where(np.add, means * (numbers / np.maximum(number, 1)), axes, self.through)
        between = numbers * np.square(np.abs(means - mean))
        return mean, reduced_where(np.add, squares + between, axes, _DOUBLE), number

    def add(
        self, held: tuple[Part, ...], parts: tuple[Part, ...], axes: Axes, counts: tuple[int, int]
    ) -> tuple[Part, ...]:
        for slab in slabs_of(held[0].shape):
            at: Any = (*slab, ...)
            mean, squares, number = (part[at] for part in held)
            further, more, added = (part[at] for part in parts)
            before = number.copy()
            number += added
            share = added / np.maximum(number, 1)
            apart = further - mean
            mean += apart * share
            squares += more
            squares += squared(apart) * (before * share)
        return held

    @property
    def adds_in_place(self) -> bool:
        return True

    @property
    def adding_copies(self) -> int:
        return 0

    def finish(self, parts: Sequence[Part], count: int) -> Part:
        divisor = parts[2] - self.correction
        variance = np.divide(parts[1], np.where(divisor > 0, divisor, np.nan))
        found = np.sqrt(variance) if self.root else variance
        return np.asarray(found).astype(self.result, copy=False)

    def working_bytes(self, elements: int) -> int:
        return 2 * elements + min(elements * self.through.itemsize, DEVIATIONS_BYTES)
