"""Functions of one's own along some axes, looped over all others: generalized universal functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array import build, chunks as chunking
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks, SeveralOfBlocks
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.from_memory import asarray
from asyncexec.array.generators import Full
from asyncexec.array.gufunc_calls import ChosenResults, GufuncCall, SingleResult
from asyncexec.array.gufunc_signatures import GufuncSignature, core_axes
from asyncexec.array.integers import integer
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.outputs import ArrayOutput, outputs_of
from asyncexec.array.wrapping import as_nodes
from asyncexec.errors import OptionError
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.box import Shape

_MOST_TRIED = 1_000_000
"""The number of elements, core dimensions at full length, with which a function is tried at most."""


def apply_gufunc(
    func: Callable[..., Any],
    signature: str,
    /,
    *args: Any,
    axes: Sequence[Any] | None = None,
    axis: int | None = None,
    keepdims: bool = False,
    output_dtypes: Any = None,
    output_sizes: Mapping[str, int] | None = None,
    vectorize: bool | None = None,
    allow_rechunk: bool = False,
    **kwargs: Any,
) -> Any:
    """Return what ``func`` makes of core dimensions, for all others chunk by chunk: as a generalized ufunc does.

    >>> x = xp.asarray([[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]], chunks=(1, 3))
    >>> def stats(block):
    ...     return block.mean(axis=-1), block.max(axis=-1)
    >>> mean, most = xp.apply_gufunc(stats, "(i)->(),()", x, output_dtypes=[float, float])
    >>> mean.compute(), most.compute()
    (array([2., 6.]), array([3., 9.]))
    >>> xp.apply_gufunc(np.outer, "(i),(j)->(i,j)", x, x, vectorize=True).shape
    (2, 3, 3)

    Parameters
    ----------
    func : callable
        ``func(*blocks, **kwargs)``, on NumPy arrays whose last axes are the core dimensions, and whose other axes
        broadcast. It returns a block, or a tuple of them where the signature has several results. It may run more than
        once, and must not change blocks in place.
    signature : str
        Names of the core dimensions of each argument and each result, as in ``numpy.vectorize``: ``"(i,j),(j)->(i)"``.
    *args : Array, NumPy array or scalar
        One for each argument of the signature.
    axes : list of tuples of int, optional
        The axes of the core dimensions of each argument and each result; by default the last. Results without core
        dimensions may be left out.
    axis : int, optional
        The one core dimension, in all arguments and results that have it.
    keepdims : bool
        Whether the core dimensions stay in the results, with length 1.
    output_dtypes : dtype or list of dtypes, optional
        Of each result; found out by calling the function with short arrays if not given.
    output_sizes : mapping of str to int, optional
        Lengths of core dimensions that only results have.
    vectorize : bool, optional
        Whether ``func`` takes the core dimensions alone, and is called for every element of the others.
    allow_rechunk : bool
        Whether core dimensions of several chunks are rechunked to one, and other axes, where that makes chunks beyond
        the size that "auto" aims at, to shorter ones; else they are an error.

    Raises
    ------
    OptionError
        If signature, arguments and options do not fit together, or element types cannot be found out.
    ValueError
        If a core dimension has several chunks, or different lengths, or the other axes do not broadcast.
    """
    parsed = GufuncSignature.parse(signature)
    if len(args) != len(parsed.inputs):
        raise OptionError(
            f"{signature!r} has {len(parsed.inputs)} arguments, and {len(args)} were given"
        )
    into, out_of = core_axes(parsed, axes, axis, keepdims=keepdims)
    arrays = [a if isinstance(a, Array) else asarray(a) for a in args]
    nodes, spec = as_nodes(arrays, "apply_gufunc", own=True)
    nodes = [_cores_last(n, a) for n, a in zip(nodes, into, strict=True)]
    sizes = _core_sizes(parsed, nodes, output_sizes or {})
    operands, loop = _aligned(parsed, nodes, limit=chunk_limit(spec), allow_rechunk=allow_rechunk)
    name = getattr(func, "__name__", "the function")
    dtypes = _dtypes(output_dtypes, parsed)
    if vectorize:
        types = [d.char for d in dtypes] if dtypes else None
        func = np.vectorize(
            func, signature=signature.replace("),->", ")->").rstrip(","), otypes=types
        )
    call = GufuncCall(func, kwargs, parsed.several, len(parsed.outputs), name)
    rests = [tuple(sizes[n] for n in core) for core in parsed.outputs]
    dtypes = dtypes or _tried(call, operands, parsed)
    made = _made(call, operands, loop, rests, dtypes)
    results = [
        Array(_cores_moved(node, len(rest), axes_, keepdims=keepdims), spec)
        for node, rest, axes_ in zip(made, rests, out_of, strict=True)
    ]
    return tuple(results) if parsed.several else results[0]


@dataclass(frozen=True, slots=True)
class _Loop:
    """The axes that are looped over: those of results that are no core dimensions."""

    shape: Shape
    chunks: Shape


def _cores_last(node: Node, axes: tuple[int, ...]) -> Node:
    if len(axes) > len(node.shape):
        raise ValueError(
            f"an array of shape {node.shape} has not the {len(axes)} core dimensions that the signature says"
        )
    core = build.normalized_axes(axes, len(node.shape))
    order = (*(a for a in range(len(node.shape)) if a not in core), *core)
    return node if order == tuple(range(len(order))) else build.permute(node, order)


def _cores_moved(node: Node, cores: int, axes: tuple[int, ...], *, keepdims: bool) -> Node:
    """Return ``node``, whose core dimensions are the last, with them at ``axes``."""
    for _ in range(len(axes) if keepdims else 0):
        node = build.insert_axis(node, len(node.shape))
    ndim = len(node.shape)
    count = len(axes) if keepdims else cores
    to = build.normalized_axes(axes[:count], ndim)
    order = list(range(ndim - count))
    for place, axis in sorted(zip(to, range(ndim - count, ndim), strict=True)):
        order.insert(place, axis)
    return node if order == list(range(ndim)) else build.permute(node, order)


def _core_sizes(
    signature: GufuncSignature, nodes: Sequence[Node], given: Mapping[str, int]
) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for core, node in zip(signature.inputs, nodes, strict=True):
        for name, n in zip(core, node.shape[len(node.shape) - len(core) :], strict=True):
            if sizes.setdefault(name, n) != n:
                raise ValueError(f"core dimension {name!r} has the lengths {sizes[name]} and {n}")
    for name in dict.fromkeys(name for core in signature.outputs for name in core):
        if name not in sizes and name not in given:
            raise OptionError(
                f"core dimension {name!r} is of no argument; say its length with output_sizes="
            )
        sizes.setdefault(name, integer(given.get(name, 0), "a length of output_sizes"))
    return sizes


def _aligned(
    signature: GufuncSignature, nodes: Sequence[Node], *, limit: int, allow_rechunk: bool
) -> tuple[list[tuple[Node, tuple[int | None, ...]]], _Loop]:
    """Return ``nodes`` in chunks that go together, each with the loop axis of each of its axes (None for core ones)."""
    counts = [len(core) for core in signature.inputs]
    outer = [node.shape[: len(node.shape) - k] for node, k in zip(nodes, counts, strict=True)]
    shape = chunking.broadcast_shapes(*outer)
    for core, node in zip(signature.inputs, nodes, strict=True):
        lead = len(node.shape) - len(core)
        for name, n, chunk in zip(core, node.shape[lead:], node.chunks[lead:], strict=True):
            if n > chunk and not allow_rechunk:
                raise ValueError(
                    f"core dimension {name!r} of an array of shape {node.shape} has chunks of {chunk} (chunks "
                    f"{node.chunks}): rechunk it to one, or pass allow_rechunk=True"
                )
    whole = [
        max(math.prod(node.shape[len(s) :]), 1) * node.dtype.itemsize
        for node, s in zip(nodes, outer, strict=True)
    ]
    known = [(s, n.chunks[: len(s)], w) for n, s, w in zip(nodes, outer, whole, strict=True)]
    largest = max(
        [limit, *(chunking.chunk_bytes(n.shape, n.chunks, n.dtype.itemsize) for n in nodes)]
    )
    chunks = chunking.unify_chunks(shape, known, 1, limit=limit)
    while any(_block(s, shape, chunks) * w > largest for s, w in zip(outer, whole, strict=True)):
        longest = chunks.index(max(chunks))
        if chunks[longest] == 1:
            break
        chunks = tuple(-(-c // 2) if a == longest else c for a, c in enumerate(chunks))
    operands: list[tuple[Node, tuple[int | None, ...]]] = []
    for node, own in zip(nodes, outer, strict=True):
        lead = len(shape) - len(own)
        wanted = [n if n != shape[lead + a] else chunks[lead + a] for a, n in enumerate(own)]
        rest = [max(n, 1) for n in node.shape[len(own) :]]
        axes = (*range(lead, len(shape)), *(None for _ in rest))
        operands.append((build.with_chunks(node, (*wanted, *rest)), axes))
    return operands, _Loop(shape, chunks)


def _block(own: Shape, shape: Shape, chunks: Shape) -> int:
    lead = len(shape) - len(own)
    return math.prod(1 if n == 1 else min(n, chunks[lead + a]) for a, n in enumerate(own))


def _dtypes(given: Any, signature: GufuncSignature) -> list[np.dtype[Any]]:
    if given is None:
        return []
    listed = list(given) if isinstance(given, list | tuple) else [given]
    if len(listed) == 1:
        listed *= len(signature.outputs)
    if len(listed) != len(signature.outputs):
        raise OptionError(
            f"output_dtypes={given!r} has {len(listed)} types for {len(signature.outputs)} results"
        )
    return [checked_dtype(d, what="a result of apply_gufunc") for d in listed]


def _tried(
    call: GufuncCall,
    operands: Sequence[tuple[Node, tuple[int | None, ...]]],
    signature: GufuncSignature,
) -> list[np.dtype[Any]]:
    """Return the types that the function makes of short blocks, core dimensions at full length where that is little."""
    blocks = []
    for (node, axes), core in zip(operands, signature.inputs, strict=True):
        lengths = node.shape[len(node.shape) - len(core) :]
        full = lengths if math.prod(lengths) <= _MOST_TRIED else (1,) * len(lengths)
        blocks.append(np.ones(((1,) * (len(axes) - len(core))) + full, node.dtype))
    try:
        with np.errstate(all="ignore"):
            found = call(*blocks)
    except Exception as error:
        raise OptionError(
            f"{call.name} fails on short blocks ({type(error).__name__}: {error}), so that the element types of its "
            f"results are unknown; say them with output_dtypes="
        ) from error
    return [
        checked_dtype(np.asarray(each).dtype, what=f"a result of {call.name}") for each in found
    ]


def _made(
    call: GufuncCall,
    operands: Sequence[tuple[Node, tuple[int | None, ...]]],
    loop: _Loop,
    rests: Sequence[Shape],
    dtypes: Sequence[np.dtype[Any]],
) -> list[Node]:
    name = f"apply_gufunc({call.name})" if call.name != "<lambda>" else "apply_gufunc"
    inputs = tuple(node for node, _ in operands)
    axes = tuple(axes for _, axes in operands)
    shapes = [(*loop.shape, *rest) for rest in rests]
    chunks = [(*loop.chunks, *(max(n, 1) for n in rest)) for rest in rests]
    filled = [k for k, shape in enumerate(shapes) if math.prod(shape)]
    # There are no elements, so that those of any array will do.
    made: list[Node] = [
        build.creation(name, Full(0, d), shape, -1, d, aliases=True)
        for shape, d in zip(shapes, dtypes, strict=True)
    ]
    if len(filled) == 1 == len(rests):
        (dtype,) = dtypes
        return [
            Blocks(
                operation=name,
                call=SingleResult(call, dtype),
                keywords={},
                inputs=inputs,
                axes=axes,
                shape=shapes[0],
                chunks=chunks[0],
                dtype=dtype,
            )
        ]
    if filled:
        maker = SeveralOfBlocks(
            operation=name,
            call=ChosenResults(call, tuple(filled)),
            inputs=inputs,
            axes=axes,
            outputs=tuple(
                ArrayOutput(
                    shape=shapes[k],
                    chunks=chunks[k],
                    dtype=dtypes[k],
                    access=_written(loop, rests[k]),
                )
                for k in filled
            ),
            shape=loop.shape,
            chunks=loop.chunks,
        )
        for k, node in zip(filled, outputs_of(maker), strict=True):
            made[k] = node
    return made


def _written(loop: _Loop, rest: Shape) -> AccessMap | None:
    if not rest:
        return None
    followed = enumerate(zip(loop.shape, loop.chunks, strict=True))
    axes = [AxisAccess(axis, c, 0, n) for axis, (n, c) in followed]
    return AccessMap((*axes, *(AxisAccess.constant(0, n) for n in rest)))
