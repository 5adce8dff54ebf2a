"""Sorting functions of the array API standard."""

from __future__ import annotations

from asyncexec.array import build, creation
from asyncexec.array.array import Array
from asyncexec.array.ordering import NUMBERS, sorted_values, stable_order
from asyncexec.array.wrapping import as_array


def sort(
    x: Array,
    /,
    *,
    axis: int = -1,
    descending: bool = False,
    stable: bool = True,  # noqa: ARG001 - it always is
) -> Array:
    """Return ``x`` sorted along ``axis``, which may be of any length.

    Tasks sort whole lines where these fit into memory. A longer line is sorted block by block, and blocks are merged
    two by two in Batcher's merge exchange (Knuth, The Art of Computer Programming 3, section 5.2.2, Algorithm M): of
    ``N`` blocks in about ``log2(N) ** 2 / 2`` passes over the array.

    >>> xp.sort(xp.asarray([3, 1, 2], chunks=2)).compute()
    array([1, 2, 3])
    >>> xp.sort(xp.asarray([[3, 1], [2, 5]]), axis=0, descending=True).compute()
    array([[3, 5],
           [2, 1]])

    Parameters
    ----------
    x : Array
        Real numbers, booleans, or complex numbers, which are sorted by real and then imaginary parts as in NumPy.
    axis : int
    descending : bool
        Whether the greatest comes first. NaN counts as the greatest: it is last in ascending order, else first.
    stable : bool
        Equal elements keep their order, whatever this says.

    Raises
    ------
    numpy.exceptions.AxisError
        If there is no such axis, as in an array without axes.
    """
    array = as_array(x, "sort")
    place = build.normalized_axis(axis, array.ndim)
    if array.shape[place] < 2 or not array.size:
        return array
    node = sorted_values(array.node, place, array.spec, "sort", descending=descending)
    return Array(node, array.own_spec)


def argsort(
    x: Array,
    /,
    *,
    axis: int = -1,
    descending: bool = False,
    stable: bool = True,  # noqa: ARG001 - it always is
) -> Array:
    """Return the numbers of the elements of ``x`` along ``axis`` that sort it, in int64.

    Parameters, order and algorithm are those of :func:`sort`; pairs of a value and its number are sorted.

    >>> xp.argsort(xp.asarray([3, 1, 2, 1], chunks=2)).compute()
    array([1, 3, 2, 0])
    >>> xp.argsort(xp.asarray([3, 1, 2, 1]), descending=True).compute()
    array([0, 2, 1, 3])

    Raises
    ------
    numpy.exceptions.AxisError
        If there is no such axis, as in an array without axes.
    """
    array = as_array(x, "argsort")
    place = build.normalized_axis(axis, array.ndim)
    if array.shape[place] < 2 or not array.size:
        return creation.zeros(array.shape, dtype=NUMBERS, chunks=array.chunks, spec=array.own_spec)
    node = stable_order(array.node, place, array.spec, "argsort", descending=descending)
    return Array(node, array.own_spec)
