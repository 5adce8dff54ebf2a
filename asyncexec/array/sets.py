"""Set functions of the array API standard whose result has a shape that depends on the elements.

Elements are sorted, and those that are equal lie side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from asyncexec.array import creation
from asyncexec.array.array import Array
from asyncexec.array.manipulation import concat
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit, own_source
from asyncexec.array.ordering import NUMBERS, numbers_along, sorted_together, sorted_values
from asyncexec.array.reshaping import raveled, reshaped
from asyncexec.array.run_nodes import RunsOfEqual
from asyncexec.array.wrapping import as_array


class UniqueAllResult(NamedTuple):
    """The result of :func:`unique_all`."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCountsResult(NamedTuple):
    """The result of :func:`unique_counts`."""

    values: Array
    counts: Array


class UniqueInverseResult(NamedTuple):
    """The result of :func:`unique_inverse`."""

    values: Array
    inverse_indices: Array


def unique_values(x: Array, /) -> Array:
    """Return the distinct elements of ``x``, along one axis in ascending order.

    How many there are is computed now: the elements are sorted in bounded memory as in :func:`sort`, and a number for
    each block is kept. They are sorted once more when the result is computed.

    >>> xp.unique_values(xp.asarray([[3, 1], [1, 3]], chunks=1)).compute()
    array([1, 3])

    Parameters
    ----------
    x : Array
        Of any shape. Each NaN is distinct; zeros of both signs are equal.
    """
    array = as_array(x, "unique_values")
    if not array.size:
        return _empty(array)
    node = sorted_values(_flat(array), 0, array.spec, "unique_values")
    runs = RunsOfEqual(node, array.own_spec, "unique_values")
    return Array(runs.at_begins(node), array.own_spec)


def unique_counts(x: Array, /) -> UniqueCountsResult:
    """Return the distinct elements of ``x`` in ascending order, and how often each comes.

    What is computed now is that of :func:`unique_values`.

    >>> values, counts = xp.unique_counts(xp.asarray([3, 1, 1, 3, 3], chunks=2))
    >>> values.compute(), counts.compute()
    (array([1, 3]), array([2, 3]))

    Returns
    -------
    UniqueCountsResult
        The namedtuple ``(values, counts)``, of one axis.
    """
    array = as_array(x, "unique_counts")
    return UniqueCountsResult(*distinct_with_counts(array, "unique_counts"))


def unique_inverse(x: Array, /) -> UniqueInverseResult:
    """Return the distinct elements of ``x`` in ascending order, and for each element its number among them.

    What is computed now is that of :func:`unique_values`. Elements are sorted with their numbers, and the numbers of
    distinct elements are sorted back.

    >>> values, inverse = xp.unique_inverse(xp.asarray([[30, 10], [10, 20]], chunks=1))
    >>> values.compute()
    array([10, 20, 30])
    >>> inverse.compute()
    array([[2, 0],
           [0, 1]])

    Returns
    -------
    UniqueInverseResult
        The namedtuple ``(values, inverse_indices)``: the first of one axis, the other of the shape of ``x``.
    """
    found = distinct_with_places(as_array(x, "unique_inverse"), "unique_inverse")
    return UniqueInverseResult(found.values, found.inverse_indices)


def unique_all(x: Array, /) -> UniqueAllResult:
    """Return the distinct elements of ``x`` in ascending order, where each comes first, the inverse, and the counts.

    What is computed now is that of :func:`unique_values`; see also :func:`unique_inverse`.

    >>> found = xp.unique_all(xp.asarray([30, 10, 10, 20], chunks=3))
    >>> found.values.compute(), found.indices.compute()
    (array([10, 20, 30]), array([1, 3, 0]))
    >>> found.inverse_indices.compute(), found.counts.compute()
    (array([2, 0, 0, 1]), array([2, 1, 1]))

    Returns
    -------
    UniqueAllResult
        The namedtuple ``(values, indices, inverse_indices, counts)``: ``inverse_indices`` has the shape of ``x``, the
        others one axis; ``indices`` are numbers of elements in C order.
    """
    return distinct_with_places(as_array(x, "unique_all"), "unique_all")


def distinct_with_counts(
    array: Array, operation: str, *, equal_nan: bool = False
) -> tuple[Array, Array]:
    """Return the distinct elements of ``array`` in ascending order, and how often each comes."""
    if not array.size:
        return _empty(array), _no_numbers(array)
    node = sorted_values(_flat(array), 0, array.spec, operation)
    runs = RunsOfEqual(node, array.own_spec, operation, equal_nan=equal_nan)
    values = Array(runs.at_begins(node), array.own_spec)
    return values, _lengths(runs, node.shape[0], array, node)


def distinct_with_places(
    array: Array, operation: str, *, equal_nan: bool = False
) -> UniqueAllResult:
    """Return all of :func:`unique_all`; NaN is equal to NaN with ``equal_nan``."""
    spec = array.own_spec
    if not array.size:
        none = _no_numbers(array)
        inverse = creation.zeros(array.shape, dtype=NUMBERS, spec=spec)
        return UniqueAllResult(_empty(array), none, inverse, none)
    flat = _flat(array)
    pair = (flat, numbers_along(flat, 0))
    values, places = sorted_together(pair, 0, array.spec, (0, 1), operation)
    runs = RunsOfEqual(values, spec, operation, equal_nan=equal_nan)
    back = (places, runs.numbers())
    (inverse_flat,) = sorted_together(back, 0, array.spec, (1,), operation)
    inverse_node = reshaped(inverse_flat, array.shape, limit=chunk_limit(spec), operation=operation)
    return UniqueAllResult(
        Array(runs.at_begins(values), spec),
        Array(runs.at_begins(places), spec),
        Array(inverse_node, spec),
        _lengths(runs, values.shape[0], array, values),
    )


def _flat(array: Array) -> Node:
    return raveled(array.node, limit=chunk_limit(array.own_spec))


def _lengths(runs: RunsOfEqual, extent: int, array: Array, node: Node) -> Array:
    """Return the lengths of runs: the differences of the numbers where they begin, and of the end."""
    begins = Array(runs.at_begins(numbers_along(node, 0)), array.own_spec)
    end = Array(own_source(np.asarray([extent], NUMBERS)), array.own_spec)
    return concat([begins[1:], end]) - begins


def _empty(array: Array) -> Array:
    return creation.empty((0,), dtype=array.dtype, spec=array.own_spec)


def _no_numbers(array: Array) -> Array:
    return creation.empty((0,), dtype=NUMBERS, spec=array.own_spec)


__all__ = [
    "UniqueAllResult",
    "UniqueCountsResult",
    "UniqueInverseResult",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
]
