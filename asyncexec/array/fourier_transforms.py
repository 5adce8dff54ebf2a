"""Fourier transforms along one axis: the axis is made whole, others are divided so that blocks fit into memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.block_nodes import Blocks
from asyncexec.array.fft_kernels import FourierTransform
from asyncexec.array.integers import integer
from asyncexec.array.long_transforms import long_transform
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.errors import MemoryBudgetError
from asyncexec.plan.box import Shape
from asyncexec.plan.memory import format_bytes

_NORMS = ("backward", "ortho", "forward")

_COPIES = 6
"""The number of copies of a line, in complex numbers, that a task holds at most: as read, as made, and on the way."""


def transformed(name: str, x: Array, n: int | None, axis: int, norm: str) -> Array:
    """Return the transform of ``x`` that ``numpy.fft`` calls ``name``, along one axis.

    Parameters
    ----------
    name : str
    x : Array
    n : int or None
        The number of points, as in NumPy: of the result for ``irfft`` and ``hfft``, else of what is transformed.
    axis : int
    norm : str

    Raises
    ------
    ValueError
        If there are no points, or the norm is another.
    TypeError
        If the elements cannot be transformed.
    MemoryBudgetError
        If no line along the axis fits into memory.
    """
    place = build.normalized_axis(axis, x.ndim)
    if norm not in _NORMS:
        raise ValueError(f"{name}() has no norm={norm!r}: use {', '.join(map(repr, _NORMS))}")
    points, taken, made = _lengths(name, x.shape[place], n)
    dtype = _result_dtype(name, x.dtype)
    if x.shape[place] > taken:
        x = x[(*(slice(None) for _ in range(place)), slice(taken))]
    step = FourierTransform(name, points, place - x.ndim, norm)
    line = max(taken, made) * np.result_type(dtype, np.complex64).itemsize
    if _COPIES * line > x.spec.free_bytes and x.size:
        return _beyond_memory(step, x, line)
    limit = chunk_limit(x.own_spec)
    others = _other_chunks(x.node, place, line, limit, x.spec.free_bytes)
    node = build.with_chunks(x.node, (*others[:place], taken, *others[place:]))
    found = Blocks(
        operation=name,
        call=step,
        keywords={},
        inputs=(node,),
        axes=(tuple(None if a == place else a for a in range(x.ndim)),),
        shape=(*x.shape[:place], made, *x.shape[place + 1 :]),
        chunks=(*others[:place], made, *others[place:]),
        dtype=dtype,
        extra_bytes=_widened_bytes(dtype, math.prod(others) * made),
    )
    return Array(found, x.own_spec)


def _widened_bytes(dtype: np.dtype[Any], elements: int) -> int:
    """Return what NumPy holds besides, as it transforms numbers of single precision in double precision."""
    # What is transformed and what is made, both twice as wide, less the one temporary that is counted anyway.
    return 3 * elements * dtype.itemsize if dtype.name in ("float32", "complex64") else 0


def _lengths(name: str, length: int, n: int | None) -> tuple[int, int, int]:
    """Return the number of points, how many elements are taken, and how many are made."""
    halved = name in ("irfft", "hfft")
    if n is None:
        n = 2 * (length - 1) if halved else length
    points = integer(n, "n")
    if points < 1:
        raise ValueError(f"{name}() of {points} points: an axis of {length} elements, and n={n}")
    half = points // 2 + 1
    taken = min(length, half if halved else points)
    return points, taken, half if name in ("rfft", "ihfft") else points


def _result_dtype(name: str, dtype: np.dtype[Any]) -> np.dtype[Any]:
    try:
        made: np.ndarray[Any, Any] = getattr(np.fft, name)(np.zeros(2, dtype))
    except TypeError:
        raise TypeError(
            f"{name}() takes real numbers, and got {dtype}: use fft(), or take real() of them"
        ) from None
    found: np.dtype[Any] = made.dtype
    return found


def _other_chunks(node: Node, place: int, line: int, limit: int, free_bytes: int) -> Shape:
    """Return the chunk lengths of the other axes, for blocks of about the size of the array's own."""
    chunks = [c for axis, c in enumerate(node.chunks) if axis != place]
    block = math.prod(node.chunks) * node.dtype.itemsize
    most = max(min(max(limit, 2 * block), free_bytes // _COPIES), line)
    while math.prod(chunks) * line > most:
        axis = chunks.index(max(chunks))
        chunks[axis] = -(-chunks[axis] // 2)
    return tuple(chunks)


def _beyond_memory(step: FourierTransform, x: Array, line: int) -> Array:
    """Return the transform of lines of which none fits into memory, where there is an algorithm for it."""
    name, place = step.name, step.axis % x.ndim
    found = None
    if name in ("fft", "ifft", "rfft") and x.shape[place] == step.n:
        kind = "fft" if name == "rfft" else name
        found = long_transform(kind, x, place, step.norm, transformed)
    if found is None:
        needed = _COPIES * line + x.spec.reserved_bytes
        raise MemoryBudgetError(
            f"{name}() along axis {place} of an array of shape {x.shape} in chunks of {x.chunks} takes whole lines of "
            f"{format_bytes(line)}, for {_COPIES} of which a task has to have room: allow at least "
            f"{format_bytes(needed)} (allowed_mem). Longer lines are transformed by fft(), ifft() and rfft() in their "
            f"own length, where that is a product of two numbers of about the same size"
        )
    half = (*(slice(None) for _ in range(place)), slice(step.n // 2 + 1))
    return found[half] if name == "rfft" else found
