"""Fourier transforms of lines that do not fit into memory, by transforms of shorter ones.

A line of ``rows * columns`` points is a matrix: its columns are transformed, each element is multiplied by a root of
unity, rows are transformed, and the transpose is the result. That is the four-step algorithm (Bailey, "FFTs in external
or hierarchical memory", The Journal of Supercomputing 4, 1990, https://doi.org/10.1007/BF00162341).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from asyncexec.array import build
from asyncexec.array.arithmetic import multiply
from asyncexec.array.array import Array
from asyncexec.array.fft_kernels import Twiddles
from asyncexec.array.manipulation import moveaxis, permute_dims, reshape
from asyncexec.array.operands import chunk_limit

type Transform = Callable[[str, Array, int | None, int, str], Array]


def long_transform(name: str, x: Array, axis: int, norm: str, transform: Transform) -> Array | None:
    """Return ``fft`` or ``ifft`` (``name``) of ``x`` along ``axis``; None where its length has no two good factors.

    ``transform`` is what transforms the shorter lines.
    """
    moved = moveaxis(x, axis, 0)
    n, *rest = moved.shape
    dtype = np.result_type(x.dtype, np.complex64)
    most = chunk_limit(x.own_spec) // (math.prod(rest) * dtype.itemsize)
    rows = _larger_factor(n, most)
    if rows is None:
        return None
    columns = n // rows
    matrix = reshape(moved, (rows, columns, *rest))
    once = transform(name, matrix, None, 0, norm)
    ones = tuple(1 for _ in rest)
    roots = build.creation(
        "twiddles",
        Twiddles(n, 1 if name == "ifft" else -1, once.dtype),
        (rows, columns, *ones),
        (*once.chunks[:2], *ones),
        once.dtype,
    )
    twice = transform(name, multiply(once, Array(roots, x.own_spec)), None, 1, norm)
    turned = permute_dims(twice, (1, 0, *range(2, twice.ndim)))
    return moveaxis(reshape(turned, (n, *rest)), 0, axis)


def _larger_factor(n: int, most: int) -> int | None:
    """Return the larger of the two factors of ``n`` that are closest to each other, if it is at most ``most``."""
    smaller = math.isqrt(n)
    while n % smaller:
        smaller -= 1
    return n // smaller if n // smaller <= most else None
