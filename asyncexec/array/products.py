"""Products of arrays: the linear algebra functions of the array API standard's main namespace, and relatives.

Blocks of the arrays are multiplied by BLAS, block of the result by block; where what is summed over does not fit into
memory, in groups whose sums are added. Sums are kept in the type of the result, as in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.chunks import broadcast_shapes
from asyncexec.array.contraction import matrix_product, pair_product
from asyncexec.array.integers import integer, integers
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.spec import Spec, free_bytes_of
from asyncexec.array.wrapping import as_nodes
from asyncexec.plan.given_numbers import as_whole_number

type PairOfAxes = int | Sequence[int | Sequence[int]]


def matmul(x1: Array, x2: Array, /) -> Array:
    """Return the matrix product of two arrays, or the products of two stacks of matrices; ``x1 @ x2`` is the same.

    >>> x = xp.asarray([[1, 2], [3, 4]], chunks=(1, 2))
    >>> xp.matmul(x, x).compute()
    array([[ 7, 10],
           [15, 22]])
    >>> (x @ xp.asarray([1, 1])).compute()
    array([3, 7])

    Parameters
    ----------
    x1, x2 : Array
        Of shapes ``(..., M, K)`` and ``(..., K, N)``, whose stacks (all other axes) are broadcast. One with a single
        axis is a row or a column, and the result lacks that axis.

    Returns
    -------
    Array
        Of shape ``(..., M, N)`` and of the common type.

    Raises
    ------
    ValueError
        If one has no axes, or the shapes do not fit.

    Notes
    -----
    A task makes a block of the result from a block of rows and a block of columns. Chunks of fewer than 512 rows or
    columns are put together, so that blocks are not read more often than it pays.
    """
    nodes, spec = as_nodes((x1, x2), "matmul")
    left, right = nodes
    return Array(matrix_product(left, right, **_sizes(spec)), spec)


def tensordot(x1: Array, x2: Array, /, *, axes: PairOfAxes = 2) -> Array:
    """Return the sum of products over ``axes`` of both arrays.

    >>> x = xp.ones((3, 4, 5), chunks=2)
    >>> xp.tensordot(x, xp.ones((4, 5, 2))).shape
    (3, 2)
    >>> xp.tensordot(x, xp.ones((2, 4)), axes=(1, 1)).shape
    (3, 5, 2)

    Parameters
    ----------
    x1, x2 : Array
    axes : int or pair of sequences of int
        The axes of ``x1`` and those of ``x2``, in the order in which they go together. A number N is the last N axes of
        ``x1`` and the first N of ``x2``; 0 multiplies each element by each.

    Returns
    -------
    Array
        The other axes of ``x1``, then those of ``x2``; of the common type.

    Raises
    ------
    ValueError
        If lengths of axes differ, or there are not as many of one as of the other.
    """
    nodes, spec = as_nodes((x1, x2), "tensordot")
    left, right = (len(node.shape) for node in nodes)
    summed = _axes_of_both(axes, left, right)
    own: list[Any] = [f"left {axis}" for axis in range(left)]
    other: list[Any] = [f"right {axis}" for axis in range(right)]
    for number, (a, b) in enumerate(zip(*summed, strict=True)):
        n, m = nodes[0].shape[a], nodes[1].shape[b]
        if n != m:
            raise ValueError(
                f"tensordot() of arrays of shapes {nodes[0].shape} and {nodes[1].shape}: axis {a} of the first has {n} "
                f"elements, and axis {b} of the second {m}"
            )
        own[a] = other[b] = number
    out = [label for label in (*own, *other) if isinstance(label, str)]
    return _product("tensordot", nodes, (own, other, out), spec)


def vecdot(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Return the dot products of vectors along ``axis``, those of ``x1`` conjugated.

    >>> xp.vecdot(xp.asarray([[1, 2], [3, 4]]), xp.asarray([1, 10])).compute()
    array([21, 43])
    >>> xp.vecdot(xp.asarray([1j, 2]), xp.asarray([1j, 1])).compute()
    array(3.+0.j)

    Parameters
    ----------
    x1, x2 : Array
        Of the same length along ``axis``; the other axes are broadcast.
    axis : int
        Counted in each of the arrays; from the end (negative) where they have different numbers of axes.

    Raises
    ------
    ValueError
        If the lengths along the axis differ, the others do not broadcast, or one array has no axes.
    """
    nodes, spec = as_nodes((x1, x2), "vecdot")
    place = integer(axis, "axis")
    last = [_moved_last(node, build.normalized_axis(place, len(node.shape))) for node in nodes]
    n, m = (node.shape[-1] for node in last)
    if n != m:
        raise ValueError(
            f"vecdot() of arrays of shapes {nodes[0].shape} and {nodes[1].shape}: along axis {place} they have {n} and "
            f"{m} elements"
        )
    ndim = len(broadcast_shapes(*(node.shape[:-1] for node in last)))
    own, other = ((*range(ndim + 1 - len(node.shape), ndim), "inner") for node in last)
    return _product("vecdot", last, (own, other, range(ndim)), spec, conjugate=True)


def outer(x1: Array, x2: Array, /) -> Array:
    """Return the products of each element of one vector with each of another.

    >>> xp.outer(xp.asarray([1, 2]), xp.asarray([1, 10, 100])).compute()
    array([[  1,  10, 100],
           [  2,  20, 200]])

    Raises
    ------
    ValueError
        If one of them has not exactly one axis.
    """
    nodes, spec = as_nodes((x1, x2), "outer")
    shapes = [node.shape for node in nodes]
    if any(len(shape) != 1 for shape in shapes):
        raise ValueError(
            f"outer() takes arrays of one axis, and got the shapes {shapes[0]} and {shapes[1]}: flatten them by "
            f"reshape(x, (-1,))"
        )
    return _product("outer", nodes, (("row",), ("column",), ("row", "column")), spec)


def inner(x1: Array, x2: Array, /) -> Array:
    """Return the sums of products over the last axes of both arrays, as ``numpy.inner``; nothing is conjugated.

    >>> xp.inner(xp.asarray([[1, 2], [3, 4]]), xp.asarray([[1, 0], [0, 1], [1, 1]])).compute()
    array([[1, 2, 3],
           [3, 4, 7]])

    Raises
    ------
    ValueError
        If the last axes differ in length.
    """
    nodes, _ = as_nodes((x1, x2), "inner")
    if not all(node.shape for node in nodes):
        return tensordot(x1, x2, axes=0)
    return tensordot(x1, x2, axes=(-1, -1))


def dot(x1: Array, x2: Array, /) -> Array:
    """Return the dot product, as ``numpy.dot``: sums over the last axis of ``x1`` and the last but one of ``x2``.

    >>> xp.dot(xp.asarray([1, 2, 3]), xp.asarray([1, 10, 100])).compute()
    array(321)
    >>> xp.dot(xp.ones((2, 3, 4)), xp.ones((5, 4, 6))).shape
    (2, 3, 5, 6)

    Raises
    ------
    ValueError
        If these axes differ in length.
    """
    nodes, _ = as_nodes((x1, x2), "dot")
    left, right = (len(node.shape) for node in nodes)
    if not left or not right:
        return tensordot(x1, x2, axes=0)
    return tensordot(x1, x2, axes=(-1, -2 if right > 1 else -1))


def _axes_of_both(axes: PairOfAxes, left: int, right: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return the axes of arrays of ``left`` and ``right`` axes that go together, as numbers from 0."""
    count = as_whole_number(axes)
    if count is not None:
        if not 0 <= count <= min(left, right):
            raise ValueError(
                f"tensordot() over axes={count} of arrays of {left} and {right} axes: it takes from 0 to "
                f"{min(left, right)}"
            )
        return range(left - count, left), range(count)
    given: Any = axes
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != 2:
        raise TypeError(
            f"axes of tensordot() are a number, or a pair of sequences of numbers, not {axes!r}"
        )
    one, other = (integers(each, "an axis of tensordot()") for each in given)
    if len(one) != len(other):
        raise ValueError(
            f"tensordot() over axes={axes!r}: there are {len(one)} of the first array and {len(other)} of the second"
        )
    return build.normalized_axes(one, left), build.normalized_axes(other, right)


def _moved_last(node: Node, axis: int) -> Node:
    ndim = len(node.shape)
    if axis == ndim - 1:
        return node
    return build.permute(node, (*(a for a in range(ndim) if a != axis), axis), "moveaxis")


def _product(
    operation: str,
    nodes: Sequence[Node],
    labels: tuple[Sequence[Any], Sequence[Any], Sequence[Any]],
    spec: Spec | None,
    *,
    conjugate: bool = False,
) -> Array:
    left, right = nodes
    found = pair_product(operation, (left, right), labels, conjugate=conjugate, **_sizes(spec))
    return Array(found, spec)


def _sizes(spec: Spec | None) -> dict[str, int]:
    return {"limit": chunk_limit(spec), "free_bytes": free_bytes_of(spec)}
