"""The elements of a block in the order of their groups, and reductions of each group by NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array.reducers import ufunc_dtype

type Elements = NDArray[Any]

_FEW = 32
"""Where elements of a group are fewer than this across the other axes, all groups are reduced by one call."""


@dataclass(frozen=True, slots=True)
class GroupedElements:
    """Elements along the first axis, group by group.

    Attributes
    ----------
    values : ndarray
        Of shape ``(elements, ...)``, sorted by group; within a group in their order.
    numbers : ndarray
        The number of each among all labelled elements, in C order.
    starts, ends : ndarray
        First and last (exclusive) row of each group that there is.
    slots : ndarray
        The place of each of these groups among ``size`` places.
    size : int
    """

    values: Elements
    numbers: Elements
    starts: Elements
    ends: Elements
    slots: Elements
    size: int

    def filled(self, value: Any, dtype: np.dtype[Any]) -> Elements:
        """Return ``value`` for every place: an array of shape ``(size, ...)``."""
        return np.full((self.size, *self.values.shape[1:]), value, dtype)

    def each(self) -> Iterator[tuple[int, slice]]:
        """Iterate over the places of groups, and their rows."""
        for slot, start, end in zip(
            self.slots.tolist(), self.starts.tolist(), self.ends.tolist(), strict=True
        ):
            yield slot, slice(start, end)

    def reduced(
        self, ufunc: np.ufunc, values: Elements, dtype: np.dtype[Any], identity: Any
    ) -> Elements:
        """Return the reduction of ``values`` in each group; ``identity`` where there is no group."""
        through = ufunc_dtype(dtype)
        if values[:1].size < _FEW or not len(self.starts):
            found = self.filled(identity, dtype)
            if len(self.starts):
                found[self.slots] = ufunc.reduceat(values, self.starts, axis=0, dtype=through)
            return found
        found = np.empty((self.size, *self.values.shape[1:]), dtype)
        for slot, rows in self.each():
            ufunc.reduce(values[rows], axis=0, dtype=through, out=found[slot])
        absent = np.ones(self.size, np.bool_)
        absent[self.slots] = False
        found[absent] = identity
        return found

    def merge_into(
        self, held: Elements, ufunc: np.ufunc, values: Elements, dtype: np.dtype[Any]
    ) -> None:
        """Merge the reduction of ``values`` in each group into its place in ``held``, of shape ``(size, ...)``."""
        through = ufunc_dtype(dtype)
        if not len(self.starts):
            return
        if values[:1].size < _FEW:
            found = ufunc.reduceat(values, self.starts, axis=0, dtype=through)
            held[self.slots] = ufunc(held[self.slots], found)
            return
        # Of one group at a time, which the processor's cache may hold: that of all may be larger than the block.
        found = np.empty(values.shape[1:], dtype)
        for slot, rows in self.each():
            ufunc.reduce(values[rows], axis=0, dtype=through, out=found)
            ufunc(held[slot], found, out=held[slot])

    @property
    def lengths(self) -> Elements:
        """The number of elements in each place."""
        found = np.zeros(self.size, np.int64)
        found[self.slots] = self.ends - self.starts
        return found

    def across(self, of_places: Elements) -> Elements:
        """Return one number for each place so that it broadcasts to results."""
        return of_places.reshape((self.size,) + (1,) * (self.values.ndim - 1))


def grouped_elements(
    block: Elements, codes: Elements, axes: tuple[int, ...], size: int, numbers: Elements
) -> GroupedElements:
    """Return the elements of ``block`` by group.

    Parameters
    ----------
    block : ndarray
    codes : ndarray of int
        The group of each element along ``axes`` (ascending); negative ones are left out.
    axes : tuple of int
    size : int
        How many places there are. Where it is 0 or less, places are counted from 0 as groups occur, ``-size`` of them.
    numbers : ndarray of int
        Of the elements along ``axes``, in the shape of ``codes``.
    """
    moved = np.moveaxis(block, axes, range(len(axes)))
    flat = codes.reshape(-1)
    if len(axes) != 1:
        moved = moved.reshape((flat.size, *moved.shape[len(axes) :]))
    own = numbers.reshape(-1)
    if flat.size and (flat[0] < 0 or (flat[1:] < flat[:-1]).any()):
        order = np.argsort(flat, kind="stable")
        order = order[np.searchsorted(flat[order], 0) :]
        moved, flat, own = moved[order], flat[order], own[order]
    starts = np.flatnonzero(np.concatenate([[True], flat[1:] != flat[:-1]])[: flat.size])
    ends = np.append(starts[1:], flat.size) if len(starts) else starts
    slots = flat[starts].astype(np.int64) if size > 0 else np.arange(len(starts))
    return GroupedElements(moved, own, starts, ends, slots, abs(size))


type Coder = Callable[[Elements], Elements]
