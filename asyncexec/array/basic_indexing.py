"""Basic indexing: the part of ``x`` that ``x[key]`` shows, for integers, slices and ``None``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Shape
from asyncexec.plan.positions import Listing, Positions
from asyncexec.plan.runs import Runs


@dataclass(frozen=True, slots=True)
class Shown:
    """The selection of an index: one view per axis of the input, the result's shape, and the origins of its axes.

    ``origins[axis]`` is the input axis that axis ``axis`` of the result shows; None for a new one.
    """

    axes: tuple[AxisAccess, ...]
    shape: Shape
    origins: tuple[int | None, ...]


def shown_by(basic: Sequence[Any], shape: Shape) -> Shown:
    """Return the part that ``basic`` shows of an array of ``shape``.

    ``basic`` has one integer from 0 or slice for each axis, and None for each new one.
    """
    views: list[AxisAccess] = []
    lengths: list[int] = []
    origins: list[int | None] = []
    axis = 0
    for part in basic:
        if part is None:
            lengths.append(1)
            origins.append(None)
            continue
        if isinstance(part, slice):
            along = range(*part.indices(shape[axis]))
            views.append(AxisAccess.view(len(lengths), len(along), along.step, along.start))
            lengths.append(len(along))
            origins.append(axis)
        else:
            views.append(AxisAccess.constant(part, part + 1))
        axis += 1
    return Shown(tuple(views), tuple(lengths), tuple(origins))


def listing_of(numbers: NDArray[np.int64]) -> Listing:
    """Return ``numbers`` (from 0) as positions, or as runs of neighbours where that is shorter."""
    listed = Positions(numbers)
    if len(numbers) < 2:
        return listed
    begins = np.flatnonzero(np.concatenate([[True], np.diff(numbers) != 1]))
    if 16 * len(begins) >= listed.nbytes:
        return listed
    return Runs(numbers[begins], np.diff(np.append(begins, len(numbers))))
