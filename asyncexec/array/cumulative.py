"""Cumulative functions: sums, products and extremes of the elements up to each, and scans by functions of one's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.dtypes import accumulator, checked_dtype, sum_dtype, warn_of_discarded
from asyncexec.array.generators import Full
from asyncexec.array.integers import integer
from asyncexec.array.nodes import DType
from asyncexec.array.operands import chunk_limit
from asyncexec.array.reshaping import raveled
from asyncexec.array.scan_kernels import GivenScan, KeptTotal, LastSlice, UfuncScan
from asyncexec.array.scans import ScanFunctions, scan_node
from asyncexec.array.wrapping import as_array
from asyncexec.errors import OptionError


def cumulative_sum(
    x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Return the sums of the elements up to each, along ``axis``.

    Chunks are added up first, then scanned each by itself, so that tasks hold one chunk. What is floating is added in
    double precision, and rounded once.

    >>> x = xp.asarray([1, 2, 3, 4], chunks=2)
    >>> xp.cumulative_sum(x).compute()
    array([ 1,  3,  6, 10])
    >>> xp.cumulative_sum(x, include_initial=True).compute()
    array([ 0,  1,  3,  6, 10])

    Parameters
    ----------
    x : Array
        With one axis or more.
    axis : int, optional
        May be left out where there is one axis.
    dtype : dtype, optional
        Of the result; by default floating types stay, and integers and booleans become 64 bits wide. Elements become
        this type first, and are added then.
    include_initial : bool
        Whether the result begins with 0, and is longer by one along ``axis``.

    Raises
    ------
    ValueError
        If there is no axis, or several and ``axis`` is not given.
    IndexError
        If ``axis`` is out of range.
    """
    return _standard("cumulative_sum", np.add, x, axis, dtype, include_initial=include_initial)


def cumulative_prod(
    x: Array, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False
) -> Array:
    """Return the products of the elements up to each, along ``axis``; see :func:`cumulative_sum`.

    With ``include_initial`` the result begins with 1.

    >>> xp.cumulative_prod(xp.asarray([1, 2, 3, 4], chunks=2)).compute()
    array([ 1,  2,  6, 24])

    Raises
    ------
    ValueError
        If there is no axis, or several and ``axis`` is not given.
    """
    return _standard(
        "cumulative_prod", np.multiply, x, axis, dtype, include_initial=include_initial
    )


def cumsum(x: Array, /, axis: int | None = None, dtype: Any = None) -> Array:
    """Return the sums of the elements up to each, as ``numpy.cumsum``; of all, in C order, without an axis.

    >>> xp.cumsum(xp.asarray([[1, 2], [3, 4]])).compute()
    array([ 1,  3,  6, 10])
    """
    return _by_ufunc("cumsum", np.add, x, axis, dtype)


def cumprod(x: Array, /, axis: int | None = None, dtype: Any = None) -> Array:
    """Return the products of the elements up to each, as ``numpy.cumprod``; of all, in C order, without an axis.

    >>> xp.cumprod(xp.asarray([[1, 2], [3, 4]]), axis=1).compute()
    array([[ 1,  2],
           [ 3, 12]])
    """
    return _by_ufunc("cumprod", np.multiply, x, axis, dtype)


def nancumsum(x: Array, /, axis: int | None = None, dtype: Any = None) -> Array:
    """Return the sums of the elements up to each, where NaN counts as 0; see :func:`cumsum`.

    >>> xp.nancumsum(xp.asarray([1.0, np.nan, 2.0])).compute()
    array([1., 1., 3.])
    """
    return _by_ufunc("nancumsum", np.add, x, axis, dtype, skips_nan=True)


def nancumprod(x: Array, /, axis: int | None = None, dtype: Any = None) -> Array:
    """Return the products of the elements up to each, where NaN counts as 1; see :func:`cumprod`.

    >>> xp.nancumprod(xp.asarray([2.0, np.nan, 3.0])).compute()
    array([2., 2., 6.])
    """
    return _by_ufunc("nancumprod", np.multiply, x, axis, dtype, skips_nan=True)


def cummax(x: Array, /, *, axis: int | None = None) -> Array:
    """Return the maximum of the elements up to each; NaN from the first NaN on.

    >>> xp.cummax(xp.asarray([1, 3, 2, 5], chunks=2)).compute()
    array([1, 3, 3, 5])
    """
    return _extreme_so_far("cummax", np.maximum, x, axis)


def cummin(x: Array, /, *, axis: int | None = None) -> Array:
    """Return the minimum of the elements up to each; NaN from the first NaN on.

    >>> xp.cummin(xp.asarray([4, 3, 5, 1], chunks=2)).compute()
    array([4, 3, 3, 1])
    """
    return _extreme_so_far("cummin", np.minimum, x, axis)


def cumreduction(  # noqa: PLR0917 - these parameters are those of Dask
    func: Callable[..., Any],
    binop: Callable[[Any, Any], Any],
    ident: Any,
    x: Array,
    axis: int | None = None,
    dtype: Any = None,
    *,
    method: Literal["sequential", "blelloch"] = "sequential",
    preop: Callable[..., Any] | None = None,
) -> Array:
    """Return a scan along ``axis`` by functions of one's own, with the parameters of Dask's ``cumreduction``.

    >>> x = xp.asarray([1.0, np.nan, np.nan, 4.0, np.nan], chunks=2)
    >>> def forward_filled(block, axis):
    ...     last = np.maximum.accumulate(np.where(np.isnan(block), 0, np.arange(len(block))))
    ...     return block[last]
    >>> def fill(before, block):
    ...     return np.where(np.isnan(block), before, block)
    >>> xp.cumreduction(forward_filled, fill, np.nan, x, axis=0).compute()
    array([1., 1., 1., 4., 4.])

    Parameters
    ----------
    func : callable
        ``func(block, axis=axis)`` returns the scan of one chunk, in its shape. It gets ``dtype=`` where it takes it.
    binop : callable
        ``binop(before, block)`` returns what the last slice before a chunk (of length 1 along the axis) makes of the
        scan of this chunk. It is associative; it is called with such slices as ``block``, too.
    ident : scalar
        The value of ``before`` where there is nothing before.
    x : Array
    axis : int, optional
        By default the elements are taken in C order.
    dtype : dtype, optional
        Of the result; by default that of ``func`` of an array without elements.
    method : str
        ``"sequential"`` or ``"blelloch"``. Both are computed alike, by a tree.
    preop : callable, optional
        ``preop(block, axis=axis, keepdims=True)`` returns the last slice of the scan of a chunk, where that is cheaper
        than the scan.

    Raises
    ------
    OptionError
        For another method.
    TypeError
        If ``dtype`` cannot be found out.
    """
    if method not in ("sequential", "blelloch"):
        raise OptionError(f"method={method!r} of a scan: use 'sequential' or 'blelloch'")
    array, place = _along(as_array(x, "cumreduction"), axis, "cumreduction")
    result = _scanned_dtype(func, array) if dtype is None else checked_dtype(dtype)
    with np.errstate(invalid="ignore"):
        # What is no value of the type is refused now, rather than by the first task.
        np.asarray(ident).astype(result)
    local = GivenScan(func, result, takes_dtype=_takes_dtype(func))
    total = LastSlice(local) if preop is None else KeptTotal(preop)
    functions = ScanFunctions(
        local=local, total=total, combine=binop, start=ident, axis=place, dtype=result
    )
    return _scanned("cumreduction", functions, array, result, each=2 * result.itemsize)


def _standard(
    operation: str,
    ufunc: np.ufunc,
    x: Array,
    axis: int | None,
    dtype: Any,
    *,
    include_initial: bool,
) -> Array:
    array = as_array(x, operation)
    if not array.ndim:
        raise ValueError(f"{operation} takes an array with at least one axis, and got shape ()")
    if axis is None and array.ndim > 1:
        raise ValueError(
            f"{operation} of an array with {array.ndim} axes, of shape {array.shape}: say axis="
        )
    place = 0 if axis is None else build.normalized_axis(axis, array.ndim)
    if include_initial:
        shape = (*array.shape[:place], 1, *array.shape[place + 1 :])
        initial = Full(array.dtype.type(ufunc.identity), array.dtype)
        chunks = (*array.node.chunks[:place], 1, *array.node.chunks[place + 1 :])
        before = build.creation(operation, initial, shape, chunks, array.dtype, aliases=True)
        joined = build.concatenate((before, array.node), place, array.dtype, operation)
        kept = build.with_chunks(joined, array.node.chunks) if array.size else joined
        array = Array(kept, array.own_spec)
    return _by_ufunc(operation, ufunc, array, place, dtype)


def _by_ufunc(
    operation: str,
    ufunc: np.ufunc,
    x: Array,
    axis: int | None,
    dtype: Any,
    *,
    skips_nan: bool = False,
) -> Array:
    array, place = _along(as_array(x, operation), axis, operation)
    _check_scannable(operation, ufunc, array.dtype)
    result = sum_dtype(array.dtype) if dtype is None else checked_dtype(dtype, what="the result")
    warn_of_discarded(array.dtype, result)
    through = accumulator(result)
    # Elements become the result's type first, also where that rounds them.
    direct = through == result or np.can_cast(array.dtype, result)
    first = None if direct else result
    local, total = (
        UfuncScan(ufunc, through, first=first, result=result, skips_nan=skips_nan, total=whole)
        for whole in (False, True)
    )
    functions = ScanFunctions(
        local=local,
        total=total,
        combine=ufunc,
        start=ufunc.identity,
        axis=place,
        dtype=through,
    )
    copied = array.itemsize if skips_nan and array.dtype.kind in "fc" else 0
    each = through.itemsize + copied + (0 if first is None else first.itemsize)
    return _scanned(operation, functions, array, result, each=each)


def _extreme_so_far(operation: str, ufunc: np.ufunc, x: Array, axis: int | None) -> Array:
    array, place = _along(as_array(x, operation), axis, operation)
    _check_scannable(operation, ufunc, array.dtype)
    dtype = array.dtype
    functions = ScanFunctions(
        local=UfuncScan(ufunc, dtype),
        total=UfuncScan(ufunc, dtype, total=True),
        combine=ufunc,
        start=0,
        axis=place,
        dtype=dtype,
    )
    return _scanned(operation, functions, array, dtype, each=dtype.itemsize)


def _check_scannable(operation: str, ufunc: np.ufunc, dtype: DType) -> None:
    """Check that there is a scan of elements that are no numbers, by trying it on one.

    Raises
    ------
    TypeError
        If there is none: times have no sum.
    """
    if dtype.kind in "biufc":
        return
    try:
        same = ufunc.accumulate(np.zeros(1, dtype)).dtype == dtype
    except TypeError:
        same = False
    if not same or dtype.kind not in "mM":
        raise TypeError(
            f"{operation}() does not take elements of type {dtype}: convert them before, such as by .astype('int64')"
        )


def _along(array: Array, axis: int | None, operation: str) -> tuple[Array, int]:
    """Return the array and the axis that is scanned; all elements in C order where none is given."""
    if axis is not None:
        return array, build.normalized_axis(integer(axis, "axis"), array.ndim)
    limit = chunk_limit(array.own_spec)
    flat = raveled(array.node, limit=limit, operation=operation)
    return Array(flat, array.own_spec), 0


def _scanned(
    operation: str, functions: ScanFunctions, array: Array, result: DType, *, each: int
) -> Array:
    if not array.size:
        empty = Full(0, result)
        node = build.creation(operation, empty, array.shape, array.chunks, result, aliases=True)
        return Array(node, array.own_spec)
    limit = chunk_limit(array.own_spec)
    node = scan_node(operation, functions, array.node, result, limit=limit, working_bytes_each=each)
    return Array(node, array.own_spec)


def _takes_dtype(func: Callable[..., Any]) -> bool:
    if isinstance(getattr(func, "__self__", None), np.ufunc):
        return getattr(func, "__name__", "") == "accumulate"
    try:
        return "dtype" in inspect.signature(func).parameters
    except (TypeError, ValueError):
        return False


def _scanned_dtype(func: Callable[..., Any], array: Array) -> DType:
    try:
        found = np.asarray(func(np.ones((0,) * max(array.ndim, 1), array.dtype), axis=0))
    except Exception as error:
        raise TypeError(
            f"the element type of {getattr(func, '__name__', func)!r} cannot be found out by calling it with an array "
            f"without elements ({error}): say dtype="
        ) from error
    return checked_dtype(found.dtype, what="the scan")
