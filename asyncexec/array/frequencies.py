"""Sample frequencies, and their order, of the array API standard's extension ``fft``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.chunks import ChunksLike
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.fft_kernels import Frequencies
from asyncexec.array.integers import integer
from asyncexec.array.manipulation import roll
from asyncexec.array.operands import check_device, chunk_limit
from asyncexec.array.spec import Spec
from asyncexec.array.wrapping import as_array


def fftfreq(
    n: int,
    /,
    *,
    d: float = 1.0,
    dtype: Any = None,
    device: str | None = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return the sample frequencies of :func:`fft`, in its order: from 0 upwards, then the negative ones.

    >>> xp.fft.fftfreq(4, d=0.5).compute()
    array([ 0. ,  0.5, -1. , -0.5])

    Parameters
    ----------
    n : int
        The number of points.
    d : float
        The distance of two samples.
    dtype : dtype, optional
        A real floating type; float64 by default.
    device : str, optional
        ``"cpu"``.
    chunks, spec
        See :func:`asyncexec.array.zeros`.

    Raises
    ------
    ValueError
        If there are no points.
    TypeError
        If the type is not a real floating one.
    """
    points = _points("fftfreq", n)
    make = _frequencies(points, d, dtype, device, half=False)
    return _made("fftfreq", make, points, chunks, spec)


def rfftfreq(
    n: int,
    /,
    *,
    d: float = 1.0,
    dtype: Any = None,
    device: str | None = None,
    chunks: ChunksLike = "auto",
    spec: Spec | None = None,
) -> Array:
    """Return the sample frequencies of :func:`rfft`, from 0 to the highest; parameters are those of :func:`fftfreq`.

    >>> xp.fft.rfftfreq(4, d=0.5).compute()
    array([0. , 0.5, 1. ])
    """
    points = _points("rfftfreq", n)
    make = _frequencies(points, d, dtype, device, half=True)
    return _made("rfftfreq", make, points // 2 + 1, chunks, spec)


def fftshift(x: Array, /, *, axes: int | Sequence[int] | None = None) -> Array:
    """Return ``x`` with frequency 0 moved to the middle of ``axes`` (one, several, or all).

    >>> xp.fft.fftshift(xp.fft.fftfreq(5) * 5).compute()
    array([-2., -1.,  0.,  1.,  2.])

    Raises
    ------
    numpy.exceptions.AxisError
        If there is no such axis.
    """
    return _shifted("fftshift", x, axes, forward=True)


def ifftshift(x: Array, /, *, axes: int | Sequence[int] | None = None) -> Array:
    """Return ``x`` with the middle of ``axes`` moved to their beginning, which undoes :func:`fftshift`.

    >>> xp.fft.ifftshift(xp.asarray([-2, -1, 0, 1, 2])).compute()
    array([ 0,  1,  2, -2, -1])
    """
    return _shifted("ifftshift", x, axes, forward=False)


def _shifted(operation: str, x: Array, axes: int | Sequence[int] | None, *, forward: bool) -> Array:
    array = as_array(x, operation)
    places = build.normalized_axes(axes, array.ndim)
    if not places:
        return array
    halves = [array.shape[axis] // 2 for axis in places]
    shifts = tuple(half if forward else -half for half in halves)
    return roll(array, shifts, axis=places)


def _points(operation: str, n: int) -> int:
    points = integer(n, "n")
    if points < 1:
        raise ValueError(f"{operation}() of n={points} points: there must be one at least")
    return points


def _frequencies(
    points: int, d: float, dtype: Any, device: str | None, *, half: bool
) -> Frequencies:
    check_device(device)
    wanted = checked_dtype(np.float64 if dtype is None else dtype, what="the result")
    if wanted.kind != "f":
        raise TypeError(f"frequencies are real floating numbers, and dtype={wanted} is not")
    return Frequencies(points, float(d), half, wanted)


def _made(
    operation: str, make: Frequencies, length: int, chunks: ChunksLike, spec: Spec | None
) -> Array:
    limit = chunk_limit(spec)
    return Array(build.creation(operation, make, (length,), chunks, make.dtype, limit=limit), spec)
