"""The cross product, of the array API standard's extension ``linalg``."""

from __future__ import annotations

import math

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.dtypes import check_numbers
from asyncexec.array.integers import integer
from asyncexec.array.matrix_kernels import cross_product
from asyncexec.array.operands import chunk_limit
from asyncexec.array.wrapping import as_nodes


def cross(x1: Array, x2: Array, /, *, axis: int = -1) -> Array:
    """Return the cross products of vectors of three elements along ``axis``; the other axes are broadcast.

    >>> xp.linalg.cross(xp.asarray([1, 0, 0]), xp.asarray([[0, 1, 0], [0, 0, 1]])).compute()
    array([[ 0,  0,  1],
           [ 0, -1,  0]])

    Parameters
    ----------
    x1, x2 : Array
        Of numbers, with three elements along the axis.
    axis : int
        Counted from the end (negative), or, of arrays with the same number of axes, from the beginning.

    Raises
    ------
    TypeError
        If the elements are booleans, or no numbers.
    ValueError
        If an array has not three elements along the axis, or the others do not broadcast.
    """
    nodes, spec = as_nodes((x1, x2), "cross")
    place = integer(axis, "axis")
    counts = [len(node.shape) for node in nodes]
    if place >= 0 and counts[0] == counts[1]:
        place = build.normalized_axis(place, counts[0]) - counts[0]
    for node in nodes:
        if not -len(node.shape) <= place < 0 or node.shape[place] != 3:
            raise ValueError(
                f"cross() of arrays of shapes {nodes[0].shape} and {nodes[1].shape} along axis {axis}: both must have "
                f"three elements along it"
            )
    for node in nodes:
        check_numbers("cross", node.dtype)
    dtype = np.result_type(*(node.dtype for node in nodes))
    if dtype.kind == "b":
        raise TypeError("cross() takes numbers, and got booleans")
    shape = chunking.broadcast_shapes(*(node.shape for node in nodes))
    known = [(node.shape, node.chunks, node.dtype.itemsize) for node in nodes]
    limit = chunk_limit(spec)
    chunks = list(chunking.unify_chunks(shape, known, 3 * dtype.itemsize, limit=limit))
    chunks[place] = 3
    settled = tuple(chunks)
    aligned = tuple(build.aligned(node, shape, settled) for node in nodes)
    ndim = len(shape)
    node = Blocks(
        operation="cross",
        call=cross_product,
        keywords={"axis": place},
        inputs=aligned,
        axes=tuple(tuple(range(ndim - len(each.shape), ndim)) for each in aligned),
        shape=shape,
        chunks=settled,
        dtype=dtype,
        extra_bytes=2 * math.prod(settled) * dtype.itemsize,
    )
    return Array(node, spec)
