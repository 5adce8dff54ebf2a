"""Reductions of groups of elements that have the same label: means of months, of regions, of days of the year."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from asyncexec.array import build, creation
from asyncexec.array.array import Array
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.evaluation import evaluated
from asyncexec.array.grouped_functions import GroupedFunction, grouped_function
from asyncexec.array.grouped_kernels import (
    ElementNumbers,
    SettleGroups,
    StartGroups,
)
from asyncexec.array.grouped_nodes import (
    Labelled,
    all_merged,
    fewer_kept,
    partial_bytes,
    whole_groups,
)
from asyncexec.array.grouped_reducers import GroupedCount, GroupedReducer
from asyncexec.array.grouping_methods import by_known_labels
from asyncexec.array.label_codes import LabelCoder, coder_of, found_groups, smallest_codes
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit, common_spec, own_source
from asyncexec.array.spec import free_bytes_of
from asyncexec.array.wrapping import as_array
from asyncexec.errors import OptionError
from asyncexec.plan.given_numbers import as_whole_number

type Method = Literal["map-reduce", "blockwise", "cohorts"]

_METHODS = ("map-reduce", "blockwise", "cohorts")


def groupby_reduce(
    x: Array,
    labels: Any,
    /,
    *,
    func: str | GroupedReducer,
    axis: int | Sequence[int] | None = None,
    expected_groups: Any = None,
    method: Method | None = None,
    fill_value: Any = None,
    dtype: Any = None,
    correction: float = 0.0,
    q: float = 0.5,
    split_every: int | None = None,
) -> tuple[Array, NDArray[Any]]:
    """Return the reduction of each group of elements that have the same label, and the groups.

    The axes that labels are along go, and the groups become the last axis of the result. Without ``expected_groups``,
    labels that are an array of this package are computed now, as a whole: the shape of the result depends on them.

    >>> x = xp.asarray([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]], chunks=(1, 2))
    >>> means, groups = xp.groupby_reduce(x, np.array(["b", "a", "b", "a"]), func="mean")
    >>> groups
    array(['a', 'b'], dtype='<U1')
    >>> means.compute()
    array([[3., 2.],
           [7., 6.]])
    >>> counts, _ = xp.groupby_reduce(x, np.array([1, 1, 9, 3]), func="count", expected_groups=[1, 2, 3])
    >>> counts.compute()
    array([[2, 0, 1],
           [2, 0, 1]])

    Parameters
    ----------
    x : Array
    labels : Array, NumPy array or sequence
        Numbers, strings or times, of the lengths of ``x`` along ``axis``. Those that are NaN, NaT, or not among
        ``expected_groups`` belong to no group.
    func : str or GroupedReducer
        ``"sum"``, ``"prod"``, ``"mean"``, ``"var"``, ``"std"``, ``"min"``, ``"max"``, ``"first"``, ``"last"``,
        ``"argmin"``, ``"argmax"``, ``"median"`` or ``"quantile"``, each also with ``"nan"`` before it (NaN is left
        out); ``"count"`` (of what is not NaN), ``"any"``, ``"all"``. Positions are those among all labelled elements
        in C order. Or a reduction of one's own (see :class:`~asyncexec.array.grouped_reducers.GroupedReducer`).
    axis : int, sequence of int, optional
        The axes that labels are along, in their order; by default the last ones.
    expected_groups : sequence, optional
        The groups, in the order of the result; by default the distinct labels in ascending order.
    method : str, optional
        ``"map-reduce"``: each chunk is reduced to a partial result with all groups, and these are merged in a tree.
        ``"cohorts"``: partial results have the groups of their chunk alone, and groups that occur in the same chunks
        are merged together; it takes labels that are known, along axes of which one has several chunks.
        ``"blockwise"``: elements of a group are brought into one block first, as quantiles need it.
        By default the one by which the fewest bytes are read and written.
    fill_value : scalar, optional
        Of groups without elements: by default 0 for sums and counts, 1 for products, False for any, True for all, -1
        for positions, and NaN for all others, for which integers become float64 where there may be such groups.
    dtype : dtype, optional
        Of the result.
    correction : float
        What is subtracted from the number of elements in variances.
    q : float
        The quantile, from 0 to 1.
    split_every : int, optional
        How many partial results a task merges at most.

    Returns
    -------
    tuple of Array and NumPy array
        The result, with the groups along its last axis, and the groups.

    Raises
    ------
    ValueError
        If shapes do not fit, there is no such function, or a method cannot be.
    OptionError
        If ``method`` or ``split_every`` is none.

    References
    ----------
    The methods are those of flox (https://flox.readthedocs.io); the names of functions too.
    """
    array = as_array(x, "groupby_reduce")
    if method is not None and method not in _METHODS:
        raise OptionError(f"method={method!r} of groupby_reduce: use one of {', '.join(_METHODS)}")
    merged = as_whole_number(split_every)
    if split_every is not None and (merged is None or merged < 2):
        raise OptionError(f"split_every={split_every!r}: a task must merge at least 2")
    if not 0 <= q <= 1:
        raise ValueError(f"q={q!r} of a quantile: give a number from 0 to 1")
    wanted = None if dtype is None else checked_dtype(dtype, what="the result")
    function = _function(func, array, wanted, correction, q)
    given, axes = _fitting(labels, array, axis)
    spec = common_spec((array.own_spec, given.own_spec if isinstance(given, Array) else None))
    if isinstance(given, Array) and expected_groups is None:
        given = evaluated(given, "groupby_reduce")
    known = None if isinstance(given, Array) else given
    groups = found_groups(known) if known is not None and expected_groups is None else None
    groups = np.asarray(expected_groups) if groups is None else groups
    coder = coder_of(groups)
    kept = tuple(n for a, n in enumerate(array.shape) if a not in axes)
    name = func if isinstance(func, str) else "reduce"
    if not len(groups) or not array.size:
        fill, result = _fill(function, fill_value, wanted, absent=True)
        return creation.full((*kept, len(groups)), fill, dtype=result, spec=spec), groups
    limit, operation = chunk_limit(spec), f"groupby_{name}"
    if isinstance(given, Array):
        if method == "cohorts":
            raise ValueError(
                "method='cohorts' takes labels that are known: compute them before, or use another method"
            )
        whole = function.whole or method == "blockwise"
        found, members = _by_lazy_labels(
            _Lazy(operation, array.node, given.node, axes, coder),
            function,
            whole=whole,
            split_every=merged,
            limit=limit,
        )
        absent = True
    else:
        codes = smallest_codes(coder(given), len(groups))
        counts = np.bincount(codes[codes >= 0].astype(np.int64).ravel(), minlength=len(groups))
        absent = bool((counts == 0).any())
        found = by_known_labels(
            operation,
            array.node,
            codes,
            function,
            axes=axes,
            groups=len(groups),
            method=method,
            split_every=merged,
            limit=limit,
            free_bytes=free_bytes_of(spec),
        )
        members = own_source(counts, found.chunks[-1:])
    fill, result = _fill(function, fill_value, wanted, absent=absent)
    if not absent and not function.divides:
        return Array(build.cast(found, result), spec), groups
    settle = SettleGroups(function.divides, fill, result)
    settled = build.apply_elementwise(operation, settle, (found, members), dtype=result)
    return Array(settled, spec), groups


def _function(
    func: str | GroupedReducer, array: Array, dtype: Any, correction: float, q: float
) -> GroupedFunction:
    if isinstance(func, str):
        return grouped_function(func, array.dtype, dtype, correction=float(correction), q=float(q))
    if not hasattr(func, "result_dtype"):
        raise TypeError(f"func is a name, or a GroupedReducer, not {type(func).__name__}")
    result = func.result_dtype
    fill = np.nan if result.kind in "fc" else 0
    return GroupedFunction(func, dtype or result, fill)


def _fitting(
    labels: Any, array: Array, axis: int | Sequence[int] | None
) -> tuple[Array | NDArray[Any], tuple[int, ...]]:
    """Return the labels with their axes in the order of the array's, and these axes."""
    given = labels if isinstance(labels, Array) else np.asarray(labels)
    if axis is None:
        axes = tuple(range(array.ndim - given.ndim, array.ndim))
    else:
        axes = build.normalized_axes(axis, array.ndim)
    lengths = tuple(array.shape[a] for a in axes if a >= 0)
    if given.shape != lengths or not axes:
        raise ValueError(
            f"labels of shape {given.shape} do not fit an array of shape {array.shape} along axis {axis}: they "
            f"have the lengths of the axes that are reduced, {lengths}"
        )
    order = sorted(range(len(axes)), key=lambda k: axes[k])
    if isinstance(given, Array):
        return Array(build.permute(given.node, order), given.own_spec), tuple(sorted(axes))
    return np.transpose(given, order), tuple(sorted(axes))


@dataclass(frozen=True, slots=True)
class _Lazy:
    """An array and labels that tasks turn into codes."""

    operation: str
    node: Node
    labels: Node
    axes: tuple[int, ...]
    coder: LabelCoder

    def start(self, reducer: GroupedReducer, axes: tuple[int, ...]) -> StartGroups:
        """Return the function that reduces a block to all groups."""
        return StartGroups(reducer, axes, len(self.coder.ordered), coder=self.coder)


def _by_lazy_labels(
    lazy: _Lazy, function: GroupedFunction, *, whole: bool, split_every: int | None, limit: int
) -> tuple[Node, Node]:
    """Return the reduction by labels that are computed with it, and the number of elements of each group."""
    node, axes, operation = lazy.node, lazy.axes, lazy.operation
    groups = len(lazy.coder.ordered)
    if whole:
        lengths = tuple(n if a in axes else node.chunks[a] for a, n in enumerate(node.shape))
        node = build.with_chunks(node, lengths)
    each = 2 * groups * partial_bytes(function.reducer)
    each += math.prod(node.chunks[a] for a in axes) * node.dtype.itemsize
    labelled = _labelled(operation, fewer_kept(node, axes, each, limit), lazy.labels, axes)
    start = lazy.start(function.reducer, axes)
    if whole:
        found = whole_groups(labelled, replace(start, finishes=True))
    else:
        found = all_merged(labelled, start, split_every=split_every)
    own = tuple(range(len(axes)))
    alone = _labelled(operation, labelled.labels, labelled.labels, own)
    counting = lazy.start(GroupedCount(), own)
    members = all_merged(alone, counting, split_every=split_every)
    return found, members


def _labelled(operation: str, node: Node, labels: Node, axes: tuple[int, ...]) -> Labelled:
    chunks = tuple(node.chunks[a] for a in axes)
    numbers = build.creation(
        operation, ElementNumbers(labels.shape), labels.shape, chunks, np.dtype(np.int64)
    )
    return Labelled(
        operation=operation,
        node=node,
        labels=build.with_chunks(labels, chunks),
        numbers=numbers,
        axes=axes,
    )


def _fill(
    function: GroupedFunction, fill_value: Any, dtype: Any, *, absent: bool
) -> tuple[Any, np.dtype[Any]]:
    """Return the value of groups without elements, and the type of the result."""
    result = function.result
    if fill_value is not None and np.asarray(fill_value).dtype.kind not in "biufcmM":
        raise TypeError(f"fill_value is a number or a time, not {type(fill_value).__name__}")
    if fill_value is None:
        fill = function.fill
        nan = isinstance(fill, float) and math.isnan(fill)
        if nan and absent and dtype is None and result.kind not in "fc":
            return fill, np.dtype(np.float64)
        if nan and result.kind not in "fc":
            return 0, result
        return fill, result
    if absent and dtype is None:
        result = (
            np.result_type(result, np.min_scalar_type(fill_value))
            if _beyond(fill_value, result)
            else result
        )
    return fill_value, result


def _beyond(value: Any, dtype: np.dtype[Any]) -> bool:
    """Return True if ``value`` is no value of an integer or boolean type."""
    if dtype.kind in "fc":
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.asarray(value).astype(dtype) != value)
