"""Arrays with more elements at their ends: :func:`pad`, with the modes of NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.dtypes import as_element
from asyncexec.array.generators import Full
from asyncexec.array.integers import integer
from asyncexec.array.nodes import DType, Node
from asyncexec.array.quantiles import median
from asyncexec.array.segments import Segment, arranged, part_of
from asyncexec.array.statistical import max as greatest, mean, min as least
from asyncexec.array.wrapping import as_array

type _Pairs = list[tuple[Any, Any]]


def pad(
    x: Array,
    pad_width: Any,
    /,
    mode: str = "constant",
    *,
    stat_length: Any = None,
    constant_values: Any = 0,
    end_values: Any = 0,
    reflect_type: str = "even",
) -> Array:
    """Return ``x`` with elements added before the first and after the last along each axis.

    >>> xp.pad(xp.arange(3), (1, 2)).compute()
    array([0, 0, 1, 2, 0, 0])
    >>> xp.pad(xp.asarray([[1, 2], [3, 4]]), ((0, 0), (1, 1)), "edge").compute()
    array([[1, 1, 2, 2],
           [3, 3, 4, 4]])

    Parameters
    ----------
    x : Array
    pad_width : int, pair, sequence of pairs or mapping
        How many elements are added: one number for all ends, a pair of those before and after for all axes, or a pair
        for each axis; a mapping has a number or a pair for some axes.
    mode : str
        ``"constant"``, ``"edge"`` (the last element), ``"linear_ramp"`` (from it to ``end_values``), ``"maximum"``,
        ``"mean"``, ``"median"``, ``"minimum"`` (of the ``stat_length`` last elements), ``"reflect"`` (mirrored at the
        last element), ``"symmetric"`` (mirrored behind it), ``"wrap"`` (the other end) or ``"empty"`` (any elements).
    stat_length : int, pair or sequence of pairs, optional
        By default all elements.
    constant_values, end_values : scalar, pair or sequence of pairs
        In the same forms as ``pad_width``.

    reflect_type : str
        ``"even"``: what is mirrored stays as it is. NumPy's ``"odd"`` is not there.

    Raises
    ------
    ValueError
        If the mode, or the ``reflect_type``, is none of these, values are given that mean nothing in that mode, numbers
        do not fit the axes, or an axis without elements
        is to be padded with elements of itself.
    TypeError
        If a width is no integer.

    Notes
    -----
    A ramp has all its elements along the axis in one chunk.
    """
    array = as_array(x, "pad")
    widths = _widths(pad_width, array.ndim)
    if mode not in _MIRRORS and mode not in _MAKERS:
        raise ValueError(f"mode {mode!r} is none of {', '.join(sorted({*_MIRRORS, *_MAKERS}))}")
    if reflect_type != "even":
        raise ValueError(f"reflect_type={reflect_type!r} is not there: use 'even'")
    _check_meant(mode, stat_length, constant_values, end_values)
    padded = {axis: pair for axis, pair in enumerate(widths) if any(pair)}
    if mode not in ("constant", "empty"):
        for axis in padded:
            if not array.shape[axis]:
                raise ValueError(
                    f"axis {axis} of an array of shape {array.shape} has no elements to pad it with in mode {mode!r}"
                )
    if not padded:
        return array
    if mode in _MIRRORS:
        along = {axis: _mirrored(array.shape[axis], *pair, mode) for axis, pair in padded.items()}
        return Array(arranged("pad", array.node, along), array.own_spec)
    values = _per_axis(
        end_values if mode == "linear_ramp" else constant_values, array.ndim, "values"
    )
    lengths = _per_axis(stat_length, array.ndim, "stat_length")
    make = _MAKERS[mode]
    found = array
    for axis, pair in padded.items():
        sides = zip((False, True), pair, values[axis], lengths[axis], strict=True)
        before, after = (
            make(found, _Side(axis, last, count, value, _stat_length(length, found.shape[axis])))
            if count
            else None
            for last, count, value, length in sides
        )
        parts = [p for p in (before, found.node, after) if p is not None]
        found = Array(build.concatenate(parts, axis, array.dtype, "pad"), array.own_spec)
    return found


@dataclass(frozen=True, slots=True)
class _Side:
    """One end of an axis, and how many elements are added there."""

    axis: int
    last: bool
    count: int
    value: Any
    stat_length: int


_MIRRORS = frozenset({"edge", "reflect", "symmetric", "wrap"})


def _check_meant(mode: str, stat_length: Any, constant_values: Any, end_values: Any) -> None:
    """Check that nothing is given that the mode does not use."""
    given = (
        ("stat_length", stat_length is not None, ("maximum", "mean", "median", "minimum")),
        ("constant_values", not _is_zero(constant_values), ("constant",)),
        ("end_values", not _is_zero(end_values), ("linear_ramp",)),
    )
    for name, is_given, modes in given:
        if is_given and mode not in modes:
            raise ValueError(f"{name} means nothing in mode {mode!r}: it is for {', '.join(modes)}")


def _is_zero(value: Any) -> bool:
    return isinstance(value, int) and value == 0


def _widths(given: Any, ndim: int) -> list[tuple[int, int]]:
    if isinstance(given, Mapping):
        listed: list[Any] = [(0, 0)] * ndim
        for axis, width in given.items():
            listed[build.normalized_axis(axis, ndim)] = (
                (width, width) if np.ndim(width) == 0 else tuple(width)
            )
        given = listed
    pairs = _per_axis(given, ndim, "pad_width")
    found = [(integer(a, "a width"), integer(b, "a width")) for a, b in pairs]
    if any(min(pair) < 0 for pair in found):
        raise ValueError(f"pad_width {given!r} cannot be negative")
    return found


def _per_axis(given: Any, ndim: int, what: str) -> _Pairs:
    """Return a pair for each axis."""
    try:
        pairs = np.broadcast_to(np.asarray(given, dtype=object), (ndim, 2))
    except ValueError:
        raise ValueError(
            f"{what}={given!r} must be one number, a pair, or a pair for each of the {ndim} axes"
        ) from None
    return [(a, b) for a, b in pairs.tolist()]


def _stat_length(given: Any, n: int) -> int:
    if given is None:
        return n
    length = integer(given, "stat_length")
    if length < 1:
        raise ValueError(f"stat_length={length} must be at least 1")
    return min(length, n)


def _mirrored(n: int, before: int, after: int, mode: str) -> list[Segment]:
    """Return the segments of an axis of ``n`` elements with ``before`` and ``after`` more at its ends."""
    if mode == "edge" or (mode == "reflect" and n == 1):
        return [Segment(0, before, 0), Segment(0, n), Segment(n - 1, after, 0)]
    left: list[Segment] = []
    right: list[Segment] = []
    # Mirrored at the last element, it is not repeated; behind it, it is.
    skipped = 1 if mode == "reflect" else 0
    turned = mode != "wrap"
    while before > 0:
        count = min(n - skipped, before)
        forward = not (turned and len(left) % 2 == 0)
        left.append(
            Segment(n - skipped - count, count)
            if forward
            else Segment(skipped + count - 1, count, -1)
        )
        before -= count
    while after > 0:
        count = min(n - skipped, after)
        forward = not (turned and len(right) % 2 == 0)
        right.append(Segment(skipped, count) if forward else Segment(n - 1 - skipped, count, -1))
        after -= count
    return [*left[::-1], Segment(0, n), *right]


def _constant(x: Array, side: _Side) -> Node:
    shape = (*x.shape[: side.axis], side.count, *x.shape[side.axis + 1 :])
    value = as_element(side.value, x.dtype, what="constant_values")
    return build.creation("pad", Full(value, x.dtype), shape, x.node.chunks, x.dtype, aliases=True)


def _empty(x: Array, side: _Side) -> Node:
    return _constant(x, replace(side, value=0))


def _edge(x: Array, side: _Side) -> Node:
    start = x.shape[side.axis] - 1 if side.last else 0
    return part_of("pad", x.node, side.axis, Segment(start, 1))


def _ramp(x: Array, side: _Side) -> Node:
    edge = _edge(x, side)
    value = as_element(side.value, x.dtype, what="end_values")
    return Blocks(
        operation="pad",
        call=RampToEnd(value, side.count, side.axis, side.last, x.dtype),
        keywords={},
        inputs=(edge,),
        axes=(tuple(range(x.ndim)),),
        shape=(*x.shape[: side.axis], side.count, *x.shape[side.axis + 1 :]),
        chunks=(*x.node.chunks[: side.axis], side.count, *x.node.chunks[side.axis + 1 :]),
        dtype=x.dtype,
        extra_bytes=2 * 8 * side.count,
    )


@dataclass(frozen=True, slots=True)
class RampToEnd:
    """The function that makes evenly spaced elements between those at an end and a value, which is the outermost."""

    value: Any
    count: int
    axis: int
    last: bool
    dtype: DType

    def __call__(self, block: Any) -> Any:
        edge = np.take(block, 0, axis=self.axis)
        ramp = np.linspace(
            self.value, edge, self.count, endpoint=False, dtype=self.dtype, axis=self.axis
        )
        return np.flip(ramp, self.axis) if self.last else ramp


def _statistic(x: Array, side: _Side, function: Callable[..., Array]) -> Node:
    n = x.shape[side.axis]
    start = n - side.stat_length if side.last else 0
    part = Array(part_of("pad", x.node, side.axis, Segment(start, side.stat_length)), x.own_spec)
    found = function(part, axis=side.axis, keepdims=True).node
    return part_of("pad", found, side.axis, Segment(0, side.count, 0))


def _maximum(x: Array, side: _Side) -> Node:
    return _statistic(x, side, greatest)


def _minimum(x: Array, side: _Side) -> Node:
    return _statistic(x, side, least)


def _mean(x: Array, side: _Side) -> Node:
    return _statistic(x, side, partial(_rounded, mean))


def _median(x: Array, side: _Side) -> Node:
    return _statistic(x, side, partial(_rounded, median))


def _rounded(function: Callable[..., Array], part: Array, *, axis: int, keepdims: bool) -> Array:
    """Return a statistic of ``part``, of integers rounded to one."""
    if part.dtype.kind not in "iub":
        return function(part, axis=axis, keepdims=keepdims)
    found = function(part.astype(np.float64), axis=axis, keepdims=keepdims)
    if part.dtype.kind == "b":
        return found.astype(part.dtype)
    rounded = build.apply_elementwise("round", np.rint, (found.node,))
    return Array(rounded, part.own_spec).astype(part.dtype)


_MAKERS: dict[str, Callable[[Array, _Side], Node]] = {
    "constant": _constant,
    "empty": _empty,
    "linear_ramp": _ramp,
    "maximum": _maximum,
    "mean": _mean,
    "median": _median,
    "minimum": _minimum,
}
