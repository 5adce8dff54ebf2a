"""The greatest and the least elements along an axis."""

from __future__ import annotations

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.integers import integer
from asyncexec.array.sorting import argsort, sort
from asyncexec.array.top_nodes import KeepTop, top_nodes
from asyncexec.array.wrapping import as_array


def topk(x: Array, /, k: int, axis: int = -1) -> Array:
    """Return the ``k`` greatest elements along ``axis``, greatest first; for a negative ``k`` the least, least first.

    Each task keeps ``abs(k)`` elements of a chunk, and others merge what was kept, in a tree; where ``k`` is too many
    for that, the axis is sorted. Order is that of :func:`sort`: NaN counts as the greatest.

    >>> x = xp.asarray([5, 1, 3, 6], chunks=2)
    >>> xp.topk(x, 2).compute(), xp.topk(x, -2).compute()
    (array([6, 5]), array([1, 3]))

    Parameters
    ----------
    x : Array
    k : int
        Not 0; of fewer elements all are returned.
    axis : int

    Raises
    ------
    ValueError
        If ``k`` is 0.
    """
    return _top("topk", x, k, axis)


def argtopk(x: Array, /, k: int, axis: int = -1) -> Array:
    """Return the numbers along ``axis`` of the elements that :func:`topk` returns, in int64; of equal ones the first.

    >>> x = xp.asarray([5, 1, 3, 6, 6], chunks=2)
    >>> xp.argtopk(x, 2).compute(), xp.argtopk(x, -2).compute()
    (array([3, 4]), array([1, 2]))

    Raises
    ------
    ValueError
        If ``k`` is 0.
    """
    return _top("argtopk", x, k, axis)


def _top(operation: str, x: Array, k: int, axis: int) -> Array:
    array = as_array(x, operation)
    place = build.normalized_axis(axis, array.ndim)
    wanted = integer(k, "k")
    if not wanted:
        raise ValueError(
            f"{operation}(x, k=0) of an array of shape {array.shape}: k is how many of the greatest elements are "
            f"wanted, or of the least if it is negative"
        )
    count, numbers = min(abs(wanted), array.shape[place]), operation == "argtopk"
    found = None
    if array.size and 2 * count < array.shape[place]:
        keep = KeepTop(place, count, greatest=wanted > 0)
        found = top_nodes(array.node, place, keep, array.spec, numbers=numbers)
    if found is None:
        everything = (argsort if numbers else sort)(array, axis=place, descending=wanted > 0)
        return everything[(*(slice(None),) * place, slice(count))]
    return Array(found[-1], array.own_spec)


__all__ = ["argtopk", "topk"]
