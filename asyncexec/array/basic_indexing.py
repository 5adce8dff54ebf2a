"""Basic indexing: what ``x[key]`` shows of ``x``, for integers, slices, ``...`` and ``None``."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

from asyncexec.plan.access import AxisAccess
from asyncexec.plan.box import Shape


@dataclass(frozen=True, slots=True)
class Shown:
    """What an index shows: one view per axis of the input, the result's shape, and where each of its axes is from.

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
        else:
            number = _integer(part, n, axis)
            views.append(AxisAccess.constant(number, number + 1))
        axis += 1
    return Shown(tuple(views), tuple(lengths), tuple(origins))


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


def _not_basic(part: Any) -> IndexError:
    return IndexError(
        f"{type(part).__name__} is no basic index: use integers, slices, '...' and None; for conditions, where(); "
        f"boolean masks and arrays of positions are not supported here"
    )
