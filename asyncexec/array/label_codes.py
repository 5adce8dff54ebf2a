"""Labels of groups as numbers: the place of each among the groups, -1 where it belongs to none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Labels = NDArray[Any]


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
        place = np.searchsorted(self.ordered, labels)
        place = np.minimum(place, len(self.ordered) - 1)
        found = self.ordered[place] == labels
        return np.where(found, self.numbers[place], -1)


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
