"""Grouped reductions in three steps: start with a block, merge partial results group by group, finish.

A partial result has a place for each group along its last axis, the identity of the operation where the group has no
elements, so that merging goes through any tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from asyncexec.array.grouped_elements import GroupedElements
from asyncexec.array.reducers import ufunc_dtype

type Part = NDArray[Any]
type Axes = tuple[int, ...]

_DOUBLE = np.dtype(np.float64)
_COUNT = np.dtype(np.int64)


class GroupedReducer(Protocol):
    """One grouped reduction.

    Attributes
    ----------
    partial_dtypes : tuple of dtype
        Element types of the arrays of a partial result.
    identities : tuple
        The value of each of them for a group without elements.
    result_dtype : dtype
    working_bytes_each : int
        Bytes that :meth:`start` needs for each element, in addition to the elements and its result.
    """

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]: ...
    @property
    def identities(self) -> tuple[Any, ...]: ...
    @property
    def result_dtype(self) -> np.dtype[Any]: ...
    @property
    def working_bytes_each(self) -> int: ...

    def start(self, elements: GroupedElements) -> tuple[Part, ...]:
        """Return the partial result: arrays of shape ``(size, ...)``, with the places of groups first."""
        ...

    def merge(self, parts: Sequence[Part], axes: Axes) -> tuple[Part, ...]:
        """Merge partial results that lie side by side along ``axes``, which stay with length 1."""
        ...

    def finish(self, parts: Sequence[Part]) -> Part:
        """Return the result, from one partial result."""
        ...


@dataclass(frozen=True, slots=True)
class GroupedAccumulate:
    """Sum, product, minimum, maximum, any, all: one ufunc, kept in ``through`` on the way."""

    ufunc: np.ufunc
    through: np.dtype[Any]
    result_dtype: np.dtype[Any]
    identity: Any
    skips_nan: bool = False
    first: np.dtype[Any] | None = None

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.through,)

    @property
    def identities(self) -> tuple[Any, ...]:
        return (self.identity,)

    @property
    def working_bytes_each(self) -> int:
        return (1 + self.through.itemsize if self.skips_nan else 0) + (
            self.first.itemsize if self.first is not None else 0
        )

    def start(self, elements: GroupedElements) -> tuple[Part, ...]:
        values = self._values(elements)
        return (elements.reduced(self.ufunc, values, self.through, self.identity),)

    def merge_into(self, held: Sequence[Part], elements: GroupedElements) -> None:
        """Merge the partial result of ``elements`` into ``held``, as :meth:`start` returns one."""
        elements.merge_into(held[0], self.ufunc, self._values(elements), self.through)

    def _values(self, elements: GroupedElements) -> Part:
        values = elements.values if self.first is None else elements.values.astype(self.first)
        if self.skips_nan and values.dtype.kind in "fc":
            values = np.where(np.isnan(values), values.dtype.type(self.identity), values)
        return values

    def merge(self, parts: Sequence[Part], axes: Axes) -> tuple[Part, ...]:
        return (reduced_by(self.ufunc, parts[0], axes, self.through),)

    def finish(self, parts: Sequence[Part]) -> Part:
        return parts[0].astype(self.result_dtype, copy=False)


@dataclass(frozen=True, slots=True)
class GroupedCount:
    """Number of elements that are not NaN."""

    result_dtype: np.dtype[Any] = _COUNT
    partial_dtypes: tuple[np.dtype[Any], ...] = (_COUNT,)
    identities: tuple[Any, ...] = (0,)
    working_bytes_each: int = 2

    def start(self, elements: GroupedElements) -> tuple[Part, ...]:
        return (counts_of(elements),)

    def merge(self, parts: Sequence[Part], axes: Axes) -> tuple[Part, ...]:
        return (reduced_by(np.add, parts[0], axes, _COUNT),)

    def finish(self, parts: Sequence[Part]) -> Part:
        return parts[0].astype(self.result_dtype, copy=False)


@dataclass(frozen=True, slots=True)
class GroupedNanMean:
    """Sum and number of what is not NaN."""

    through: np.dtype[Any]
    result_dtype: np.dtype[Any]
    identities: tuple[Any, ...] = (0, 0)

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.through, _COUNT)

    @property
    def working_bytes_each(self) -> int:
        return 2 + self.through.itemsize

    def start(self, elements: GroupedElements) -> tuple[Part, ...]:
        values = without_nan(elements.values)
        return elements.reduced(np.add, values, self.through, 0), counts_of(elements)

    def merge(self, parts: Sequence[Part], axes: Axes) -> tuple[Part, ...]:
        total, number = parts
        return reduced_by(np.add, total, axes, self.through), reduced_by(
            np.add, number, axes, _COUNT
        )

    def finish(self, parts: Sequence[Part]) -> Part:
        return np.asarray(np.divide(parts[0], parts[1])).astype(self.result_dtype, copy=False)


@dataclass(frozen=True, slots=True)
class GroupedVariance:
    """Mean, sum of squared deviations and number, merged as by Chan, Golub, LeVeque (1983)."""

    through: np.dtype[Any]
    result_dtype: np.dtype[Any]
    correction: float
    root: bool
    skips_nan: bool
    identities: tuple[Any, ...] = (0, 0, 0)

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.through, _DOUBLE, _COUNT)

    @property
    def working_bytes_each(self) -> int:
        return 4 + 3 * self.through.itemsize

    def start(self, elements: GroupedElements) -> tuple[Part, ...]:
        values = elements.values
        there = ~np.isnan(values) if self.skips_nan and values.dtype.kind in "fc" else None
        taken = values if there is None else without_nan(values)
        number = elements.filled(0, _COUNT) + elements.across(elements.lengths)
        if there is not None:
            number = counts_of(elements)
        mean = elements.reduced(np.add, taken, self.through, 0) / np.maximum(number, 1)
        rows = np.repeat(mean[elements.slots], elements.ends - elements.starts, axis=0)
        deviations = np.subtract(taken, rows, dtype=self.through)
        del rows
        real = np.abs(deviations) if deviations.dtype.kind == "c" else deviations
        squares = np.square(real, out=real)
        if there is not None:
            squares[~there] = 0
        return mean, elements.reduced(np.add, squares, _DOUBLE, 0), number

    def merge(self, parts: Sequence[Part], axes: Axes) -> tuple[Part, ...]:
        means, squares, numbers = parts
        number = reduced_by(np.add, numbers, axes, _COUNT)
        mean = reduced_by(np.add, means * (numbers / np.maximum(number, 1)), axes, self.through)
        between = numbers * np.square(np.abs(means - mean))
        return mean, reduced_by(np.add, squares + between, axes, _DOUBLE), number

    def finish(self, parts: Sequence[Part]) -> Part:
        divisor = parts[2] - self.correction
        variance = np.divide(parts[1], np.where(divisor > 0, divisor, np.nan))
        found = np.sqrt(variance) if self.root else variance
        return np.asarray(found).astype(self.result_dtype, copy=False)


def merging_ufuncs(reducer: GroupedReducer) -> tuple[np.ufunc, ...]:
    """Return the functions that merge two partial results element by element, array by array; none where others do."""
    match reducer:
        case GroupedAccumulate(ufunc=ufunc):
            return (ufunc,)
        case GroupedCount():
            return (np.add,)
        case GroupedNanMean():
            return (np.add, np.add)
        case _:
            return ()


def reduced_by(ufunc: np.ufunc, part: Part, axes: Axes, dtype: np.dtype[Any]) -> Part:
    """Return the reduction of ``part`` along ``axes``, which stay."""
    return np.asarray(ufunc.reduce(part, axis=axes, keepdims=True, dtype=ufunc_dtype(dtype)))


def without_nan(values: Part) -> Part:
    """Return ``values`` with 0 in place of NaN."""
    if values.dtype.kind not in "fc":
        return values
    return np.where(np.isnan(values), values.dtype.type(0), values)


def counts_of(elements: GroupedElements) -> Part:
    """Return the number of elements in each place that are not NaN."""
    values = elements.values
    if values.dtype.kind not in "fc":
        return elements.filled(0, _COUNT) + elements.across(elements.lengths)
    return elements.reduced(np.add, ~np.isnan(values), _COUNT, 0)
