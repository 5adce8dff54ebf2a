"""Keys of ``x[key]``, taken apart: the basic part, and arrays and masks by the axes that they index."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array.nodes import Node
from asyncexec.plan.box import Shape
from asyncexec.plan.masked import unmasked

MOST_LISTED = 2**20
"""The most elements of a mask that are looked at one by one; those of a larger one are counted, chunk by chunk."""

type Numbers = NDArray[np.int64]
type Evaluate = Callable[[Node], NDArray[Any]]
"""Computes a small array while an expression is built."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WideMask:
    """A mask of many elements, lazy or in memory; ``axis`` is the first of the axes that it covers."""

    elements: Node | NDArray[np.bool_]
    axis: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrayKey:
    """A key in two steps: a basic key, and what indexes axes of what that one shows.

    Attributes
    ----------
    basic : tuple
        One integer or slice for each axis of the array, and None for each new axis.
    arrays : dict of int to array
        Arrays of integers from 0, of any number of axes, by the axis of what ``basic`` shows.
    mask : WideMask or None
        In place of arrays.
    place : int
        How many of the axes that nothing indexes come before those that the arrays have in common, in the result.
    """

    basic: tuple[Any, ...]
    arrays: dict[int, Numbers]
    mask: WideMask | None
    place: int


def parse_key(
    key: Any, shape: Shape, evaluate: Evaluate, *, most_listed: int | None = None
) -> ArrayKey:
    """Return ``key``, an index of an array of ``shape``, in two steps.

    Lazy arrays of integers, and masks of up to ``most_listed`` elements (by default ``MOST_LISTED``), are evaluated.

    Raises
    ------
    IndexError
        If an index is out of range, a mask does not fit, there are too many indices, or one is of another kind.
    """
    given = [_part(p) for p in (key if isinstance(key, tuple) else (key,))]
    # Beside other arrays, a mask is looked at however large it is.
    alone = sum(map(_is_array, given)) == 1
    most = (MOST_LISTED if most_listed is None else most_listed) if alone else sys.maxsize
    known = [_settled(part, evaluate, most) if _is_array(part) else part for part in given]
    parts = _expanded(known, shape)
    basic: list[Any] = []
    arrays: dict[int, Numbers] = {}
    mask: WideMask | None = None
    axis = shown = 0
    for part in parts:
        if part is ...:
            continue
        if part is None or isinstance(part, slice):
            basic.append(part)
            shown += 1
            axis += part is not None
        elif isinstance(part, int):
            basic.append(_in_range(part, shape[axis], axis))
            axis += 1
        elif part.dtype.kind != "b":
            arrays[shown] = checked_numbers(part, shape[axis], axis)
            basic.append(slice(None))
            axis, shown = axis + 1, shown + 1
        else:
            width = len(part.shape)
            _check_mask(part.shape, shape, axis)
            if not width or math.prod(part.shape) <= most:
                # A mask without axes is one or no element of a new axis.
                found = np.nonzero(part if width else part.reshape(1))
                arrays.update({shown + k: numbers for k, numbers in enumerate(found)})
            else:
                mask = WideMask(elements=part, axis=shown)
            basic += [slice(None)] * width if width else [None]
            axis, shown = axis + width, shown + max(width, 1)
    return ArrayKey(basic=tuple(basic), arrays=arrays, mask=mask, place=_place(parts))


def not_evaluated(node: Node) -> NDArray[Any]:
    """Refuse to evaluate ``node``: the key is known.

    Raises
    ------
    TypeError
        Always.
    """
    raise TypeError(f"an index made by {node.operation} is not known yet: evaluate it before")


def checked_numbers(given: NDArray[Any], n: int, axis: int) -> Numbers:
    """Return integers that index ``axis``, of ``n`` elements, as numbers from 0.

    Raises
    ------
    IndexError
        If one is out of range.
    """
    wrong = (given < -n) | (given >= n)
    if wrong.any():
        raise IndexError(
            f"index {given[wrong][0]} is out of range for axis {axis} with {n} elements"
        )
    found = given.astype(np.int64)
    return np.where(found < 0, found + n, found) if given.dtype.kind == "i" else found


def _is_array(part: Any) -> bool:
    return hasattr(part, "dtype")


def _part(part: Any) -> Any:
    """Return None, an ellipsis or a slice as it is, one integer as ``int``, and others as an array."""
    if part is None or part is ... or isinstance(part, slice):
        return part
    if isinstance(part, bool | np.bool_):
        return np.asarray(part)
    if hasattr(part, "node"):
        return part
    if isinstance(part, list | tuple | range) or hasattr(part, "__array__"):
        found = np.asarray(unmasked(part, "the index"))
        found = (
            found.astype(np.int64) if found.size == 0 and isinstance(part, list | tuple) else found
        )
        if found.dtype.kind not in "biu":
            raise _no_index(part, f" of {found.dtype}")
        return int(found) if found.ndim == 0 and found.dtype.kind != "b" else found
    try:
        return operator.index(part)
    except TypeError:
        raise _no_index(part) from None


def _settled(part: Any, evaluate: Evaluate, most: int) -> Any:
    """Return an array of a key as a NumPy array, or the node of a lazy mask that is too large."""
    if isinstance(part, np.ndarray):
        return part
    node: Node = part.own_node
    if node.dtype.kind not in "biu":
        raise _no_index(part, f" of {node.dtype}")
    if node.dtype.kind == "b" and node.shape and math.prod(node.shape) > most:
        return node
    found = np.asarray(evaluate(node))
    return int(found) if found.ndim == 0 and found.dtype.kind != "b" else found


def _expanded(parts: Sequence[Any], shape: Shape) -> list[Any]:
    """Return ``parts`` with a slice for each axis that has no index; what an ellipsis stands for follows it."""
    consuming = sum(map(_width, parts))
    dots = sum(part is ... for part in parts)
    if dots > 1:
        raise IndexError("an index can hold only one ellipsis ('...')")
    if consuming > len(shape):
        raise IndexError(
            f"too many indices: {consuming} were given, and the array has {len(shape)} axes (shape {shape})"
        )
    rest = [slice(None)] * (len(shape) - consuming)
    found: list[Any] = []
    for part in parts:
        found += [part, *rest] if isinstance(part, EllipsisType) else [part]
    return found if dots else [*found, *rest]


def _width(part: Any) -> int:
    """Return how many axes a part of a key indexes."""
    if part is None or part is ...:
        return 0
    return len(part.shape) if _is_array(part) and part.dtype.kind == "b" else 1


def _place(parts: Sequence[Any]) -> int:
    """Return before how many of the other axes those of the arrays come: NumPy's rule.

    They are where the arrays and integers are, if those stand side by side, and else come first.
    """
    kinds = [part is None or part is ... or isinstance(part, slice) for part in parts]
    numbered = [number for number, other in enumerate(kinds) if not other]
    if not numbered or numbered[-1] - numbered[0] + 1 != len(numbered):
        return 0
    return sum(part is not ... for part in parts[: numbered[0]])


def _in_range(number: int, n: int, axis: int) -> int:
    if not -n <= number < n:
        raise IndexError(f"index {number} is out of range for axis {axis} with {n} elements")
    return number % n


def _check_mask(mask: Shape, shape: Shape, axis: int) -> None:
    covered = shape[axis : axis + len(mask)]
    # As in NumPy, a mask without elements selects none, of whatever length the axis is.
    if any(m not in (n, 0) for m, n in zip(mask, covered, strict=True)):
        raise IndexError(
            f"a mask of shape {mask} does not fit the axes from {axis} of an array of shape {shape}, which have the "
            f"shape {covered}"
        )


def _no_index(part: Any, what: str = "") -> IndexError:
    return IndexError(
        f"{type(part).__name__}{what} is no index: use integers, slices, '...', None, and arrays of integers or "
        f"booleans"
    )
