"""Indexing: the part of ``x`` that ``x[key]`` shows, for integers, slices, ``...``, ``None``, one list of integers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np

from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Shape
from asyncexec.plan.masked import unmasked
from asyncexec.plan.positions import Positions


@dataclass(frozen=True, slots=True)
class Shown:
    """The selection of an index: one view per axis of the input, the result's shape, and the origins of its axes.

    ``origins[axis]`` is the input axis that axis ``axis`` of the result shows; None for a new one.
    """

    axes: tuple[AxisAccess, ...]
    shape: Shape
    origins: tuple[int | None, ...]


def parse(key: Any, shape: Shape) -> Shown:
    """Return what ``key`` shows of an array of ``shape``.

    Raises
    ------
    IndexError
        If an integer is out of range, there are too many indices, or an index is of a kind that is not basic.
    """
    parts = _expanded(key if isinstance(key, tuple) else (key,), shape)
    _check_lists(parts)
    views: list[AxisAccess] = []
    lengths: list[int] = []
    origins: list[int | None] = []
    axis = 0
    for part in parts:
        if part is None:
            lengths.append(1)
            origins.append(None)
            continue
        n = shape[axis]
        if isinstance(part, slice):
            positions = range(*part.indices(n))
            views.append(
                AxisAccess.view(len(lengths), len(positions), positions.step, positions.start)
            )
            lengths.append(len(positions))
            origins.append(axis)
        elif _is_list(part):
            listed = positions_of(part, n, axis)
            views.append(AxisAccess.taken(len(lengths), listed))
            lengths.append(len(listed))
            origins.append(axis)
        else:
            number = _integer(part, n, axis)
            views.append(AxisAccess.constant(number, number + 1))
        axis += 1
    return Shown(tuple(views), tuple(lengths), tuple(origins))


def positions_of(indices: Any, n: int, axis: int) -> Positions:
    """Return ``indices`` along ``axis``, which has ``n`` elements, as numbers from 0.

    Raises
    ------
    IndexError
        If one is out of range, or they are no integers along one axis.
    """
    given = np.asarray(unmasked(indices, f"the index along axis {axis}"))
    if given.ndim != 1:
        raise IndexError(f"indices along axis {axis} must have one dimension, not {given.ndim}")
    if given.size == 0:
        return Positions(np.empty(0, np.int64))
    if given.dtype.kind not in "iu":
        raise _not_basic(indices, f" of {given.dtype}")
    wrong = (given < -n) | (given >= n)
    if wrong.any():
        raise IndexError(
            f"index {given[wrong][0]} is out of range for axis {axis} with {n} elements"
        )
    if given.dtype.kind == "i":
        given = np.where(given < 0, given.astype(np.int64) + n, given)
    return Positions(given)


def _is_list(part: Any) -> bool:
    return isinstance(part, list | range) or len(getattr(part, "shape", ())) > 0


def _check_lists(parts: Sequence[Any]) -> None:
    lists = sum(map(_is_list, parts))
    numbers = sum(not (p is None or isinstance(p, slice) or _is_list(p)) for p in parts)
    if lists > 1 or (lists and numbers):
        raise IndexError(
            "an index can hold one list of integers beside slices, '...' and None, and no integer beside it: "
            "index in two steps, as in x[0][[1, 2]], or use take()"
        )


def _expanded(key: tuple[Any, ...], shape: Shape) -> list[Any]:
    """Return ``key`` with one entry for each axis, and None for each new one."""
    consuming = sum(part is not None and part is not ... for part in key)
    dots = sum(part is ... for part in key)
    if dots > 1:
        raise IndexError("an index can hold only one ellipsis ('...')")
    if consuming > len(shape):
        raise IndexError(
            f"too many indices: {consuming} were given, and the array has {len(shape)} axes (shape {shape})"
        )
    rest = [slice(None)] * (len(shape) - consuming)
    if not dots:
        return [*key, *rest]
    parts: list[Any] = []
    for part in key:
        parts.extend(rest if isinstance(part, EllipsisType) else [part])
    return parts


def _integer(part: Any, n: int, axis: int) -> int:
    if isinstance(part, bool) or getattr(part, "shape", ()) != ():
        raise _not_basic(part)
    try:
        number = operator.index(part)
    except TypeError:
        raise _not_basic(part) from None
    if not -n <= number < n:
        raise IndexError(f"index {number} is out of range for axis {axis} with {n} elements")
    return number % n


def _not_basic(part: Any, what: str = "") -> IndexError:
    return IndexError(
        f"{type(part).__name__}{what} is no index here: use integers, slices, '...', None, or one list of integers; "
        f"for conditions, where(); boolean masks are not supported"
    )
