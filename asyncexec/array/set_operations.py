"""Set operations by NumPy's names: distinct elements with NaN as one, and what two arrays have in common or not."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.manipulation import concat
from asyncexec.array.membership import isin
from asyncexec.array.sets import distinct_with_counts, distinct_with_places
from asyncexec.array.sorting import sort
from asyncexec.array.wrapping import as_array


def unique(
    x: Array,
    /,
    *,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    equal_nan: bool = True,
) -> Any:
    """Return the distinct elements of ``x`` in ascending order, and more where it is asked for, as ``numpy.unique``.

    Elements are sorted in bounded memory; how many are distinct is computed now, as in :func:`unique_values`.

    >>> values, counts = xp.unique(xp.asarray([np.nan, 1.0, np.nan]), return_counts=True)
    >>> values.compute(), counts.compute()
    (array([ 1., nan]), array([1, 2]))

    Parameters
    ----------
    x : Array
    return_index : bool
        Whether to return the number in C order of the first of each.
    return_inverse : bool
        Whether to return for each element its number among the distinct ones, in the shape of ``x``.
    return_counts : bool
        Whether to return how often each comes.
    equal_nan : bool
        Whether all NaN are one element, rather than each one by itself.

    Returns
    -------
    Array or tuple of Array
        The distinct elements; with others, a tuple of them and the others, in the order of the parameters.
    """
    array = as_array(x, "unique")
    more: list[Array] = []
    if return_index or return_inverse:
        found = distinct_with_places(array, "unique", equal_nan=equal_nan)
        values, counts = found.values, found.counts
        more += [found.indices] * return_index + [found.inverse_indices] * return_inverse
    else:
        values, counts = distinct_with_counts(array, "unique", equal_nan=equal_nan)
    more += [counts] * return_counts
    return (values, *more) if more else values


def union1d(x1: Array, x2: Array, /) -> Array:
    """Return the distinct elements that either array has, in ascending order, as ``numpy.union1d``.

    >>> xp.union1d(xp.asarray([3, 1]), xp.asarray([2, 1])).compute()
    array([1, 2, 3])
    """
    both = [as_array(each, "union1d") for each in (x1, x2)]
    found: Array = unique(concat(both, axis=None))
    return found


def intersect1d(x1: Array, x2: Array, /) -> Array:
    """Return the distinct elements that both arrays have, in ascending order, as ``numpy.intersect1d``.

    Which of the elements of ``x1`` are in ``x2`` is computed now.

    >>> xp.intersect1d(xp.asarray([3, 1, 1]), xp.asarray([2, 1])).compute()
    array([1])
    """
    first, second = as_array(x1, "intersect1d"), as_array(x2, "intersect1d")
    values: Array = unique(first.astype(np.result_type(first.dtype, second.dtype)))
    return values[isin(values, second)]


def setdiff1d(x1: Array, x2: Array, /) -> Array:
    """Return the distinct elements of ``x1`` that ``x2`` lacks, in ascending order, as ``numpy.setdiff1d``.

    Which these are is computed now.

    >>> xp.setdiff1d(xp.asarray([3, 1, 1]), xp.asarray([2, 1])).compute()
    array([3])
    """
    values: Array = unique(as_array(x1, "setdiff1d"))
    return values[isin(values, as_array(x2, "setdiff1d"), invert=True)]


def setxor1d(x1: Array, x2: Array, /) -> Array:
    """Return the distinct elements that one array alone has, in ascending order, as ``numpy.setxor1d``.

    Which these are is computed now.

    >>> xp.setxor1d(xp.asarray([3, 1, 1]), xp.asarray([2, 1])).compute()
    array([2, 3])
    """
    # No element is in both, but for NaN, which equals none.
    return sort(concat([setdiff1d(x1, x2), setdiff1d(x2, x1)]))


__all__ = ["intersect1d", "setdiff1d", "setxor1d", "union1d", "unique"]
