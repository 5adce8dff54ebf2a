"""The grouped reductions that have names, and what becomes of groups without elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.dtypes import accumulator, floating, real_dtype, sum_dtype
from asyncexec.array.grouped_reducers import (
    GroupedAccumulate,
    GroupedCount,
    GroupedNanMean,
    GroupedReducer,
    GroupedVariance,
)
from asyncexec.array.grouped_selections import (
    GroupedEnd,
    GroupedPosition,
    GroupedQuantile,
    extreme_ufunc,
)
from asyncexec.array.nodes import DType

_EITHER = (
    *("sum", "prod", "mean", "var", "std", "median", "quantile"),
    *("min", "max", "first", "last", "argmin", "argmax"),
)
GROUPED_FUNCTIONS = ("count", "any", "all", *_EITHER, *(f"nan{name}" for name in _EITHER))


@dataclass(frozen=True, slots=True)
class GroupedFunction:
    """A grouped reduction with what its result needs.

    Attributes
    ----------
    reducer : GroupedReducer
    result : dtype
        Of the result.
    fill : scalar
        The value of a group without elements.
    divides : bool
        Whether what is reduced is divided by the number of elements.
    whole : bool
        Whether all elements of a group must be in one block.
    """

    reducer: GroupedReducer
    result: DType
    fill: Any
    divides: bool = False
    whole: bool = False


def grouped_function(
    func: str, given: DType, dtype: DType | None, *, correction: float, q: float
) -> GroupedFunction:
    """Return the reduction called ``func`` of elements of type ``given``; ``dtype`` is that of the result, if said.

    Raises
    ------
    ValueError
        If there is none of that name.
    TypeError
        If it does not take these elements.
    """
    skips = func.startswith("nan")
    name = func.removeprefix("nan")
    if func in GROUPED_FUNCTIONS and given.kind not in "biufc":
        _check_times(func, name, given)
    if func not in GROUPED_FUNCTIONS:
        raise ValueError(
            f"func={func!r} is no grouped reduction: use one of {', '.join(GROUPED_FUNCTIONS)}, or a GroupedReducer"
        )
    if name in ("sum", "prod"):
        return _total(name, given, dtype or sum_dtype(given), skips=skips)
    if name in ("mean", "var", "std", "median", "quantile"):
        return _of_floats(name, given, dtype, skips=skips, correction=correction, q=q)
    if name in ("min", "max"):
        return _extreme(name, given, dtype, skips=skips)
    reducer, fill = _counted_or_chosen(name, given, dtype, skips=skips)
    return GroupedFunction(reducer, dtype or reducer.result_dtype, fill)


def _check_times(func: str, name: str, given: DType) -> None:
    """Check that a reduction takes elements that are no numbers: of times, ends and extremes are taken."""
    if given.kind not in "mM" or name not in ("min", "max", "first", "last"):
        raise TypeError(
            f"func={func!r} of groups does not take elements of type {given}: convert them before, such as by "
            f".astype('int64')"
        )


def _missing(given: DType) -> Any:
    """Return the value that stands for no element."""
    return np.array("NaT", given)[()] if given.kind in "mM" else np.nan


def _counted_or_chosen(
    name: str, given: DType, dtype: DType | None, *, skips: bool
) -> tuple[GroupedReducer, Any]:
    """Return the reducer of a count, a truth, a position or an end, and the value of a group without elements."""
    if name == "count":
        return GroupedCount(dtype or np.dtype(np.int64)), 0
    if name in ("any", "all"):
        truth = np.dtype(np.bool_)
        ufunc, identity = (np.logical_or, False) if name == "any" else (np.logical_and, True)
        return GroupedAccumulate(ufunc, truth, dtype or truth, identity, first=truth), identity
    if name in ("argmin", "argmax"):
        largest = name == "argmax"
        identity = _extreme_identity(given, largest=largest, skips=skips)
        return GroupedPosition(given, identity, largest, skips), -1
    return GroupedEnd(given, last=name == "last", skips_nan=skips), _missing(given)


def _total(name: str, given: DType, result: DType, *, skips: bool) -> GroupedFunction:
    through = accumulator(result)
    ufunc, identity = (np.add, 0) if name == "sum" else (np.multiply, 1)
    direct = through == result or np.can_cast(given, result)
    reducer = GroupedAccumulate(
        ufunc, through, result, identity, skips_nan=skips, first=None if direct else result
    )
    return GroupedFunction(reducer, result, identity)


def _of_floats(
    name: str, given: DType, dtype: DType | None, *, skips: bool, correction: float, q: float
) -> GroupedFunction:
    own = floating(given)
    result = dtype or (real_dtype(own) if name in ("var", "std") else own)
    if name == "mean" and not skips:
        through = accumulator(own)
        reducer: GroupedReducer = GroupedAccumulate(np.add, through, through, 0)
        return GroupedFunction(reducer, result, np.nan, divides=True)
    if name == "mean":
        reducer = GroupedNanMean(accumulator(own), result)
    elif name in ("var", "std"):
        reducer = GroupedVariance(accumulator(own), result, correction, name == "std", skips)
    else:
        reducer = GroupedQuantile(0.5 if name == "median" else q, result, skips)
        return GroupedFunction(reducer, result, np.nan, whole=True)
    return GroupedFunction(reducer, result, np.nan)


def _extreme(name: str, given: DType, dtype: DType | None, *, skips: bool) -> GroupedFunction:
    largest = name == "max"
    floats = given.kind in "fcmM"
    ufunc = extreme_ufunc(largest=largest, skips_nan=skips and floats)
    identity = _extreme_identity(given, largest=largest, skips=skips)
    reducer = GroupedAccumulate(ufunc, given, given, identity)
    return GroupedFunction(reducer, dtype or given, _missing(given))


def _extreme_identity(given: DType, *, largest: bool, skips: bool) -> Any:
    """Return the value that no other value is less extreme than."""
    if given.kind in "fc":
        if skips:
            return np.nan
        infinite = -np.inf if largest else np.inf
        return complex(infinite, infinite) if given.kind == "c" else infinite
    if given.kind in "mM":
        # The least number stands for NaT.
        farthest = np.iinfo(np.int64).min + 1 if largest else np.iinfo(np.int64).max
        return _missing(given) if skips else np.int64(farthest).view(given)
    if given.kind == "b":
        return not largest
    limits = np.iinfo(given)
    return limits.min if largest else limits.max
