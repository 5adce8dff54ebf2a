"""Searching functions of the array API standard."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.chunk_tables import array_or_scalar, common_itemsize, over_chunks
from asyncexec.array.dtypes import as_element
from asyncexec.array.evaluation import evaluated
from asyncexec.array.extreme_reducers import ArgExtreme
from asyncexec.array.operands import chunk_limit, common_spec
from asyncexec.array.search_kernels import BinNumbers, CountBelow
from asyncexec.array.statistical import reduced
from asyncexec.array.wrapping import as_array, elementwise


def where(condition: Array, x1: Array | Any, x2: Array | Any, /) -> Array:
    """Return ``x1`` where ``condition`` is true, else ``x2``.

    >>> xp.where(xp.asarray([True, False]), xp.asarray([1, 2]), 0).compute()
    array([1, 0])

    Raises
    ------
    OverflowError
        If a Python integer is out of the range of the result's type.
    """
    if isinstance(condition, str | bytes):
        raise TypeError(f"the condition is an array of booleans, not {type(condition).__name__}")
    operands = (x1, x2)
    if not all(_weak(x) or isinstance(getattr(x, "dtype", None), np.dtype) for x in operands):
        return elementwise("where", np.where, condition, x1, x2)
    # NumPy's own would wrap around a Python integer that is out of range.
    dtype = np.result_type(*(x if _weak(x) else x.dtype for x in operands))
    fitting = [as_element(x, dtype, what="an operand") if _weak(x) else x for x in operands]
    return elementwise("where", np.where, condition, *fitting, dtype=dtype)


def _weak(operand: Any) -> bool:
    """Return True for a Python number: it takes the type of the other operand."""
    return isinstance(operand, int | float | complex) and not isinstance(operand, np.generic)


def argmax(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return the number of the first maximum along ``axis``, or in the array read in C order.

    >>> xp.argmax(xp.asarray([[3, 9], [9, 5]])).compute()
    array(1)

    Raises
    ------
    ValueError
        If there are no elements to choose from.
    """
    return _found("argmax", x, axis, largest=True, keepdims=keepdims)


def argmin(x: Array, /, *, axis: int | None = None, keepdims: bool = False) -> Array:
    """Return the number of the first minimum along ``axis``, or in the array read in C order.

    >>> xp.argmin(xp.asarray([[3, 9], [1, 5]]), axis=0).compute()
    array([1, 1])

    Raises
    ------
    ValueError
        If there are no elements to choose from.
    """
    return _found("argmin", x, axis, largest=False, keepdims=keepdims)


def searchsorted(
    x1: Array,
    x2: Array | float,
    /,
    *,
    side: Literal["left", "right"] = "left",
    sorter: Array | np.ndarray[Any, Any] | None = None,
) -> Array:
    """Return the places in ``x1`` where the elements of ``x2`` would go in, so that it stays sorted; in int64.

    A place is the number of elements of ``x1`` that are less; each task counts those of one chunk, and others add.

    >>> x1 = xp.asarray([1, 3, 3, 5], chunks=2)
    >>> xp.searchsorted(x1, xp.asarray([3, 9])).compute()
    array([1, 4])
    >>> xp.searchsorted(x1, 3, side="right").compute()
    array(3)

    Parameters
    ----------
    x1 : Array
        Of one axis, in ascending order, NaN last.
    x2 : Array, int or float
        Of any shape, which is that of the result.
    side : "left" or "right"
        Whether places are before elements of ``x1`` that are equal, or behind them.
    sorter : Array, optional
        Numbers that sort ``x1``, as of :func:`argsort`; then ``x1`` need not be sorted. Its elements are not looked at:
        places do not depend on them, as tasks sort each chunk by itself.

    Raises
    ------
    ValueError
        If ``x1`` has not one axis, ``sorter`` not its shape, or for another side.
    TypeError
        If the elements of ``sorter`` are no integers.
    """
    line = array_or_scalar(x1, x2, "searchsorted")
    wanted = array_or_scalar(x2, line, "searchsorted")
    if line.ndim != 1:
        raise ValueError(
            f"searchsorted(x1, x2) takes an x1 of one axis, and got the shape {line.shape}: flatten and sort it before"
        )
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted(x1, x2, side={side!r}): use side='left' or side='right'")
    if sorter is not None:
        _check_sorter(as_array(sorter, "searchsorted"), line)
    spec = common_spec((line.own_spec, wanted.own_spec))
    itemsize = common_itemsize(line.node, wanted.node)
    node = over_chunks(
        "searchsorted",
        partial(CountBelow, side, sorter is None),
        line.node,
        wanted.node,
        ufunc=np.add,
        dtype=np.dtype(np.int64),
        limit=chunk_limit(spec),
        # NumPy searches in lines and for elements of one type, which are neighbours; the line may be sorted before.
        extra_of_line=itemsize * (1 + (sorter is not None and line.dtype != wanted.dtype)),
        extra_of_element=itemsize,
    )
    return Array(node, spec)


def _check_sorter(sorter: Array, line: Array) -> None:
    if sorter.shape != line.shape:
        raise ValueError(
            f"searchsorted(x1, x2, sorter=...): the sorter has the shape {sorter.shape}, and x1 {line.shape}; "
            f"they must be the same, as of argsort(x1)"
        )
    if sorter.dtype.kind not in "iu":
        raise TypeError(
            f"searchsorted(x1, x2, sorter=...) takes a sorter of integers, and got {sorter.dtype}"
        )


def digitize(x: Array, bins: Array | Any, /, *, right: bool = False) -> Array:
    """Return the numbers of the bins in which elements lie, in int64, as ``numpy.digitize``.

    >>> xp.digitize(xp.asarray([0.2, 6.4, 3.0]), [0.0, 1.0, 2.5, 4.0]).compute()
    array([1, 4, 3])

    Parameters
    ----------
    x : Array
        Of real numbers.
    bins : sequence of float, NumPy array or Array
        The edges, ascending or descending. A lazy array is computed now.
    right : bool
        Whether the right edge of a bin belongs to it, rather than the left.

    Raises
    ------
    ValueError
        If ``bins`` has not one axis, or goes up and down.
    TypeError
        If elements are no real numbers.
    """
    array = as_array(x, "digitize")
    edges = np.array(evaluated(bins, "digitize") if isinstance(bins, Array) else bins)
    if array.dtype.kind not in "biuf" or edges.dtype.kind not in "biuf":
        raise TypeError(
            f"digitize() takes real numbers, and got elements of {array.dtype} and bins of {edges.dtype}"
        )
    try:
        np.digitize(np.empty(0, array.dtype), edges, right=right)
    except ValueError as error:
        raise ValueError(f"digitize() with bins of shape {edges.shape}: {error}") from None
    edges.setflags(write=False)
    return elementwise("digitize", BinNumbers(edges, right), array, dtype=np.dtype(np.int64))


def _found(operation: str, x: Array, axis: int | None, *, largest: bool, keepdims: bool) -> Array:
    array = as_array(x, operation)
    if any(array.shape[a] == 0 for a in build.normalized_axes(axis, array.ndim)):
        raise ValueError(f"{operation} of no elements: shape {array.shape} along axis {axis}")
    reducer = ArgExtreme(array.dtype, array.shape, largest)
    return reduced(operation, reducer, array, axis, keepdims=keepdims)
