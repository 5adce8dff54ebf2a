"""Applying functions of one's own to whole chunks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.block_building import BlockFunctionCall
from asyncexec.array.block_calls import UserCall
from asyncexec.array.block_lengths import Along, settled_lengths
from asyncexec.array.integers import integer, integers
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.wrapping import as_array, as_nodes
from asyncexec.errors import OptionError
from asyncexec.plan.box import Shape
from asyncexec.plan.memory import parse_bytes

type Labels = Sequence[Any]


def map_blocks(
    function: Callable[..., Any],
    /,
    *args: Any,
    dtype: Any = None,
    chunks: Any = None,
    drop_axis: int | Sequence[int] = (),
    new_axis: int | Sequence[int] = (),
    extra_memory: int | str = 0,
    **keywords: Any,
) -> Array:
    """Return what ``function`` makes of each chunk.

    >>> x = xp.arange(6.0, chunks=3)
    >>> xp.map_blocks(lambda block: block - block.mean(), x).compute()
    array([-1.,  0.,  1., -1.,  0.,  1.])
    >>> def first(block, block_id):
    ...     return block[:1] + 100 * block_id[0]
    >>> xp.map_blocks(first, x, chunks=(1,)).compute()
    array([  0., 103.])
    >>> def number(block, block_info):
    ...     return block + block_info[0]["array-location"][0][0]
    >>> xp.map_blocks(number, xp.zeros(4, chunks=2)).compute()
    array([0., 0., 2., 2.])
    >>> xp.map_blocks(lambda block: block[block > 1], xp.arange(4, chunks=2), chunks=((0, 2),)).compute()
    array([2, 3])
    >>> twice = xp.map_blocks(np.repeat, xp.arange(5, chunks=2), chunks=(4,), repeats=2)
    >>> twice.shape, twice.chunks
    ((10,), (4,))

    Parameters
    ----------
    function : callable
        ``function(*blocks, **keywords) -> block``, on NumPy arrays that must not be changed in place. One that has a
        parameter ``block_id`` gets the number of the result's chunk, a tuple. One that has a parameter ``block_info``
        gets a mapping of the place of each array among ``args``, and of None for the result, to a mapping with
        ``"shape"``, ``"num-chunks"``, ``"chunk-location"`` (the chunk's number), ``"array-location"`` (a pair of first
        and last, exclusive, element along each axis), ``"chunk-shape"`` and ``"dtype"``. It may run more than once.
    *args : Array or other
        Arrays are broadcast against each other, chunk by chunk; what is chunked differently is rechunked. What is
        no array is passed on as it is.
    dtype : dtype, optional
        Of the result; found out by calling the function with arrays of one element if not given.
    chunks : tuple or mapping, optional
        The result's chunk lengths, if the function changes the shape of blocks: one for each axis, or a mapping of the
        axes that change. An integer is the length of every block; where the last chunk that goes in is shorter, the
        function is tried on ones of that length to find out whether the last that comes out is. A tuple has the length
        of each block; where some have no elements, blocks are stored with padding, and read without. A function maps
        the length of blocks that go in to one of these.
    drop_axis : int or sequence of int
        Axes that the result lacks. The function gets them whole.
    new_axis : int or sequence of int
        Axes that the result has in addition: one chunk each, of length 1 unless ``chunks`` says otherwise.
    extra_memory : int or str
        What the function needs in addition to its blocks, its result and one temporary of the size of the result.

    Raises
    ------
    OptionError
        If ``dtype`` cannot be found out, or ``chunks`` do not fit.

    Notes
    -----
    A block of a shape or type other than promised fails the task, with an error that names the chunk.
    """
    arrays = [a for a in args if isinstance(a, Array | np.ndarray)]
    nodes, spec = as_nodes(arrays, "map_blocks", own=True)
    if not nodes:
        raise OptionError("map_blocks takes at least one array; without any, use full() and such")
    shape = chunking.broadcast_shapes(*(node.shape for node in nodes))
    ndim = len(shape)
    dropped = build.normalized_axes(drop_axis, ndim)
    layout = unified_chunks(nodes, shape, dropped, chunk_limit(spec))
    labels = result_labels(ndim, dropped, new_axis)
    sizes = {axis: Along(n, c) for axis, (n, c) in enumerate(zip(shape, layout, strict=True))}
    along = [sizes.get(label, Along(1, 1)) for label in labels]
    call = BlockFunctionCall(
        operation="map_blocks",
        call=user_call(
            function,
            keywords,
            tuple((k, a) for k, a in enumerate(args) if not isinstance(a, Array | np.ndarray)),
        ),
        operands=[
            (build.aligned(node, shape, layout), tuple(range(ndim - len(node.shape), ndim)))
            for node in nodes
        ],
        labels=labels,
        dtype=dtype,
        extra_bytes=parse_bytes(extra_memory, what="extra_memory"),
    )
    return Array(call.node(settled_lengths(along, chunks, call.probe(along))), spec)


def blockwise(
    function: Callable[..., Any],
    out_ind: Labels,
    /,
    *args: Any,
    dtype: Any = None,
    new_axes: Mapping[Any, int] | None = None,
    adjust_chunks: Mapping[Any, Any] | None = None,
    align_arrays: bool = True,
    extra_memory: int | str = 0,
    **keywords: Any,
) -> Array:
    """Return what ``function`` makes of the chunks that indices put together, as in ``numpy.einsum``.

    >>> x, y = xp.ones((4, 6), chunks=(2, 3)), xp.arange(6.0, chunks=3)
    >>> xp.blockwise(np.matmul, "i", x, "ij", y, "j", dtype=x.dtype).compute()
    array([15., 15., 15., 15.])
    >>> xp.blockwise(np.outer, "ij", y, "i", y, "j").shape
    (6, 6)

    Parameters
    ----------
    function : callable
        ``function(*blocks, **keywords) -> block``; see :func:`map_blocks`.
    out_ind : sequence
        An index for each axis of the result, such as ``"ij"``.
    *args : Array, indices, Array, indices, …
        Each array with an index for each of its axes. Axes with one index go together, chunk by chunk. An index that
        the result lacks is contracted: the function gets that axis whole. None instead of indices passes the argument
        on as it is.
    dtype : dtype, optional
        Of the result; found out by calling the function with arrays of one element if not given.
    new_axes : mapping of index to int, optional
        Lengths of indices that no array has; one chunk each.
    adjust_chunks : mapping of index to int, tuple or callable, optional
        The result's chunk lengths along indices where the function changes them, as ``chunks`` of :func:`map_blocks`.
    align_arrays : bool
        Whether to rechunk arrays that are chunked differently along one index; else that is an error.
    extra_memory : int or str
        See :func:`map_blocks`.

    Raises
    ------
    OptionError
        If indices, lengths or chunks do not fit together.
    """
    if len(args) % 2:
        raise OptionError(
            "blockwise takes arrays and indices in turn: function, 'ij', x, 'ij', y, 'j'"
        )
    pairs = list(zip(args[::2], args[1::2], strict=True))
    arrays = [
        (as_array(a, "blockwise"), tuple(labels)) for a, labels in pairs if labels is not None
    ]
    if not arrays:
        raise OptionError("blockwise takes at least one array with indices")
    nodes, spec = as_nodes([a for a, _ in arrays], "blockwise", own=True)
    sizes = _sizes(nodes, [labels for _, labels in arrays], align=align_arrays)
    lengths = {label: integer(n, "a length of new_axes") for label, n in (new_axes or {}).items()}
    new = {label: Along(n, max(n, 1)) for label, n in lengths.items()}
    for label in out_ind:
        if label not in sizes and label not in new:
            raise OptionError(
                f"index {label!r} of the result is of no array; say its length with new_axes="
            )
    labels = list(out_ind)
    adjust = {
        labels.index(label): n for label, n in (adjust_chunks or {}).items() if label in labels
    }
    operands = [
        (
            build.with_chunks(
                node, tuple(_own(n, sizes[i]) for n, i in zip(node.shape, own, strict=True))
            ),
            own,
        )
        for node, (_, own) in zip(nodes, arrays, strict=True)
    ]
    call = BlockFunctionCall(
        operation="blockwise",
        call=user_call(
            function,
            keywords,
            tuple((k, a) for k, (a, own) in enumerate(pairs) if own is None),
        ),
        operands=operands,
        labels=labels,
        dtype=dtype,
        extra_bytes=parse_bytes(extra_memory, what="extra_memory"),
    )
    along = [(sizes | new)[label] for label in labels]
    return Array(call.node(settled_lengths(along, adjust, call.probe(along))), spec)


def user_call(
    function: Callable[..., Any],
    keywords: Mapping[str, Any],
    constants: tuple[tuple[int, Any], ...],
) -> UserCall:
    """Return the call of a user's function, with what it asks for by the names of its parameters."""
    return UserCall(
        function,
        keywords,
        _has_parameter(function, "block_id"),
        constants,
        _has_parameter(function, "block_info"),
    )


def result_labels(ndim: int, dropped: Sequence[int], new_axis: int | Sequence[int]) -> list[Any]:
    """Return an index for each axis of a result: the number of the axis that it is of, or a name for a new one."""
    kept = [axis for axis in range(ndim) if axis not in dropped]
    count = len(integers(new_axis, "new_axis"))
    added = build.normalized_axes(new_axis, len(kept) + count)
    outer = iter(kept)
    return [f"new{axis}" if axis in added else next(outer) for axis in range(len(kept) + count)]


def unified_chunks(
    nodes: Sequence[Node], shape: Shape, dropped: Sequence[int], limit: int
) -> Shape:
    """Return the chunks in which arrays are read together; dropped axes are read whole."""
    known = [(node.shape, node.chunks, node.dtype.itemsize) for node in nodes]
    unified = chunking.unify_chunks(shape, known, 1, limit=limit)
    return tuple(
        max(1, n) if a in dropped else c
        for a, (n, c) in enumerate(zip(shape, unified, strict=True))
    )


def _sizes(
    nodes: Sequence[Node], indices: Sequence[tuple[Any, ...]], *, align: bool
) -> dict[Any, Along]:
    """Return length and chunks along each index: those of the largest array that has it."""
    found: dict[Any, Along] = {}
    ranked = sorted(
        zip(nodes, indices, strict=True),
        key=lambda pair: -int(np.prod(pair[0].shape, dtype=np.int64)),
    )
    for node, own in ranked:
        if len(own) != len(node.shape):
            raise OptionError(
                f"an array of {len(node.shape)} axes got the indices {own}: give one for each axis"
            )
        for label, n, c in zip(own, node.shape, node.chunks, strict=True):
            known = found.get(label)
            if known is None or known.length == 1 < n:
                found[label] = Along(n, c)
            elif n not in (1, known.length):
                raise OptionError(f"index {label!r} has the lengths {known.length} and {n}")
            elif not align and n != 1 and c != known.chunk:
                raise OptionError(
                    f"index {label!r} has chunks of {known.chunk} and {c}: rechunk, or leave align_arrays on"
                )
    return found


def _own(n: int, along: Along) -> int:
    return along.chunk if n == along.length else max(n, 1)


def _has_parameter(function: Callable[..., Any], name: str) -> bool:
    try:
        return name in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
