"""Arrays put together, and elements put in and taken out, as NumPy does it beyond the standard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.axis_order import atleast_1d, atleast_2d, atleast_3d
from asyncexec.array.integers import integers
from asyncexec.array.manipulation import broadcast_to, concat, moveaxis, reshape
from asyncexec.array.operands import chunk_limit
from asyncexec.array.wrapping import as_array


def append(arr: Array, values: Array, /, *, axis: int | None = None) -> Array:
    """Return ``arr`` with ``values`` after it along ``axis``; without one, the elements of both along one axis.

    >>> xp.append(xp.arange(2), xp.asarray([7])).compute()
    array([0, 1, 7])

    Raises
    ------
    ValueError
        If the other axes differ in length.
    """
    return concat([arr, values], axis=axis)


def block(arrays: Any, /) -> Array:
    """Return arrays in nested lists put together: the innermost along the last axis, those around along the one before.

    >>> x = xp.ones((1, 2))
    >>> xp.block([[x, x * 2], [x * 3, x * 4]]).compute()
    array([[1., 1., 2., 2.],
           [3., 3., 4., 4.]])

    Raises
    ------
    ValueError
        If lists are empty, or of different depths, or lengths do not fit together.
    """
    depth = _depth(arrays)
    leaves = list(_leaves(arrays))
    ndim = max(depth, *(leaf.ndim for leaf in leaves))
    return _joined(arrays, depth, ndim)


def _depth(arrays: Any) -> int:
    if not isinstance(arrays, list):
        return 0
    depths = {_depth(each) for each in arrays}
    if len(depths) != 1:
        raise ValueError("block takes lists that are not empty, and nested equally deep")
    return depths.pop() + 1


def _leaves(arrays: Any) -> Sequence[Array]:
    if not isinstance(arrays, list):
        return [as_array(arrays, "block")]
    return [leaf for each in arrays for leaf in _leaves(each)]


def _joined(arrays: Any, depth: int, ndim: int) -> Array:
    if not isinstance(arrays, list):
        array = as_array(arrays, "block")
        return reshape(array, (1,) * (ndim - array.ndim) + array.shape)
    return concat([_joined(each, depth - 1, ndim) for each in arrays], axis=-depth)


def column_stack(arrays: Sequence[Array], /) -> Array:
    """Return arrays with one axis as the columns of a matrix, and matrices side by side.

    >>> xp.column_stack([xp.arange(2), xp.arange(2) * 10]).compute()
    array([[ 0,  0],
           [ 1, 10]])

    Raises
    ------
    ValueError
        If they differ in the number of rows.
    """
    found = [as_array(a, "column_stack") for a in arrays]
    return concat([atleast_2d(a).T if a.ndim < 2 else a for a in found], axis=1)


def delete(arr: Array, obj: Any, /, *, axis: int | None = None) -> Array:
    """Return ``arr`` without the elements at ``obj`` along ``axis``; without one, of all elements along one axis.

    >>> xp.delete(xp.arange(5), [1, -1]).compute()
    array([0, 2, 3])

    Parameters
    ----------
    arr : Array
    obj : int, slice, or sequence of int or bool
        The elements that go.
    axis : int, optional

    Raises
    ------
    IndexError
        If one is out of range.
    """
    array, place = _along(as_array(arr, "delete"), axis)
    n = array.shape[place]
    kept = np.ones(n, np.bool_)
    given = obj if isinstance(obj, slice) else np.asarray(obj)
    if not isinstance(given, slice) and given.dtype.kind == "b":
        if given.shape != (n,):
            raise ValueError(f"a mask of shape {given.shape} for {n} elements along axis {place}")
    elif not isinstance(given, slice):
        given = np.asarray(integers(obj, "a place"), np.int64)
        _check_places(given, n, place)
    kept[given] = False
    ends = np.flatnonzero(np.diff(np.concatenate([[False], kept, [False]]).astype(np.int8)))
    parts = [_part(array, place, a, b) for a, b in ends.reshape(-1, 2).tolist()]
    if len(parts) > _MOST_PARTS:
        positions = np.flatnonzero(kept)
        limit = chunk_limit(array.own_spec)
        node = build.take_positions(array.node, positions, place, limit=limit)
        return Array(node, array.own_spec)
    return concat(parts, axis=place) if parts else _part(array, place, 0, 0)


_MOST_PARTS = 8
"""The number of parts that are put together; more are gathered by their positions."""


def insert(arr: Array, obj: Any, values: Any, /, *, axis: int | None = None) -> Array:
    """Return ``arr`` with ``values`` put in before the elements at ``obj`` along ``axis``.

    >>> xp.insert(xp.arange(4), [1, 3], xp.asarray([10, 30])).compute()
    array([ 0, 10,  1,  2, 30,  3])
    >>> xp.insert(xp.ones((2, 2)), 1, 0.0, axis=1).compute()
    array([[1., 0., 1.],
           [1., 0., 1.]])

    Parameters
    ----------
    arr : Array
    obj : int or sequence of int
        Places among the elements of ``arr``; its length is the end.
    values : Array, NumPy array or scalar
        Converted to the type of ``arr``, and broadcast to one for each place.
    axis : int, optional
        Without it, all elements are along one axis.

    Raises
    ------
    IndexError
        If a place is out of range.
    ValueError
        If values do not broadcast.
    """
    array, place = _along(as_array(arr, "insert"), axis)
    n = array.shape[place]
    single = np.ndim(obj) == 0
    places = np.asarray(integers(obj, "a place"), np.int64)
    _check_places(places, n + 1, place, least=-n)
    places = np.where(places < 0, places + n, places)
    given = values if isinstance(values, Array) else _constant(values, array)
    given = given.astype(array.dtype)
    if single and given.ndim:
        # As NumPy does: one place takes as many as there are along the first axis.
        given = moveaxis(_with_axes(given, array.ndim), 0, place)
        places = np.repeat(places, given.shape[place])
    shape = (*array.shape[:place], len(places), *array.shape[place + 1 :])
    given = broadcast_to(given, shape)
    order = np.argsort(places, kind="stable")
    if len(places) <= _MOST_PARTS:
        return _inserted(array, places[order].tolist(), order.tolist(), given, place)
    # The place of each element of the result among those of `arr` and, behind these, `values`.
    positions = np.insert(np.arange(n), places[order], n + order)
    both = concat([array, given], axis=place)
    node = build.take_positions(both.node, positions, place, limit=chunk_limit(both.own_spec))
    return Array(node, both.own_spec)


def _inserted(array: Array, places: list[int], order: list[int], given: Array, axis: int) -> Array:
    """Return ``array`` with parts of ``given``, in this ``order``, before the elements at ascending ``places``."""
    parts: list[Array] = []
    done = 0
    for number, before in zip(order, places, strict=True):
        parts += [_part(array, axis, done, before), _part(given, axis, number, number + 1)]
        done = before
    parts.append(_part(array, axis, done, array.shape[axis]))
    filled = [part for part in parts if part.shape[axis]]
    return concat(filled or parts[:1], axis=axis)


def _constant(values: Any, like: Array) -> Array:
    from_numpy = np.asarray(values, like.dtype)
    return as_array(from_numpy, "insert")


def _with_axes(array: Array, ndim: int) -> Array:
    return reshape(array, (1,) * (ndim - array.ndim) + array.shape)


def _along(array: Array, axis: int | None) -> tuple[Array, int]:
    if axis is None:
        return reshape(array, (-1,)), 0
    return array, build.normalized_axis(axis, array.ndim)


def _part(array: Array, axis: int, start: int, stop: int) -> Array:
    return array[(*(slice(None),) * axis, slice(start, stop))]


def _check_places(
    places: np.ndarray[Any, Any], n: int, axis: int, least: int | None = None
) -> None:
    low = -n if least is None else least
    wrong = places[(places < low) | (places >= n)]
    if wrong.size:
        raise IndexError(f"place {wrong[0]} is out of range for axis {axis}")


def dstack(arrays: Sequence[Array], /) -> Array:
    """Return arrays one after another along their third axis; those with fewer get axes of length 1.

    >>> xp.dstack([xp.arange(2), xp.arange(2)]).shape
    (1, 2, 2)
    """
    return concat([atleast_3d(a) for a in arrays], axis=2)


def hstack(arrays: Sequence[Array], /) -> Array:
    """Return arrays one after another along their second axis, or the first where they have no other.

    >>> xp.hstack([xp.arange(2), xp.arange(2)]).compute()
    array([0, 1, 0, 1])
    """
    found = [atleast_1d(a) for a in arrays]
    return concat(found, axis=0 if found and found[0].ndim == 1 else 1)


def vstack(arrays: Sequence[Array], /) -> Array:
    """Return arrays one below the other; those with one axis are rows.

    >>> xp.vstack([xp.arange(2), xp.arange(2)]).compute()
    array([[0, 1],
           [0, 1]])
    """
    return concat([atleast_2d(a) for a in arrays], axis=0)
