"""Manipulation functions of the array API standard. Most are views, and cost nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.chunks import ChunksLike, broadcast_shapes
from asyncexec.array.integers import as_shape, integers
from asyncexec.array.operands import chunk_limit
from asyncexec.array.reshaping import raveled, reshaped
from asyncexec.array.segments import Segment, arranged
from asyncexec.array.wrapping import as_array, as_nodes


def broadcast_arrays(*arrays: Array) -> tuple[Array, ...]:
    """Return ``arrays`` broadcast to their common shape.

    >>> x, y = xp.broadcast_arrays(xp.asarray([[1], [2]]), xp.asarray([3, 4, 5]))
    >>> x.shape, y.shape
    ((2, 3), (2, 3))
    """
    shape = broadcast_shapes(*(as_array(a, "broadcast_arrays").shape for a in arrays))
    return tuple(broadcast_to(a, shape) for a in arrays)


def broadcast_to(x: Array, /, shape: int | Sequence[int], *, chunks: ChunksLike = None) -> Array:
    """Return ``x`` repeated to ``shape``.

    >>> xp.broadcast_to(xp.arange(3), (2, 3)).compute()
    array([[0, 1, 2],
           [0, 1, 2]])

    Raises
    ------
    ValueError
        If it cannot be.
    """
    array = as_array(x, "broadcast_to")
    wanted = as_shape(shape)
    if array.shape == wanted:
        return array
    limit = chunk_limit(array.own_spec)
    found = Array(build.broadcast(array.own_node, wanted, limit=limit), array.own_spec)
    return found if chunks is None else found.rechunk(chunks)


def concat(arrays: Sequence[Array], /, *, axis: int | None = 0) -> Array:
    """Return ``arrays`` one after another along ``axis``.

    The element type is the common one. Along ``axis`` chunks are those of each array, along others those of the
    largest. For ``axis=None`` all elements, in C order, are along one axis.

    >>> xp.concat([xp.arange(3), xp.asarray([0.5])]).compute()
    array([0. , 1. , 2. , 0.5])
    >>> xp.concat([xp.asarray([[1, 2], [3, 4]]), xp.asarray([5])], axis=None).compute()
    array([1, 2, 3, 4, 5])

    Raises
    ------
    ValueError
        If their other axes differ in length, or there are none.
    """
    nodes, spec = as_nodes(list(arrays), "concat", own=True)
    if not nodes:
        raise ValueError("concat of no arrays")
    if axis is None:
        regular = map(build.in_regular_chunks, nodes)
        nodes, axis = [raveled(node, limit=chunk_limit(spec)) for node in regular], 0
    first = nodes[0].shape
    place = build.normalized_axis(axis, len(first))
    for node in nodes:
        same = len(node.shape) == len(first) and all(
            a == place or n == m for a, (n, m) in enumerate(zip(node.shape, first, strict=True))
        )
        if not same:
            raise ValueError(
                f"shapes {first} and {node.shape} cannot be put together along axis {axis}: "
                f"all other axes must be equal"
            )
    dtype = np.result_type(*(node.dtype for node in nodes))
    return Array(build.concatenate(nodes, place, dtype, as_they_lie=True), spec)


def expand_dims(x: Array, /, axis: int | Sequence[int] = 0) -> Array:
    """Return ``x`` with new axes of length 1 at ``axis`` (of the result).

    >>> xp.expand_dims(xp.arange(3), axis=0).shape
    (1, 3)
    >>> xp.expand_dims(xp.arange(3), (0, -1)).shape
    (1, 3, 1)
    """
    array = as_array(x, "expand_dims")
    places = integers(axis, "axis")
    node = array.own_node
    for place in sorted(build.normalized_axes(places, array.ndim + len(places))):
        node = build.insert_axis(node, place)
    return Array(node, array.own_spec)


def flip(x: Array, /, *, axis: int | Sequence[int] | None = None) -> Array:
    """Return ``x`` with the order along ``axis`` (one, several, or all) turned around.

    >>> xp.flip(xp.arange(4)).compute()
    array([3, 2, 1, 0])
    """
    array = as_array(x, "flip")
    axes = build.normalized_axes(axis, array.ndim)
    return array[tuple(slice(None, None, -1 if a in axes else 1) for a in range(array.ndim))]


def matrix_transpose(x: Array, /) -> Array:
    """Return ``x`` with its last two axes exchanged.

    >>> xp.matrix_transpose(xp.ones((5, 2, 3))).shape
    (5, 3, 2)
    """
    return as_array(x, "matrix_transpose").mT


def moveaxis(x: Array, source: int | Sequence[int], destination: int | Sequence[int], /) -> Array:
    """Return ``x`` with axes ``source`` moved to ``destination``; the others keep their order.

    >>> xp.moveaxis(xp.ones((2, 3, 4)), 0, -1).shape
    (3, 4, 2)

    Raises
    ------
    ValueError
        If there are not as many of one as of the other.
    """
    array = as_array(x, "moveaxis")
    from_, to = (
        build.normalized_axes(source, array.ndim),
        build.normalized_axes(destination, array.ndim),
    )
    if len(from_) != len(to):
        raise ValueError(f"{len(from_)} axes cannot be moved to {len(to)} places")
    order = [axis for axis in range(array.ndim) if axis not in from_]
    for place, axis in sorted(zip(to, from_, strict=True)):
        order.insert(place, axis)
    return permute_dims(array, tuple(order))


def permute_dims(x: Array, /, axes: Sequence[int]) -> Array:
    """Return ``x`` with its axes in the order ``axes``.

    >>> xp.permute_dims(xp.ones((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)

    Raises
    ------
    ValueError
        If ``axes`` does not name each axis once.
    """
    array = as_array(x, "permute_dims")
    order = build.normalized_axes(tuple(axes), array.ndim)
    if len(order) != array.ndim:
        raise ValueError(f"axes {tuple(axes)} must name each of the {array.ndim} axes once")
    if order == tuple(range(array.ndim)):
        return array
    return Array(build.permute(array.own_node, order), array.own_spec)


def rechunk(x: Array, /, chunks: ChunksLike) -> Array:
    """Return ``x`` in other chunks.

    >>> x = xp.ones((1000, 1000), chunks=(10, 1000))
    >>> xp.rechunk(x, (1000, 10))
    <asyncexec.Array shape=(1000, 1000) dtype=float64 chunks=(1000, 10) (8.0 MB)>
    >>> x.rechunk({0: 500}).chunks
    (500, 1000)

    Parameters
    ----------
    x : Array
    chunks : int, tuple, mapping, "auto", size
        One length for all axes or a tuple of one for each (-1 for the whole axis, "auto" to let it be chosen), a
        mapping of axes to lengths (other axes stay), "auto", or a size such as ``"100MB"``.

    Notes
    -----
    Where most chunks are read once anyway, whoever needs the result reads windows of what is there. Otherwise it is
    stored, through intermediate arrays where one pass would not fit into memory.
    """
    return as_array(x, "rechunk").rechunk(chunks)


def reshape(x: Array, /, shape: int | Sequence[int], *, copy: bool | None = None) -> Array:
    """Return the elements of ``x``, in C order, in another shape; one length may be -1, and follows from the others.

    >>> xp.reshape(xp.arange(6, chunks=2), (2, -1)).compute()
    array([[0, 1, 2],
           [3, 4, 5]])

    Axes of one element come and go for nothing. Otherwise elements become those of one axis first, for which chunks are
    read that have all axes but the first whole.

    Raises
    ------
    ValueError
        If the shape has not as many elements, or for ``copy=False`` where they must be copied.
    """
    array = as_array(x, "reshape")
    wanted = _known_lengths(integers(shape, "a length of a shape"), array)
    node = reshaped(array.node, wanted, limit=chunk_limit(array.own_spec))
    longer = [[n for n in s if n != 1] for s in (array.shape, wanted)]
    if copy is False and longer[0] != longer[1]:
        raise ValueError("elements must be copied to have another shape: use copy=None")
    return array if node is array.node else Array(node, array.own_spec)


def _known_lengths(lengths: tuple[int, ...], array: Array) -> tuple[int, ...]:
    known = math.prod(n for n in lengths if n != -1)
    free = lengths.count(-1)
    if free == 1 and known and array.size % known == 0:
        lengths = tuple(array.size // known if n == -1 else n for n in lengths)
    if min(lengths, default=0) < 0 or math.prod(lengths) != array.size:
        raise ValueError(
            f"an array of shape {array.shape} cannot have the shape {lengths}: it has {array.size} elements"
        )
    return lengths


def roll(
    x: Array, /, shift: int | Sequence[int], *, axis: int | Sequence[int] | None = None
) -> Array:
    """Return ``x`` with elements moved by ``shift`` along ``axis``; those that fall off come in at the other end.

    Without ``axis``, elements move as if they were along one axis, in C order. Several shifts along one axis add up.

    >>> xp.roll(xp.arange(5), 2).compute()
    array([3, 4, 0, 1, 2])
    >>> xp.roll(xp.asarray([[1, 2], [3, 4]]), 1).compute()
    array([[4, 1],
           [2, 3]])

    Raises
    ------
    ValueError
        If there is not one shift per axis.
    """
    array = as_array(x, "roll")
    if axis is None:
        if array.ndim != 1:
            flat = roll(reshape(array, (-1,)), shift, axis=0)
            return reshape(flat, array.shape)
        axis = 0
    axes = build.normalized_axes(axis, array.ndim)
    shifts = integers(shift, "shift")
    if len(axes) == 1:
        shifts = (sum(shifts),)
    if len(shifts) == 1:
        shifts *= len(axes)
    if len(shifts) != len(axes):
        raise ValueError(f"{len(shifts)} shifts for {len(axes)} axes")
    along: dict[int, list[Segment]] = {}
    for by, a in zip(shifts, axes, strict=True):
        n = array.shape[a]
        cut = -by % n if n else 0
        if cut:
            along[a] = [Segment(cut, n - cut), Segment(0, cut)]
    return Array(arranged("roll", array.node, along), array.own_spec) if along else array


def squeeze(x: Array, /, axis: int | Sequence[int]) -> Array:
    """Return ``x`` without ``axis``.

    >>> xp.squeeze(xp.ones((1, 3, 1)), axis=0).shape
    (3, 1)

    Raises
    ------
    ValueError
        If one of them is longer than 1.
    """
    array = as_array(x, "squeeze")
    axes = build.normalized_axes(axis, array.ndim)
    for a in axes:
        if array.shape[a] != 1:
            raise ValueError(f"axis {a} has {array.shape[a]} elements: only axes of one can go")
    return Array(build.drop_axes(array.own_node, axes), array.own_spec) if axes else array


def stack(arrays: Sequence[Array], /, *, axis: int = 0) -> Array:
    """Return ``arrays`` side by side along a new axis.

    >>> xp.stack([xp.arange(3), xp.arange(3) * 10], axis=1).compute()
    array([[ 0,  0],
           [ 1, 10],
           [ 2, 20]])

    Raises
    ------
    ValueError
        If their shapes differ, or there are none.
    """
    nodes, spec = as_nodes(list(arrays), "stack", own=True)
    if not nodes:
        raise ValueError("stack of no arrays")
    for node in nodes:
        if node.shape != nodes[0].shape:
            raise ValueError(
                f"shapes {nodes[0].shape} and {node.shape} differ: stack takes equal ones"
            )
    place = build.normalized_axis(axis, len(nodes[0].shape) + 1)
    dtype = np.result_type(*(node.dtype for node in nodes))
    parts = [build.insert_axis(node, place) for node in nodes]
    return Array(build.concatenate(parts, place, dtype, "stack"), spec)


def unstack(x: Array, /, *, axis: int = 0) -> tuple[Array, ...]:
    """Return the parts of ``x`` along ``axis``, which goes.

    >>> rows = xp.unstack(xp.asarray([[1, 2], [3, 4]]))
    >>> len(rows), rows[1].compute()
    (2, array([3, 4]))
    """
    array = as_array(x, "unstack")
    place = build.normalized_axis(axis, array.ndim)
    return tuple(array[(*(slice(None),) * place, i)] for i in range(array.shape[place]))
