"""NumPy's universal functions of arrays, which stay lazy: any that works element by element, and some of their methods.

A universal function of NumPy (or of ``scipy.special``) is called on the blocks as it is. Results of several arrays
(``numpy.modf``) are taken from one call each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.calls import STANDARD, raise_named
from asyncexec.array.dtypes import as_element, checked_dtype
from asyncexec.array.kernels import NthResult
from asyncexec.array.namespace import namespace
from asyncexec.array.numpy_matrices import matrix_vector, vector_matrix
from asyncexec.array.operands import SCALARS, chunk_limit, common_spec, constant_or_node
from asyncexec.array.operators import Operators

WHOLE = {"matvec": matrix_vector, "vecmat": vector_matrix}
"""Universal functions of whole axes, which the namespace does not have by their names."""

REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
    "fmax": "nanmax",
    "fmin": "nanmin",
}
COMBINED = {
    "sum": np.add,
    "prod": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "all": np.logical_and,
    "any": np.logical_or,
    "nanmax": np.fmax,
    "nanmin": np.fmin,
    "nansum": np.add,
    "nanprod": np.multiply,
}
"""The universal function that adds the value to begin with to a reduction."""
NEUTRAL = {"sum": 0, "prod": 1, "nansum": 0, "nanprod": 1}
"""What is put in the place of elements that are left out."""
ACCUMULATIONS = {"add": "cumsum", "multiply": "cumprod", "maximum": "cummax", "minimum": "cummin"}
_IGNORED = frozenset({"order", "subok"})
_OPERANDS = (Operators, *SCALARS, np.ndarray, list, tuple)


class UfuncMethod:
    """The method ``__array_ufunc__``, which NumPy takes from the class; of an instance it is None.

    Masked arrays ask the instance, whether they should leave an operator to it (None) or compute it: they are refused
    then, rather than computed with.
    """

    def __get__(self, instance: Any, owner: type) -> Callable[..., Any] | None:
        return _ufunc_of_class if instance is None else None


def _ufunc_of_class(_: Any, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
    try:
        return call_ufunc(ufunc, method, inputs, keywords)
    except STANDARD as error:
        function = ufunc if method == "__call__" else getattr(ufunc, method)
        raise_named(error, _called_as(ufunc, method), function, inputs, keywords)


def call_ufunc(
    ufunc: np.ufunc, method: str, inputs: Sequence[Any], keywords: Mapping[str, Any]
) -> Any:
    """Return what NumPy's ``ufunc`` makes of ``inputs``, of which one is an array at least.

    Returns
    -------
    Array, tuple of Array or NotImplemented
        NotImplemented where an input belongs to another library, which is asked then.

    Raises
    ------
    TypeError
        If it is to write to an array that exists (``out=``), or works on more than single elements.
    """
    called = _called_as(ufunc, method)
    if not all(isinstance(x, _OPERANDS) for x in inputs):
        return NotImplemented
    given = {k: v for k, v in keywords.items() if k not in _IGNORED and v is not None}
    if "out" in given:
        raise TypeError(
            f"{called}(out=...) would change an array in place: write y = {called}(...), and compute or store y"
        )
    if method == "__call__":
        return _called(ufunc, called, inputs, given)
    if method == "outer" and len(inputs) == 2:
        return _outer(ufunc, inputs, given)
    names = {"reduce": REDUCTIONS, "accumulate": ACCUMULATIONS}.get(method, {})
    function = getattr(namespace(), names.get(ufunc.__name__, ""), None)
    if function is None:
        raise TypeError(
            f"{called}() is not known for lazy arrays: use xp.reduction() or xp.map_blocks(), or compute before: "
            f"{called}(x.compute())"
        )
    axis = given.pop("axis", None) if "axis" in keywords else 0
    if method == "reduce":
        return numpy_reduction(function, called, inputs[0], axis, given)
    return function(_operand(inputs[0]), axis=axis, **given)


def _called_as(ufunc: np.ufunc, method: str) -> str:
    return f"numpy.{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")


def numpy_reduction(function: Any, called: str, x: Any, axis: Any, given: Mapping[str, Any]) -> Any:
    """Return the reduction of ``x`` by the namespace's ``function`` with NumPy's options ``where`` and ``initial``.

    Raises
    ------
    TypeError
        If the function has no value for what ``where`` leaves out.
    """
    options = dict(given)
    initial = options.pop("initial", None)
    chosen = options.pop("where", True)
    array = _operand(x)
    name = function.__name__
    if chosen is not True and name in ("all", "any"):
        # Truths first: not every type has a value that stands for one.
        ns, taken = namespace(), _operand(chosen)
        array = (
            ns.logical_and(taken, array)
            if name == "any"
            else ns.logical_or(ns.logical_not(taken), array)
        )
    elif chosen is not True:
        neutral = NEUTRAL.get(name, initial)
        if neutral is None:
            raise TypeError(
                f"{called}(where=...) needs initial=, the value of no elements; or write xp.where(mask, x, value)"
            )
        array = namespace().where(_operand(chosen), array, _as_element(neutral, array.dtype))
    if initial is not None and name not in NEUTRAL and not array.size:
        rest = namespace().any(array, axis=axis, **options)
        first = _as_element(initial, array.dtype)
        return namespace().full(rest.shape, first, dtype=array.dtype, spec=rest.own_spec)
    found = function(array, axis=axis, **options)
    if initial is None:
        return found
    return COMBINED[name](found, _as_element(initial, found.dtype))


def _as_element(value: Any, dtype: np.dtype[Any]) -> Any:
    """Return a value as NumPy's reductions take it: in the type of the elements, which must be able to hold it."""
    if isinstance(value, Operators) or dtype.kind in "mM" or np.ndim(value):
        return value
    return np.asarray(as_element(value, dtype, what="initial"), dtype)[()]


def apply_to_elements(
    name: str, function: Any, inputs: Sequence[Any], keywords: Mapping[str, Any]
) -> Any:
    """Return the array of ``function`` of the elements of ``inputs``, after broadcasting.

    Raises
    ------
    TypeError
        If the result would have elements of an unsupported type.
    """
    operands = [_operand(x) for x in inputs]
    arrays: list[Any] = [x for x in operands if isinstance(x, Operators)]
    spec = common_spec(a.own_spec for a in arrays)
    nodes = [x.own_node if isinstance(x, Operators) else constant_or_node(x) for x in operands]  # type: ignore[attr-defined]  # only arrays have these operators
    dtype = checked_dtype(
        build.result_dtype(function, nodes, keywords), what=f"the result of {name}()"
    )
    node = build.apply_elementwise(
        name, function, nodes, keywords=keywords, dtype=dtype, limit=chunk_limit(spec)
    )
    return type(arrays[0])(node, spec)


def _called(ufunc: np.ufunc, called: str, inputs: Sequence[Any], given: Mapping[str, Any]) -> Any:
    name = ufunc.__name__
    if ufunc.signature is not None:
        function = WHOLE.get(name) or getattr(namespace(), name, None)
        if function is None or given:
            raise TypeError(
                f"{called}() works on whole axes, and is not known so for lazy arrays: use xp.matmul(), "
                f"xp.apply_gufunc() or xp.map_blocks()"
            )
        return function(*map(_operand, inputs))
    if given.get("where", True) is not True:
        raise TypeError(
            f"{called}(where=...) leaves elements undefined: write xp.where(mask, {called}(x), y)"
        )
    keywords = {k: v for k, v in given.items() if k != "where"}
    if ufunc is np.divmod:
        parts = (np.floor_divide, np.remainder)
        return tuple(apply_to_elements(p.__name__, p, inputs, keywords) for p in parts)
    if ufunc.nout == 1:
        return apply_to_elements(name, ufunc, inputs, keywords)
    return tuple(_nth_result(ufunc, n, inputs, keywords) for n in range(ufunc.nout))


def _nth_result(
    ufunc: np.ufunc, number: int, inputs: Sequence[Any], keywords: Mapping[str, Any]
) -> Any:
    """Return one of several results; a task makes and drops the others, whose memory is counted."""
    function = NthResult(ufunc, number, dict(keywords))
    made = apply_to_elements(ufunc.__name__, function, inputs, {})
    block = math.prod(map(min, made.shape, made.node.chunks))
    return namespace().map_blocks(
        function,
        *map(_operand, inputs),
        dtype=made.dtype,
        extra_memory=(ufunc.nout - 1) * block * max(8, made.itemsize),
    )


def _outer(ufunc: np.ufunc, inputs: Sequence[Any], given: Mapping[str, Any]) -> Any:
    first, second = (_operand(x) for x in inputs)
    ndim = getattr(second, "ndim", 0)
    left = first[(..., *(None,) * ndim)] if ndim and hasattr(first, "ndim") else first
    return _called(ufunc, f"numpy.{ufunc.__name__}.outer", (left, second), given)


def _operand(value: Any) -> Any:
    """Return ``value``, of a sequence what NumPy makes of it."""
    return np.asarray(value) if isinstance(value, list | tuple) else value
