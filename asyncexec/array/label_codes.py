"""Labels of groups as numbers: the place of each among the groups, -1 where it belongs to none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Labels = NDArray[Any]

_MOST_LOOKED_UP = 1 << 16
"""The most integers from the least to the greatest group of which a table is made."""

_FAR = 1 << 62
"""Beyond it, differences may overflow."""


@dataclass(frozen=True, slots=True)
class LabelCoder:
    """The function that returns the number of the group of each label; -1 for labels of no group.

    Attributes
    ----------
    ordered : ndarray
        The groups in ascending order.
    numbers : ndarray of int
        The number of each of them.
    """

    ordered: Labels
    numbers: Labels

    def __call__(self, labels: Labels) -> Labels:
        if not len(self.ordered):
            return np.full(labels.shape, -1)
        if self._are_close() and labels.dtype.kind in "iu" and labels.dtype != np.uint64:
            return self._looked_up(labels.astype(np.int64, copy=False))
        place = np.searchsorted(self.ordered, labels)
        place = np.minimum(place, len(self.ordered) - 1)
        found = self.ordered[place] == labels
        return np.where(found, self.numbers[place], -1)

    def _are_close(self) -> bool:
        """Return whether a table may have a place for every integer between the least and the greatest group."""
        if self.ordered.dtype.kind not in "iu" or int(self.ordered[0]) <= -_FAR:
            return False
        return (
            int(self.ordered[-1]) - int(self.ordered[0]) <= _MOST_LOOKED_UP
            and int(self.ordered[-1]) < _FAR
        )

    def _looked_up(self, labels: NDArray[np.int64]) -> Labels:
        """Return the numbers of ``labels`` by a table, in which -1 stands before the groups and after them."""
        before = int(self.ordered[0]) - 1
        table = np.full(int(self.ordered[-1]) - before + 2, -1, self.numbers.dtype)
        table[self.ordered.astype(np.int64) - before] = self.numbers
        # Differences that overflow are beyond the table, too.
        return np.take(table, labels - before, mode="clip")


def coder_of(groups: Labels) -> LabelCoder:
    """Return the coder of ``groups``, in the order given.

    Raises
    ------
    ValueError
        If they are not in one axis, or one comes twice.
    """
    if groups.ndim != 1:
        raise ValueError(f"expected_groups of shape {groups.shape} have not one axis")
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    if len(ordered) > 1 and (ordered[1:] == ordered[:-1]).any():
        raise ValueError("expected_groups have a group twice: give each once")
    return LabelCoder(ordered, order)


def found_groups(labels: Labels) -> Labels:
    """Return the distinct labels in ascending order; NaN and NaT are none."""
    flat = labels.reshape(-1)
    if flat.dtype.kind in "fc":
        flat = flat[~np.isnan(flat)]
    elif flat.dtype.kind in "mM":
        flat = flat[~np.isnat(flat)]
    if flat.dtype.kind in "iu" and flat.size:
        low, high = int(flat.min()), int(flat.max())
        if high - low <= 2 * flat.size:
            # Counted, which is faster than sorting many of few.
            present = np.flatnonzero(np.bincount((flat - flat.dtype.type(low)).astype(np.int64)))
            return (present + low).astype(flat.dtype)
    return np.unique(flat)


def smallest_codes(codes: Labels, groups: int) -> Labels:
    """Return ``codes`` in the smallest signed integers that hold ``groups`` and -1."""
    for dtype in (np.int8, np.int16, np.int32):
        if groups <= np.iinfo(dtype).max:
            return codes.astype(dtype)
    return codes.astype(np.int64)
