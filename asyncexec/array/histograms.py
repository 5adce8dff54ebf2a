"""Histograms along one axis, and counts of whole numbers: tables of chunks, added up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build, statistical
from asyncexec.array.array import Array
from asyncexec.array.bin_widths import RULES, number_of_bins
from asyncexec.array.evaluation import evaluated
from asyncexec.array.histogram_kernels import CountInBins, CountNumbers
from asyncexec.array.histogram_tables import extremes, real_elements, summed_tables, with_weights
from asyncexec.array.integers import integer
from asyncexec.array.operands import chunk_limit, own_source
from asyncexec.array.wrapping import as_array

type Range = tuple[float, float] | None

_PIECE, _PIECE_BYTES_EACH = 65536, 8 * 8
"""What NumPy needs while it counts: it goes through a block in pieces of 65536 elements."""


def histogram(
    x: Array,
    /,
    bins: int | str | Sequence[float] | Array = 10,
    range: Range = None,
    *,
    weights: Array | None = None,
    density: bool = False,
) -> tuple[Array, Array]:
    """Return how many elements lie in each bin, and the edges of the bins, as ``numpy.histogram``.

    Where neither a range nor edges are given, the least and the greatest element are computed now.

    >>> counts, edges = xp.histogram(xp.asarray([1, 2, 1, 4], chunks=3), bins=[0, 1, 2, 3, 4])
    >>> counts.compute(), edges.compute()
    (array([0, 2, 1, 1]), array([0, 1, 2, 3, 4]))

    Parameters
    ----------
    x : Array
        Of real numbers, of any shape.
    bins : int, str or sequence
        How many bins of equal width; a rule (see :func:`histogram_bin_edges`); or the edges, ascending.
    range : (float, float), optional
        Least and greatest edge; elements beyond them are not counted.
    weights : Array, optional
        Of the shape of ``x``: what each element adds, rather than 1.
    density : bool
        Whether to return densities: counts divided by the bins' widths and by the sum of counts.

    Raises
    ------
    ValueError
        If the edges do not ascend, the range is not finite, or shapes differ.
    TypeError
        If elements are complex.
    """
    array = real_elements(x, "histogram")
    nodes, spec, weight = with_weights(array, weights, "histogram")
    if isinstance(bins, str) and weights is not None:
        raise TypeError(
            f"histogram(bins={bins!r}, weights=...): give a number of bins, or the edges"
        )
    given, ends, edges = _bins(array, bins, range, "histogram")
    probe = None if weight is None else np.zeros(1, weight)
    dtype = np.histogram(np.zeros(1, array.dtype), given, ends, weights=probe)[0].dtype
    if not array.ndim:
        nodes = [build.insert_axis(node, 0) for node in nodes]
    block = math.prod(nodes[0].chunks)
    node = summed_tables(
        "histogram",
        CountInBins(given, ends),
        nodes,
        shape=(len(edges) - 1,),
        chunks=(max(len(edges) - 1, 1),),
        dtype=dtype,
        lead=len(nodes[0].shape),
        # Blocks that do not lie in order are copied.
        extra_bytes=_PIECE_BYTES_EACH * min(block, _PIECE)
        + block * sum(node.dtype.itemsize for node in nodes),
    )
    found = Array(node, spec)
    if density:
        widths = Array(own_source(np.asarray(np.diff(edges), np.float64)), spec)
        found = found / widths / statistical.sum(found)
    return found, Array(own_source(edges), spec)


def histogram_bin_edges(
    x: Array,
    /,
    bins: int | str | Sequence[float] | Array = 10,
    range: Range = None,
) -> Array:
    """Return the edges of the bins of :func:`histogram`, as ``numpy.histogram_bin_edges``.

    What they depend on is computed now: the least and greatest element without a range, and by which of the rules
    ``"auto"``, ``"doane"``, ``"fd"``, ``"rice"``, ``"scott"``, ``"sqrt"`` and ``"sturges"`` bins are chosen.

    >>> xp.histogram_bin_edges(xp.asarray([0.0, 3.0, 1.0, 3.0]), bins="sqrt").compute()
    array([0. , 1.5, 3. ])

    Raises
    ------
    ValueError
        If the edges do not ascend, the range is not finite, or a rule is to go with a range.
    TypeError
        If elements are complex.
    """
    array = real_elements(x, "histogram_bin_edges")
    _, _, edges = _bins(array, bins, range, "histogram_bin_edges")
    return Array(own_source(edges), array.own_spec)


def bincount(x: Array, /, weights: Array | None = None, minlength: int = 0) -> Array:
    """Return how often each number from 0 comes in ``x``, or the sum of its weights, as ``numpy.bincount``.

    The least and the greatest number are computed now: the result is one longer than the greatest.

    >>> xp.bincount(xp.asarray([0, 3, 1, 1], chunks=2)).compute()
    array([1, 2, 0, 1])

    Parameters
    ----------
    x : Array
        Of one axis, of integers from 0.
    weights : Array, optional
        Of the same shape; the result is of float64 then, and int64 otherwise.
    minlength : int
        The least length of the result.

    Raises
    ------
    ValueError
        If there is not one axis, a number is negative, or shapes differ.
    TypeError
        If elements are no integers, or weights are complex.
    """
    array = as_array(x, "bincount")
    least = integer(minlength, "minlength")
    if array.ndim != 1 or least < 0:
        raise ValueError(
            f"bincount(x, minlength={least}) of an x of shape {array.shape}: x has one axis, and minlength is 0 or more"
        )
    if array.dtype.kind not in "biu":
        raise TypeError(f"bincount() takes integers from 0, and got {array.dtype}")
    nodes, spec, weight = with_weights(array, weights, "bincount")
    if weight is not None and weight.kind == "c":
        raise TypeError(f"bincount() takes real weights, and got {weight}")
    low, high = extremes([array], "bincount")[:, 0] if array.size else (0, -1)
    if low < 0:
        raise ValueError(f"bincount() takes integers from 0, and the least is {low}")
    extent = max(int(high) + 1, least)
    length = max(1, min(extent, chunk_limit(spec) // 8))
    node = summed_tables(
        "bincount",
        CountNumbers(length, extent),
        nodes,
        shape=(extent,),
        chunks=(length,),
        dtype=np.dtype(np.int64 if weight is None else np.float64),
        lead=1,
        extra_bytes=nodes[0].chunks[0] * 4 * 8,
    )
    return Array(node, spec)


def _bins(
    x: Array, bins: Any, ends: Range, operation: str
) -> tuple[Any, Any, np.ndarray[Any, Any]]:
    """Return the bins and the range with which NumPy counts each block, and the edges that they make."""
    if isinstance(bins, Array):
        bins = evaluated(bins, operation)
    if not (isinstance(bins, str) or np.ndim(bins) == 0):
        edges = np.histogram_bin_edges(np.zeros(0, x.dtype), bins)
        return edges, None, edges
    if isinstance(bins, str):
        if bins not in RULES:
            raise ValueError(
                f"{operation}(bins={bins!r}): use one of {', '.join(map(repr, RULES))}"
            )
        if ends is not None:
            raise ValueError(
                f"{operation}(bins={bins!r}, range={ends!r}): a rule looks at all elements; give a number of bins "
                f"with a range"
            )
    if ends is not None:
        return bins, ends, np.histogram_bin_edges(np.zeros(0, x.dtype), bins, ends)
    # Of the same type as the elements, which decides about that of the edges.
    known = extremes([x], operation)[:, 0] if x.size else np.zeros(0, x.dtype)
    if isinstance(bins, str):
        # NumPy says what is wrong with a range that is not finite.
        np.histogram_bin_edges(known, 1)
        bins = number_of_bins(bins, x, known[0], known[1], operation) if x.size else 1
    edges = np.histogram_bin_edges(known, bins)
    return bins, (tuple(known) if x.size else (0, 1)), edges


__all__ = ["bincount", "histogram", "histogram_bin_edges"]
