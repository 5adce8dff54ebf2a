"""Axes in another order, or more of them, as NumPy does it; the standard has ``permute_dims`` and ``expand_dims``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.integers import integer, integers
from asyncexec.array.manipulation import flip, permute_dims, reshape
from asyncexec.array.wrapping import as_array


def atleast_1d(*arrays: Array) -> Any:
    """Return an array with an axis, where it has none; of several arrays, the tuple of them.

    >>> xp.atleast_1d(xp.asarray(3)).shape
    (1,)
    """
    return _each("atleast_1d", arrays, lambda a: a if a.ndim else reshape(a, (1,)))


def atleast_2d(*arrays: Array) -> Any:
    """Return an array with axes of length 1 before its own, where it has fewer than two; of several, the tuple of them.

    >>> xp.atleast_2d(xp.arange(3)).shape
    (1, 3)
    """
    return _each("atleast_2d", arrays, lambda a: reshape(a, (1,) * (2 - a.ndim) + a.shape))


def atleast_3d(*arrays: Array) -> Any:
    """Return an array with axes of length 1 around its own, where it has fewer than three; of several, the tuple.

    >>> xp.atleast_3d(xp.arange(3)).shape
    (1, 3, 1)
    """
    shapes: list[Any] = [lambda _: (1, 1, 1), lambda own: (1, *own, 1), lambda own: (*own, 1)]
    return _each(
        "atleast_3d", arrays, lambda a: reshape(a, shapes[a.ndim](a.shape)) if a.ndim < 3 else a
    )


def _each(operation: str, arrays: Sequence[Any], change: Any) -> Any:
    changed = tuple(change(as_array(a, operation)) for a in arrays)
    return changed[0] if len(changed) == 1 else changed


def ravel(x: Array, /) -> Array:
    """Return the elements of ``x``, in C order, along one axis.

    >>> xp.ravel(xp.asarray([[1, 2], [3, 4]])).compute()
    array([1, 2, 3, 4])
    """
    return reshape(as_array(x, "ravel"), (-1,))


def rot90(x: Array, /, k: int = 1, *, axes: Sequence[int] = (0, 1)) -> Array:
    """Return ``x`` turned by 90 degrees ``k`` times, from the first of ``axes`` towards the second.

    >>> xp.rot90(xp.asarray([[1, 2], [3, 4]])).compute()
    array([[2, 4],
           [1, 3]])

    Raises
    ------
    ValueError
        If there are not two different axes.
    """
    array = as_array(x, "rot90")
    places = build.normalized_axes(integers(axes, "axes"), array.ndim)
    if len(places) != 2:
        raise ValueError(f"axes {tuple(axes)} must be two")
    one, other = places
    turns = integer(k, "k") % 4
    if turns == 0:
        return array
    if turns == 2:
        return flip(array, axis=places)
    if turns == 1:
        return swapaxes(flip(array, axis=other), one, other)
    return flip(swapaxes(array, one, other), axis=other)


def swapaxes(x: Array, axis1: int, axis2: int, /) -> Array:
    """Return ``x`` with two axes exchanged.

    >>> xp.swapaxes(xp.ones((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    array = as_array(x, "swapaxes")
    order = list(range(array.ndim))
    one, other = build.normalized_axis(axis1, array.ndim), build.normalized_axis(axis2, array.ndim)
    order[one], order[other] = order[other], order[one]
    return permute_dims(array, tuple(order))
