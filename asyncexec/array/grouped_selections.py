"""Grouped reductions that select an element of each group, or look at all of them in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from asyncexec.array.grouped_elements import GroupedElements
from asyncexec.array.grouped_reducers import Axes, Part

_COUNT = np.dtype(np.int64)
_FAR = np.iinfo(np.int64).max
"""The number of an element where there is none; of the last one, -1 is."""


@dataclass(frozen=True, slots=True)
class GroupedEnd:
    """The first or last element, or the first or last that is not NaN: its value and its number."""

    result_dtype: np.dtype[Any]
    last: bool
    skips_nan: bool

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.result_dtype, _COUNT)

    @property
    def identities(self) -> tuple[Any, ...]:
        gap: Any = np.nan if self.result_dtype.kind in "fc" else 0
        if self.result_dtype.kind in "mM":
            gap = np.array("NaT", self.result_dtype)[()]
        return (gap, -1 if self.last else _FAR)

    @property
    def working_bytes_each(self) -> int:
        return 10 if self.skips_nan else 0

    def start(self, elements: GroupedElements) -> tuple[Part, ...]:
        value = elements.filled(self.identities[0], self.result_dtype)
        number = elements.filled(self.identities[1], _COUNT)
        for slot, rows in elements.each():
            group, numbers = elements.values[rows], elements.numbers[rows]
            place = np.asarray(len(group) - 1 if self.last else 0)
            there: Any = True
            if self.skips_nan and group.dtype.kind in "fcmM":
                seen = ~np.isnan(group)
                there = seen.any(axis=0)
                place = np.argmax(seen[::-1] if self.last else seen, axis=0)
                place = len(group) - 1 - place if self.last else place
            row = np.broadcast_to(place, group.shape[1:])[None]
            chosen = np.take_along_axis(group, row, axis=0)[0]
            value[slot] = np.where(there, chosen, self.identities[0])
            number[slot] = np.where(there, numbers[place], self.identities[1])
        return value.astype(self.result_dtype, copy=False), number

    def merge(self, parts: Sequence[Part], axes: Axes) -> tuple[Part, ...]:
        value, number = parts
        for axis in axes:
            pick = np.argmax if self.last else np.argmin
            place = pick(number, axis=axis, keepdims=True)
            value = np.take_along_axis(value, place, axis=axis)
            number = np.take_along_axis(number, place, axis=axis)
        return value, number

    def finish(self, parts: Sequence[Part]) -> Part:
        return parts[0].astype(self.result_dtype, copy=False)


def extreme_ufunc(*, largest: bool, skips_nan: bool) -> np.ufunc:
    """Return the ufunc of the larger or the smaller of two elements."""
    if skips_nan:
        return np.fmax if largest else np.fmin
    return np.maximum if largest else np.minimum


@dataclass(frozen=True, slots=True)
class GroupedPosition:
    """The number of the first minimum or maximum; -1 where there is none."""

    value: np.dtype[Any]
    identity: Any
    largest: bool
    skips_nan: bool
    result_dtype: np.dtype[Any] = _COUNT
    working_bytes_each: int = 2

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.value, _COUNT)

    @property
    def identities(self) -> tuple[Any, ...]:
        return (self.identity, _FAR)

    def start(self, elements: GroupedElements) -> tuple[Part, ...]:
        value = elements.filled(self.identity, self.value)
        number = elements.filled(_FAR, _COUNT)
        for slot, rows in elements.each():
            group = elements.values[rows]
            numbers = elements.numbers[rows].reshape((-1,) + (1,) * (group.ndim - 1))
            found = self._first(group, np.broadcast_to(numbers, group.shape), (0,))
            value[slot], number[slot] = found[0][0], found[1][0]
        return value, number

    def merge(self, parts: Sequence[Part], axes: Axes) -> tuple[Part, ...]:
        return self._first(parts[0], parts[1], axes)

    def finish(self, parts: Sequence[Part]) -> Part:
        return np.where(parts[1] == _FAR, -1, parts[1])

    def _first(self, values: Part, numbers: Part, axes: Axes) -> tuple[Part, ...]:
        ufunc = extreme_ufunc(largest=self.largest, skips_nan=self.skips_nan)
        extreme = np.asarray(ufunc.reduce(values, axis=axes, keepdims=True))
        found = values == extreme
        if not self.skips_nan and values.dtype.kind in "fc":
            found |= np.isnan(values) & np.isnan(extreme)
        first = np.minimum.reduce(np.where(found, numbers, _FAR), axis=axes, keepdims=True)
        return extreme, np.asarray(first)


@dataclass(frozen=True, slots=True)
class GroupedQuantile:
    """A quantile of each group, all of whose elements are in one block."""

    q: float
    result_dtype: np.dtype[Any]
    skips_nan: bool
    method: Literal["linear"] = "linear"

    @property
    def partial_dtypes(self) -> tuple[np.dtype[Any], ...]:
        return (self.result_dtype,)

    @property
    def identities(self) -> tuple[Any, ...]:
        return (np.nan,)

    @property
    def working_bytes_each(self) -> int:
        return 2 * self.result_dtype.itemsize + 2

    def start(self, elements: GroupedElements) -> tuple[Part, ...]:
        found = elements.filled(np.nan, self.result_dtype)
        for slot, rows in elements.each():
            group = elements.values[rows]
            if not self.skips_nan or group.dtype.kind not in "fc":
                found[slot] = np.quantile(group, self.q, axis=0, method=self.method)
                continue
            absent = np.isnan(group).all(axis=0)
            # Replaced, so that NumPy does not warn of groups of NaN alone.
            taken = np.where(absent, 0, group)
            quantile = np.nanquantile(taken, self.q, axis=0, method=self.method)
            found[slot] = np.where(absent, np.nan, quantile)
        return (found,)

    def merge(self, parts: Sequence[Part], axes: Axes) -> tuple[Part, ...]:
        raise AssertionError("a quantile is made of whole groups")

    def finish(self, parts: Sequence[Part]) -> Part:
        return parts[0]
