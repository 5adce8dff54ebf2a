"""Histograms of points in a plane or in a space of several dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build, statistical
from asyncexec.array.array import Array
from asyncexec.array.dtypes import check_numbers
from asyncexec.array.evaluation import evaluated
from asyncexec.array.histogram_kernels import CountInCells
from asyncexec.array.histogram_tables import extremes, real_elements, summed_tables
from asyncexec.array.manipulation import stack
from asyncexec.array.nodes import Node
from asyncexec.array.operands import common_spec, own_source
from asyncexec.array.spec import Spec
from asyncexec.array.wrapping import as_array


def histogram2d(
    x: Array,
    y: Array,
    /,
    bins: Any = 10,
    range: Any = None,
    *,
    density: bool = False,
    weights: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Return how many points lie in each cell, and the edges along both axes, as ``numpy.histogram2d``.

    Where neither ranges nor edges are given, the least and the greatest coordinates are computed now.

    >>> x, y = xp.asarray([0.1, 0.9, 0.8]), xp.asarray([0.2, 0.7, 0.1])
    >>> counts, _, _ = xp.histogram2d(x, y, bins=2, range=[(0, 1), (0, 1)])
    >>> counts.compute()
    array([[1., 0.],
           [1., 1.]])

    Parameters
    ----------
    x, y : Array
        Coordinates, each of one axis of the same length.
    bins : int, sequence or pair
        How many along each axis, or the edges; one for both axes, or a pair.
    range : pair of (float, float), optional
    density : bool
        Whether to return densities: counts divided by the cells' areas and by the sum of counts.
    weights : Array, optional
        What each point adds, rather than 1.

    Raises
    ------
    ValueError
        If shapes differ, edges do not ascend, or ranges are not finite.
    """
    pair = hasattr(bins, "__len__") and not isinstance(bins, Array) and len(bins) == 2
    both = list(bins) if pair else [bins, bins]
    found, edges = _in_cells("histogram2d", (x, y), both, range, density=density, weights=weights)
    return found, edges[0], edges[1]


def histogramdd(
    sample: Array | Sequence[Array],
    /,
    bins: Any = 10,
    range: Any = None,
    *,
    density: bool = False,
    weights: Array | None = None,
) -> tuple[Array, tuple[Array, ...]]:
    """Return how many points lie in each cell, and the edges along each dimension, as ``numpy.histogramdd``.

    Where neither ranges nor edges are given, the least and the greatest coordinates are computed now.

    >>> points = xp.asarray([[0.1, 0.2, 0.3], [0.9, 0.7, 0.6]])
    >>> counts, edges = xp.histogramdd(points, bins=2, range=[(0, 1)] * 3)
    >>> counts.shape, len(edges)
    ((2, 2, 2), 3)

    Parameters
    ----------
    sample : Array or sequence of Array
        One row for each point, or one array of one axis for each dimension.
    bins : int or sequence
        How many along every dimension, or for each dimension how many, or the edges.
    range : sequence of (float, float) or None, optional
        For each dimension.
    density : bool
        Whether to return densities: counts divided by the cells' volumes and by the sum of counts.
    weights : Array, optional
        What each point adds, rather than 1.

    Raises
    ------
    ValueError
        If shapes differ, edges do not ascend, or ranges are not finite.
    """
    return _in_cells("histogramdd", sample, bins, range, density=density, weights=weights)


def _in_cells(
    operation: str, sample: Any, bins: Any, ranges: Any, *, density: bool, weights: Any
) -> tuple[Array, tuple[Array, ...]]:
    columns = isinstance(sample, Array | np.ndarray)
    nodes, coordinates, spec = _points(operation, sample, weights, columns=columns)
    edges = _edges(operation, coordinates, bins, ranges)
    shape = tuple(len(each) - 1 for each in edges)
    # Places along each dimension, of the cell, and the coordinates themselves side by side.
    each_point = 8 * (2 * len(edges) + 4)
    node = summed_tables(
        operation,
        CountInCells(edges, columns),
        nodes,
        shape=shape,
        chunks=tuple(max(n, 1) for n in shape),
        dtype=np.dtype(np.float64),
        lead=1,
        extra_bytes=each_point * nodes[0].chunks[0] + 3 * 8 * math.prod(n + 2 for n in shape),
    )
    found = Array(node, spec)
    if density:
        total = statistical.sum(found)
        for axis, each in enumerate(edges):
            widths = np.diff(each).reshape([-1 if a == axis else 1 for a, _ in enumerate(edges)])
            found = found / Array(own_source(widths), spec)
        found = found / total
    return found, tuple(Array(own_source(each), spec) for each in edges)


def _points(
    operation: str, sample: Any, weights: Any, *, columns: bool
) -> tuple[list[Node], list[Array], Spec | None]:
    """Return the nodes of blocks, the coordinates as arrays (one of all, in columns), and the spec they share."""
    arrays = [real_elements(each, operation) for each in ((sample,) if columns else sample)]
    for each in arrays:
        check_numbers(operation, each.dtype)
    wanted = 2 if columns else 1
    if not arrays or any(each.ndim != wanted or len(each) != len(arrays[0]) for each in arrays):
        shapes = ", ".join(str(each.shape) for each in arrays) or "none"
        raise ValueError(
            f"{operation}() takes one array of points and dimensions, or for each dimension an array of one axis, all "
            f"of one length, and got the shapes {shapes}"
        )
    first = arrays[0]
    rows = first.node.chunks[0]
    nodes = [build.with_chunks(each.node, (rows, *each.shape[1:])) for each in arrays]
    spec = common_spec(each.own_spec for each in arrays)
    if weights is not None:
        given = as_array(weights, operation)
        if given.shape != (len(first),):
            raise ValueError(
                f"{operation}() takes one weight for each of {len(first)} points, and got the shape {given.shape}"
            )
        if given.dtype.kind == "c":
            raise TypeError(f"{operation}() takes real weights, and got {given.dtype}")
        nodes.append(build.with_chunks(given.node, (rows,)))
        spec = common_spec((spec, given.own_spec))
    return nodes, arrays, spec


def _edges(
    operation: str, arrays: Sequence[Array], bins: Any, ranges: Any
) -> tuple[np.ndarray[Any, Any], ...]:
    """Return the edges along each dimension."""
    columns = arrays[0].ndim == 2
    dims = arrays[0].shape[1] if columns else len(arrays)
    each_bins = [bins] * dims if isinstance(bins, Array) or not hasattr(bins, "__len__") else bins
    several = [evaluated(b, operation) if isinstance(b, Array) else b for b in each_bins]
    given: Any = [None] * dims if ranges is None else list(ranges)
    known = np.zeros((0, dims))
    pairs = zip(several, given, strict=False)
    if len(arrays[0]) and any(np.ndim(each) == 0 and ends is None for each, ends in pairs):
        if columns:
            both = [f(arrays[0], axis=0) for f in (statistical.min, statistical.max)]
            known = evaluated(stack(both), operation)
        else:
            known = extremes(arrays, operation)
    return tuple(np.asarray(each) for each in np.histogramdd(known, bins=several, range=given)[1])


__all__ = ["histogram2d", "histogramdd"]
