"""Differences, slopes, interpolation and integrals along an axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.dtypes import check_numbers, floating
from asyncexec.array.from_memory import asarray
from asyncexec.array.integers import integer
from asyncexec.array.manipulation import concat, reshape
from asyncexec.array.neighbouring import (
    DifferencesOfBlock,
    MeansOfPairs,
    slopes,
    with_followers,
)
from asyncexec.array.nodes import Node
from asyncexec.array.operands import common_spec
from asyncexec.array.search_kernels import Interpolation
from asyncexec.array.statistical import Axis, sum as sum_of
from asyncexec.array.wrapping import as_array


def diff(
    x: Array,
    /,
    *,
    axis: int = -1,
    n: int = 1,
    prepend: Array | None = None,
    append: Array | None = None,
) -> Array:
    """Return the differences of neighbours along ``axis``, ``n`` times one after another.

    A task reads its chunk and the ``n`` elements after it. Of booleans the differences are booleans: whether neighbours
    differ.

    >>> x = xp.asarray([1, 4, 9, 16, 25], chunks=2)
    >>> xp.diff(x).compute()
    array([3, 5, 7, 9])
    >>> xp.diff(x, n=2, prepend=xp.asarray([0])).compute()
    array([2, 2, 2, 2])

    Parameters
    ----------
    x : Array
        With one axis or more.
    axis : int
    n : int
        How often; with 0, ``x`` is returned as it is.
    prepend, append : Array, optional
        Placed before and after ``x`` along ``axis`` first; a scalar is taken as one element everywhere.

    Raises
    ------
    ValueError
        If ``x`` has no axis, or ``n`` is negative.
    IndexError
        If ``axis`` is out of range.
    """
    array = as_array(x, "diff")
    times = integer(n, "n")
    if times < 0:
        raise ValueError(f"diff of n={times}: give how often, from 0")
    if not array.ndim:
        raise ValueError("diff takes an array with at least one axis, and got shape ()")
    place = build.normalized_axis(axis, array.ndim)
    if times == 0:
        return array
    parts = [_beside(p, array, place) for p in (prepend, array, append) if p is not None]
    if len(parts) > 1:
        joined = concat(parts, axis=place)
        array = Array(build.with_chunks(joined.node, array.node.chunks), joined.own_spec)
    length = array.shape[place]
    # Differences of times are durations, and there are none of text.
    few = min(times, 2)
    dtype = np.diff(np.zeros(few + 1, array.dtype), n=few).dtype
    if length <= times:
        empty = (slice(None),) * place + (slice(0, 0),)
        return array[empty] if dtype == array.dtype else array[empty] - array[empty]
    node = with_followers(
        "diff",
        DifferencesOfBlock(times, place),
        array.node,
        place,
        times,
        dtype=dtype,
        working_bytes_each=array.itemsize if times > 1 else 0,
    )
    return Array(node, array.own_spec)


def _beside(part: Any, array: Array, axis: int) -> Array:
    """Return what is placed before or after ``array``; a scalar as one element along ``axis``."""
    found = part if isinstance(part, Array) else asarray(part)
    if found.ndim:
        return found
    shape = (*array.shape[:axis], 1, *array.shape[axis + 1 :])
    return Array(build.broadcast(found.node, shape), found.own_spec)


def ediff1d(x: Array, /, *, to_end: Any = None, to_begin: Any = None) -> Array:
    """Return the differences of neighbours of all elements in C order, between ``to_begin`` and ``to_end``.

    >>> xp.ediff1d(xp.asarray([[1, 2], [4, 7]]), to_begin=0).compute()
    array([0, 1, 2, 3])
    """
    array = as_array(x, "ediff1d")
    found = diff(reshape(array, (-1,)))
    ends = [
        None if end is None else reshape(asarray(end, dtype=array.dtype), (-1,))
        for end in (to_begin, to_end)
    ]
    parts = [part for part in (ends[0], found, ends[1]) if part is not None]
    return concat(parts, axis=0) if len(parts) > 1 else found


def gradient(
    x: Array, /, *varargs: Any, axis: Axis = None, edge_order: int = 1
) -> Array | tuple[Array, ...]:
    """Return the slope along each axis by differences of neighbours, in the shape of ``x``, as ``numpy.gradient``.

    Inside, differences are of second order; at both ends they are of ``edge_order``. A task reads its chunk and
    ``edge_order`` elements around it.

    >>> x = xp.asarray([1.0, 2.0, 4.0, 7.0, 11.0], chunks=2)
    >>> xp.gradient(x).compute()
    array([1. , 1.5, 2.5, 3.5, 4. ])
    >>> xp.gradient(x, np.array([0.0, 1.0, 1.5, 3.5, 4.0])).compute()
    array([1. , 3. , 3.5, 6.7, 8. ])

    Parameters
    ----------
    x : Array
    *varargs : float or one-dimensional array, optional
        The spacing for all axes, or for each of ``axis``: a number, or the coordinates of the elements.
    axis : int, sequence of int, optional
        By default every axis.
    edge_order : int
        1 or 2.

    Returns
    -------
    Array, or tuple of Array
        One for each axis; the array itself of one axis.

    Raises
    ------
    ValueError
        If an axis has fewer than ``edge_order + 1`` elements, or spacings do not fit.
    TypeError
        If the elements are booleans or no numbers, or the number of spacings is not that of the axes.
    """
    array = as_array(x, "gradient")
    check_numbers("gradient", array.dtype)
    if array.dtype.kind == "b":
        raise TypeError("gradient takes numbers, and got elements of bool: convert them before")
    axes = build.normalized_axes(axis, array.ndim)
    if edge_order not in (1, 2):
        raise ValueError(f"edge_order={edge_order!r} of gradient: use 1 or 2")
    if len(varargs) not in (0, 1, len(axes)):
        raise TypeError(
            f"gradient got {len(varargs)} spacings for {len(axes)} axes: give one for all, or one for each"
        )
    spacings = varargs or (1.0,)
    spacings = spacings * len(axes) if len(spacings) == 1 else spacings
    found = tuple(
        _slope(array, a, spacing, edge_order) for a, spacing in zip(axes, spacings, strict=True)
    )
    return found[0] if len(axes) == 1 else found


def _slope(array: Array, axis: int, spacing: Any, edge_order: int) -> Array:
    length = array.shape[axis]
    if length <= edge_order:
        raise ValueError(
            f"gradient along axis {axis} of shape {array.shape}: edge_order={edge_order} takes at least "
            f"{edge_order + 1} elements"
        )
    given = spacing if isinstance(spacing, Array) else np.asarray(spacing)
    if given.ndim > 1 or (given.ndim == 1 and given.shape != (length,)):
        raise ValueError(
            f"coordinates of shape {given.shape} do not fit axis {axis} of shape {array.shape}: give a number, or "
            f"({length},) coordinates"
        )
    lazy = as_array(given, "gradient") if given.ndim or isinstance(given, Array) else None
    if lazy is not None and not lazy.ndim:
        raise ValueError("the spacing of gradient is a number, or an array with one axis")
    node = slopes(
        array.node,
        axis,
        spacing=None if lazy is not None else float(np.asarray(given)),
        coordinates=None if lazy is None else lazy.node,
        edge_order=edge_order,
        dtype=floating(array.dtype),
    )
    specs = (array.own_spec, None if lazy is None else lazy.own_spec)
    return Array(node, common_spec(specs))


def interp(
    x: Array,
    xp: Any,
    fp: Any,
    /,
    *,
    left: complex | None = None,
    right: complex | None = None,
    period: float | None = None,
) -> Array:
    """Return the values at ``x`` of the piecewise linear function through the points ``(xp, fp)``.

    Every task holds all points; ``x`` may have any shape and chunks.

    >>> xp.interp(xp.asarray([0.5, 1.5, 9.0]), [0.0, 1.0, 2.0], [0.0, 10.0, 30.0]).compute()
    array([ 5., 20., 30.])

    Parameters
    ----------
    x : Array
        Of real numbers.
    xp, fp : one-dimensional array, or sequence
        Coordinates, in ascending order unless ``period`` is given, and values (real or complex).
    left, right : scalar, optional
        Values below the first and above the last coordinate; by default the first and the last of ``fp``.
    period : float, optional
        After which the function repeats itself.

    Raises
    ------
    ValueError
        If there are no points, their shapes differ, or ``period`` is 0.
    TypeError
        If ``x`` is complex, or something is no number.
    """
    array = as_array(x, "interp")
    points = [p if isinstance(p, Array) else as_array(np.asarray(p), "interp") for p in (xp, fp)]
    for operand in (array, *points):
        check_numbers("interp", operand.dtype)
    if points[0].ndim != 1 or points[0].shape != points[1].shape or not points[0].size:
        raise ValueError(
            f"interp takes as many values as coordinates, in one axis, and got the shapes {points[0].shape} and "
            f"{points[1].shape}"
        )
    if period == 0:
        raise ValueError("interp with a period of 0: give another, or none")
    if array.dtype.kind == "c":
        raise TypeError("interp takes real coordinates, and x is complex")
    dtype = np.dtype(np.complex128 if points[1].dtype.kind == "c" else np.float64)
    whole = [build.with_chunks(p.node, p.shape) for p in points]
    axes = tuple(range(array.ndim))
    # NumPy makes double precision of everything, and slopes where there are many elements.
    extra = 8 * math.prod(array.node.chunks) + 5 * dtype.itemsize * points[0].size
    node = Blocks(
        operation="interp",
        call=Interpolation(left, right, period, dtype),
        keywords={},
        inputs=(array.node, *whole),
        axes=(axes, (None,), (None,)),
        shape=array.shape,
        chunks=array.node.chunks,
        dtype=dtype,
        extra_bytes=extra,
    )
    return Array(node, common_spec((array.own_spec, *(p.own_spec for p in points))))


def trapezoid(y: Array, /, x: Any = None, *, dx: float = 1.0, axis: int = -1) -> Array:
    """Return the integral along ``axis`` by the trapezoidal rule.

    >>> y = xp.asarray([1.0, 2.0, 3.0], chunks=2)
    >>> xp.trapezoid(y).compute()
    array(4.)
    >>> xp.trapezoid(y, np.array([4.0, 6.0, 8.0])).compute()
    array(8.)

    Parameters
    ----------
    y : Array
        With one axis or more.
    x : array, optional
        Coordinates along ``axis``: one-dimensional, or in the shape of ``y``; by default ``dx`` apart.
    dx : float
    axis : int

    Raises
    ------
    ValueError
        If the shape of ``x`` does not fit, or ``y`` has no axis.
    TypeError
        If something is no number: of coordinates that are times, take the differences as numbers before.
    """
    array = as_array(y, "trapezoid")
    check_numbers("trapezoid", array.dtype)
    if not array.ndim:
        raise ValueError("trapezoid takes an array with at least one axis, and got shape ()")
    place = build.normalized_axis(axis, array.ndim)
    dtype = floating(array.dtype)
    if array.shape[place] < 2:
        shorter: Array = array[(slice(None),) * place + (slice(0, 0),)]
        return sum_of(shorter, axis=place, dtype=dtype)
    node = with_followers(
        "trapezoid",
        MeansOfPairs(place, dtype),
        array.node,
        place,
        1,
        dtype=dtype,
        working_bytes_each=0,
    )
    means = Array(node, array.own_spec)
    if x is None:
        return sum_of(means, axis=place) * dx
    return sum_of(means * _widths(x, array, place), axis=place)


def _widths(x: Any, array: Array, axis: int) -> Array:
    """Return the distances of coordinates, so that they broadcast to ``array``."""
    places = x if isinstance(x, Array) else as_array(np.asarray(x), "trapezoid")
    check_numbers("trapezoid", places.dtype)
    if places.ndim == 1:
        if places.shape != (array.shape[axis],):
            raise ValueError(
                f"coordinates of shape {places.shape} do not fit axis {axis} of shape {array.shape}"
            )
        along = places.rechunk((array.node.chunks[axis],))
        node: Node = diff(along).node
        for a in range(array.ndim):
            if a != axis:
                node = build.insert_axis(node, a)
        return Array(node, places.own_spec)
    if places.shape != array.shape:
        raise ValueError(
            f"coordinates of shape {places.shape} do not fit an array of shape {array.shape}: give one for each "
            f"element, or for each along axis {axis}"
        )
    return diff(places, axis=axis)
