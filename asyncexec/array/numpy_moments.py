"""NumPy's means, variances and covariances of lazy arrays, with its arguments ``dtype``, ``where`` and ``ddof``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from asyncexec.array.namespace import namespace
from asyncexec.array.numpy_arguments import BoundArguments
from asyncexec.array.operators import Operators

_GIVEN = getattr(np, "_NoValue", None)
"""What NumPy passes for an argument that is left out."""


def _mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = _GIVEN,
    *,
    where: Any = _GIVEN,
) -> Any:
    array = _elements("mean", a, dtype, out)
    kept = keepdims is not _GIVEN and bool(keepdims)
    if where is _GIVEN or where is True:
        found = namespace().mean(array, axis=axis, keepdims=kept)
    else:
        found = _mean_where(array, _taken(array, where), axis, keepdims=kept)
    return found if dtype is None else found.astype(dtype)


def _deviation(name: str) -> Callable[..., Any]:
    def deviation(  # noqa: PLR0917 - NumPy's
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        ddof: Any = 0,
        keepdims: Any = _GIVEN,
        *,
        where: Any = _GIVEN,
        mean: Any = _GIVEN,
        correction: Any = _GIVEN,
    ) -> Any:
        if mean is not _GIVEN:
            raise TypeError(
                f"numpy.{name}(mean=...) is not known for lazy arrays: leave it out, the mean is computed on the way"
            )
        _check_fractions(f"numpy.{name}", dtype)
        array = _elements(name, a, dtype, out)
        kept = keepdims is not _GIVEN and bool(keepdims)
        free = ddof if correction is _GIVEN else correction
        if where is _GIVEN or where is True:
            function = getattr(namespace(), name)
            found = function(array, axis=axis, correction=free, keepdims=kept)
        else:
            found = _variance_where(array, _taken(array, where), axis, free, keepdims=kept)
            found = namespace().sqrt(found) if name == "std" else found
        return found if dtype is None else found.astype(dtype)

    return deviation


def _check_fractions(called: str, dtype: Any) -> None:
    """Check that ``dtype`` has fractions, which deviations need.

    Raises
    ------
    TypeError
        If not.
    """
    if dtype is not None and np.dtype(dtype).kind not in "fc":
        raise TypeError(
            f"{called}(dtype={np.dtype(dtype)}) would cut off the fractions of the mean and of the deviations: give a "
            f"floating or complex type, and convert the result with .astype()"
        )


def _elements(name: str, a: Any, dtype: Any, out: Any) -> Any:
    """Return the array, whose elements become ``dtype`` before they are added."""
    if out is not None:
        raise TypeError(
            f"numpy.{name}(out=...) would change an array in place: write y = numpy.{name}(...)"
        )
    array: Any = a if isinstance(a, Operators) else namespace().asarray(a)
    return array if dtype is None else array.astype(dtype)


NAN_MOMENTS = frozenset({"nanmean", "nanstd", "nanvar"})
"""Functions whose argument ``dtype`` is the type of the elements before they are added, and of the result."""


def nan_moment(function: Callable[..., Any], bound: BoundArguments) -> Any:
    """Return one of :data:`NAN_MOMENTS`, with NumPy's arguments ``dtype`` and ``where``.

    Raises
    ------
    TypeError
        If elements may be NaN, and ``dtype`` has none.
    """
    (name,) = bound.needed
    array = bound.needed[name]
    named = dict(bound.named)
    dtype, where = named.pop("dtype", None), named.pop("where", None)
    if dtype is not None:
        wanted = np.dtype(dtype)
        if function.__name__ != "nanmean":
            _check_fractions(bound.called, wanted)
        if array.dtype.kind in "fc" and wanted.kind not in "fc":
            raise TypeError(
                f"{bound.called}(dtype={wanted}) of elements of type {array.dtype}: give a floating or complex type, "
                f"as NaN is none of {wanted}"
            )
        array = array.astype(wanted)
    if where is not None:
        taken = _taken(array, where)
        # What is left out is NaN, which integers have not.
        array = namespace().where(taken, array, np.nan)
    found = replace(bound, needed={name: array}, named=named).call(function)
    return found if dtype is None else found.astype(dtype)


def _taken(array: Any, where: Any) -> Any:
    """Return whether each element is taken, as an array of its shape."""
    given = where if isinstance(where, Operators) else namespace().asarray(where)
    return namespace().broadcast_to(given, array.shape)


def _mean_where(array: Any, taken: Any, axis: Any, *, keepdims: bool) -> Any:
    ns = namespace()
    result = ns.mean(array, axis=axis, keepdims=keepdims).dtype
    total = _total_where(array, taken, axis, result, keepdims=keepdims)
    return (total / ns.count_nonzero(taken, axis=axis, keepdims=keepdims)).astype(result)


def _total_where(array: Any, taken: Any, axis: Any, result: Any, *, keepdims: bool) -> Any:
    # In double precision, as means are computed here.
    wide = np.result_type(result, np.float64)
    ns = namespace()
    return ns.sum(ns.where(taken, array, 0), axis=axis, dtype=wide, keepdims=keepdims)


def _variance_where(array: Any, taken: Any, axis: Any, ddof: Any, *, keepdims: bool) -> Any:
    ns = namespace()
    result = ns.var(array, axis=axis, keepdims=keepdims).dtype
    apart = array - _mean_where(array, taken, axis, keepdims=True)
    squares = ns.real(apart * ns.conj(apart)) if apart.dtype.kind == "c" else apart * apart
    total = _total_where(squares, taken, axis, result, keepdims=keepdims)
    free = ns.count_nonzero(taken, axis=axis, keepdims=keepdims) - ddof
    return (total / ns.maximum(free, 0)).astype(result)


def _cov(  # noqa: PLR0917 - NumPy's
    m: Any,
    y: Any = None,
    rowvar: Any = True,  # noqa: FBT002 - as NumPy has it
    bias: Any = False,  # noqa: FBT002 - as NumPy has it
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    if fweights is not None or aweights is not None:
        raise TypeError(
            "numpy.cov(fweights=..., aweights=...) is not known for lazy arrays: leave weights out, or compute before"
        )
    options = {"rowvar": bool(rowvar), "bias": bool(bias), "ddof": ddof}
    return namespace().cov(m, y, **options, dtype=_of_pairs(dtype, m, y))


def _corrcoef(
    x: Any,
    y: Any = None,
    rowvar: Any = True,  # noqa: FBT002 - NumPy's
    *,
    dtype: Any = None,
) -> Any:
    return namespace().corrcoef(x, y, rowvar=bool(rowvar), dtype=_of_pairs(dtype, x, y))


def _of_pairs(dtype: Any, *arrays: Any) -> Any:
    """Return the type in which NumPy computes covariances: double precision at least."""
    given = [np.float64, *(a.dtype for a in arrays if a is not None)]
    return np.result_type(*given) if dtype is None else dtype


OF_MOMENTS: Mapping[str, Callable[..., Any]] = {
    "corrcoef": _corrcoef,
    "cov": _cov,
    "mean": _mean,
    "std": _deviation("std"),
    "var": _deviation("var"),
}
"""Functions that take arguments which the namespace's functions of their names lack."""
