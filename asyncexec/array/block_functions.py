"""Applying functions of one's own to whole chunks."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.dtypes import checked_dtype
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
    *arrays: Array,
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

    Parameters
    ----------
    function : callable
        ``function(*blocks, **keywords) -> block``, on NumPy arrays that must not be changed in place. One that has a
        parameter ``block_id`` gets the number of the result's chunk, a tuple. It may run more than once.
    *arrays : Array
        Broadcast against each other, chunk by chunk; what is chunked differently is rechunked.
    dtype : dtype, optional
        Of the result; found out by calling the function with arrays of one element if not given.
    chunks : tuple or mapping, optional
        The result's chunk lengths (a mapping names the axes that change), if the function changes the shape of blocks.
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
    nodes, spec = as_nodes(arrays, "map_blocks")
    if not nodes:
        raise OptionError("map_blocks takes at least one array; without any, use full() and such")
    shape = chunking.broadcast_shapes(*(node.shape for node in nodes))
    ndim = len(shape)
    dropped = build.normalized_axes(drop_axis, ndim)
    layout = _unified(nodes, shape, dropped, chunk_limit(spec))
    kept = [axis for axis in range(ndim) if axis not in dropped]
    count = 1 if isinstance(new_axis, int) else len(new_axis)
    added = build.normalized_axes(new_axis, len(kept) + count)
    outer = iter(kept)
    labels: list[Any] = [
        f"new{axis}" if axis in added else next(outer) for axis in range(len(kept) + count)
    ]
    operands = [
        (build.aligned(node, shape, layout), tuple(range(ndim - len(node.shape), ndim)))
        for node in nodes
    ]
    sizes = {axis: _Along(n, c) for axis, (n, c) in enumerate(zip(shape, layout, strict=True))} | {
        f"new{axis}": _Along(1, 1) for axis in added
    }
    settled = _settled([sizes[label] for label in labels], chunks)
    wants_block_id = _takes_block_id(function)
    call = _Call(function, keywords, wants_block_id)
    extra = parse_bytes(extra_memory, what="extra_memory")
    node = _blocks(
        "map_blocks", call, operands, labels, settled=settled, dtype=dtype, extra_bytes=extra
    )
    return Array(node, spec)


def blockwise(
    function: Callable[..., Any],
    out_ind: Labels,
    /,
    *args: Any,
    dtype: Any = None,
    new_axes: Mapping[Any, int] | None = None,
    adjust_chunks: Mapping[Any, int] | None = None,
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
    adjust_chunks : mapping of index to int, optional
        The result's chunk lengths along indices where the function changes them.
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
    nodes, spec = as_nodes([a for a, _ in arrays], "blockwise")
    sizes = _sizes(nodes, [labels for _, labels in arrays], align=align_arrays)
    new = {label: _Along(n, max(n, 1)) for label, n in (new_axes or {}).items()}
    for label in out_ind:
        if label not in sizes and label not in new:
            raise OptionError(
                f"index {label!r} of the result is of no array; say its length with new_axes="
            )
    labels = list(out_ind)
    adjust = {
        labels.index(label): n for label, n in (adjust_chunks or {}).items() if label in labels
    }
    settled = _settled([(sizes | new)[label] for label in labels], adjust)
    operands = [
        (
            build.with_chunks(
                node, tuple(_own(n, sizes[i]) for n, i in zip(node.shape, own, strict=True))
            ),
            own,
        )
        for node, (_, own) in zip(nodes, arrays, strict=True)
    ]
    constants = tuple((k, a) for k, (a, own) in enumerate(pairs) if own is None)
    call = _Call(function, keywords, _takes_block_id(function), constants)
    extra = parse_bytes(extra_memory, what="extra_memory")
    return Array(
        _blocks(
            "blockwise", call, operands, labels, settled=settled, dtype=dtype, extra_bytes=extra
        ),
        spec,
    )


@dataclass(frozen=True, slots=True)
class _Along:
    """Length and chunk length along one index."""

    length: int
    chunk: int


@dataclass(frozen=True, slots=True)
class _Call:
    """A user's function with its keywords, and constants at their places among the blocks."""

    function: Callable[..., Any]
    keywords: Mapping[str, Any]
    wants_block_id: bool
    constants: tuple[tuple[int, Any], ...] = ()

    def __call__(self, *blocks: Any, **more: Any) -> Any:
        arguments = list(blocks)
        for place, constant in self.constants:
            arguments.insert(place, constant)
        return self.function(*arguments, **more)


def _blocks(
    operation: str,
    call: _Call,
    operands: Sequence[tuple[Node, Sequence[Any]]],
    labels: Sequence[Any],
    *,
    settled: tuple[Shape, Shape],
    dtype: Any,
    extra_bytes: int,
) -> Node:
    shape, chunks = settled
    places = {label: axis for axis, label in enumerate(labels)}
    wanted = _probed(call, [node for node, _ in operands], len(labels)) if dtype is None else dtype
    function = call if call.constants else call.function
    name = getattr(call.function, "__name__", operation)
    return Blocks(
        operation=operation if name == "<lambda>" else f"{operation}({name})",
        call=function,
        keywords=dict(call.keywords),
        inputs=tuple(node for node, _ in operands),
        axes=tuple(tuple(places.get(label) for label in own) for _, own in operands),
        shape=shape,
        chunks=chunks,
        dtype=checked_dtype(wanted, what=f"the result of {name}"),
        wants_block_id=call.wants_block_id,
        extra_bytes=extra_bytes,
    )


def _unified(nodes: Sequence[Node], shape: Shape, dropped: Sequence[int], limit: int) -> Shape:
    """Return the chunks in which arrays are read together; dropped axes are read whole."""
    known = [(node.shape, node.chunks, node.dtype.itemsize) for node in nodes]
    unified = chunking.unify_chunks(shape, known, 1, limit=limit)
    return tuple(
        max(1, n) if a in dropped else c
        for a, (n, c) in enumerate(zip(shape, unified, strict=True))
    )


def _sizes(
    nodes: Sequence[Node], indices: Sequence[tuple[Any, ...]], *, align: bool
) -> dict[Any, _Along]:
    """Return length and chunks along each index: those of the largest array that has it."""
    found: dict[Any, _Along] = {}
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
                found[label] = _Along(n, c)
            elif n not in (1, known.length):
                raise OptionError(f"index {label!r} has the lengths {known.length} and {n}")
            elif not align and n != 1 and c != known.chunk:
                raise OptionError(
                    f"index {label!r} has chunks of {known.chunk} and {c}: rechunk, or leave align_arrays on"
                )
    return found


def _own(n: int, along: _Along) -> int:
    return along.chunk if n == along.length else max(n, 1)


def _settled(along: Sequence[_Along], chunks: Any) -> tuple[Shape, Shape]:
    """Return the result's shape and chunks; where ``chunks`` changes an axis, each block has that length."""
    lengths = [each.length for each in along]
    settled = [each.chunk for each in along]
    if chunks is None:
        return tuple(lengths), tuple(settled)
    if not isinstance(chunks, Mapping):
        given = tuple(chunks) if isinstance(chunks, Sequence) else (chunks,) * len(along)
        if len(given) != len(along):
            raise OptionError(
                f"chunks={chunks!r} has {len(given)} entries for a result of {len(along)} axes"
            )
        chunks = dict(enumerate(given))
    for axis, wanted in chunks.items():
        if not -len(along) <= axis < len(along):
            raise OptionError(
                f"chunks are given for axis {axis}, and the result has {len(along)} axes"
            )
        a = axis % len(along)
        length = _one_length(wanted, a)
        if length == along[a].chunk:
            continue
        blocks = -(-along[a].length // along[a].chunk)
        lengths[a], settled[a] = length * blocks, max(1, length)
    return tuple(lengths), tuple(settled)


def _one_length(wanted: Any, axis: int) -> int:
    lengths = set(wanted) if isinstance(wanted, Sequence) else {wanted}
    if len(lengths) != 1 or not all(isinstance(n, int | np.integer) and n >= 0 for n in lengths):
        raise OptionError(
            f"chunks {wanted!r} along axis {axis}: the result's blocks must all have one length; give that length"
        )
    return int(lengths.pop())


def _takes_block_id(function: Callable[..., Any]) -> bool:
    try:
        return "block_id" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def _probed(call: _Call, nodes: Sequence[Node], ndim: int) -> np.dtype[Any]:
    """Return the element type that the function makes of blocks of one element."""
    blocks = [np.ones((1,) * len(node.shape), node.dtype) for node in nodes]
    more = {"block_id": (0,) * ndim} if call.wants_block_id else {}
    try:
        with np.errstate(all="ignore"):
            return np.dtype(np.asarray(call(*blocks, **call.keywords, **more)).dtype)
    except Exception as error:
        name = getattr(call.function, "__name__", "the function")
        raise OptionError(
            f"{name} fails on blocks of one element ({type(error).__name__}: {error}), so that the element type of its "
            f"result is unknown; say it with dtype="
        ) from error
