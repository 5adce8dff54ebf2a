"""Arrays made by functions of one's own from the numbers of elements, or from the places of chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.integers import as_shape
from asyncexec.array.operands import chunk_limit
from asyncexec.array.place_kernels import AlongAxis, OfNumbers, OfRegion
from asyncexec.array.spec import Spec


def from_blocks(
    function: Callable[..., Any],
    shape: int | Sequence[int],
    /,
    *,
    dtype: Any,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
    **keywords: Any,
) -> Array:
    """Return an array whose chunks ``function`` makes, of their places alone: by reading files, or simulating.

    >>> def rows(region):
    ...     (along,) = region
    ...     return np.arange(along.start, along.stop) ** 2
    >>> xp.from_blocks(rows, 5, dtype=np.int64, chunks=2).compute()
    array([ 0,  1,  4,  9, 16])

    Parameters
    ----------
    function : callable
        ``function(region, **keywords) -> block``, where ``region`` is a tuple with the slice of elements along each
        axis. It may run more than once.
    shape : int or tuple of int
    dtype : dtype
    chunks : int, tuple, "auto" or size
        See :func:`rechunk`.
    spec : Spec, optional

    Notes
    -----
    A block of a shape or type other than promised fails the task, with an error that names the chunk.
    """
    lengths, wanted = as_shape(shape), checked_dtype(dtype)
    limit = chunk_limit(spec)
    settled = chunking.normalize_chunks(chunks, lengths, wanted.itemsize, limit=limit)
    node = Blocks(
        operation=f"from_blocks({getattr(function, '__name__', 'function')})",
        call=OfRegion(function, lengths, settled),
        keywords=keywords,
        inputs=(),
        axes=(),
        shape=lengths,
        chunks=settled,
        dtype=wanted,
        wants_block_id=True,
    )
    return Array(node, spec)


def fromfunction(
    function: Callable[..., Any],
    shape: int | Sequence[int],
    /,
    *,
    dtype: Any = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
    **keywords: Any,
) -> Array:
    """Return an array whose elements ``function`` computes from their numbers along each axis.

    >>> xp.fromfunction(lambda i, j: 10 * i + j, (2, 3), dtype=np.int64).compute()
    array([[ 0,  1,  2],
           [10, 11, 12]])

    Parameters
    ----------
    function : callable
        ``function(*numbers, **keywords)``, with an array of numbers for each axis, which have the chunk's shape.
    shape : int or tuple of int
    dtype : dtype, optional
        Of the numbers, and of the result; float64 by default.
    chunks, spec
        See :func:`rechunk`.

    Raises
    ------
    OptionError
        If the chunks do not fit the shape.
    """
    lengths, wanted = as_shape(shape), checked_dtype(dtype or np.float64)
    node = build.creation(
        "fromfunction",
        OfNumbers(function, keywords, wanted),
        lengths,
        chunks,
        wanted,
        limit=max(chunk_limit(spec) // max(len(lengths), 1), 1),
    )
    return Array(node, spec)


def indices(
    dimensions: Sequence[int],
    /,
    *,
    dtype: Any = None,
    sparse: bool = False,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Any:
    """Return the number of each element along each axis: one array, with the axes first; a tuple with ``sparse``.

    >>> xp.indices((2, 3)).compute()
    array([[[0, 0, 0],
            [1, 1, 1]],
    <BLANKLINE>
           [[0, 1, 2],
            [0, 1, 2]]])

    Parameters
    ----------
    dimensions : tuple of int
    dtype : dtype, optional
        int64 by default.
    sparse : bool
        Whether to return an array for each axis that has length 1 along all others.
    chunks, spec
        See :func:`rechunk`; of ``dimensions``.
    """
    lengths, wanted = as_shape(dimensions), checked_dtype(dtype or np.int64)
    limit = chunk_limit(spec)
    settled = chunking.normalize_chunks(chunks, lengths, wanted.itemsize, limit=limit)
    if sparse:
        return tuple(
            Array(
                build.creation(
                    "indices",
                    AlongAxis(axis, wanted),
                    tuple(n if a == axis else 1 for a, n in enumerate(lengths)),
                    tuple(c if a == axis else 1 for a, c in enumerate(settled)),
                    wanted,
                ),
                spec,
            )
            for axis in range(len(lengths))
        )
    shape = (len(lengths), *lengths)
    return Array(
        build.creation("indices", AlongAxis(None, wanted), shape, (1, *settled), wanted), spec
    )
