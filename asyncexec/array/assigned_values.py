"""Values that are assigned to elements of an array: one constant, or a node; of the array's element type."""

from __future__ import annotations

from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.dtypes import as_element
from asyncexec.array.nodes import DType, Node
from asyncexec.array.operands import elements_of, own_source
from asyncexec.plan.box import Shape
from asyncexec.plan.masked import unmasked

_KINDS = {bool: "b", int: "i", float: "f", complex: "c"}
_ORDER = "biufc"


def as_assigned(value: Any, dtype: DType) -> Any:
    """Return ``value`` as one element of ``dtype``, or as a node.

    Python numbers, also in sequences, become what the array has, where they are of its kind; of others,
    NumPy's casting ``"same_kind"`` decides.

    Raises
    ------
    TypeError
        If it is of another kind, such as a fraction for integers.
    OverflowError
        If a Python integer is out of range.
    """
    node = getattr(value, "node", None)
    if node is not None:
        _check_kind(node.dtype, dtype)
        return build.cast(node, dtype)
    if type(value) in _KINDS:
        _check_weak(_KINDS[type(value)], value, dtype)
        return dtype.type(as_element(value, dtype, what="the value"))
    if isinstance(value, list | tuple):
        listed = np.asarray(unmasked(value, "the value"))
        if not listed.size:
            return own_source(np.empty(listed.shape, dtype))
        if listed.dtype.kind in _ORDER:
            _check_weak(listed.dtype.kind, value, dtype)
        else:
            _check_kind(listed.dtype, dtype)
        found = elements_of(value, dtype, copy=None)
    else:
        given = np.asarray(unmasked(value, "the value"))
        _check_kind(given.dtype, dtype)
        found = given.astype(dtype)
    return found[()] if found.ndim == 0 else own_source(found)


def is_constant(value: Any) -> bool:
    """Return True for one element, False for a node."""
    return isinstance(value, np.generic)


def fitted(value: Node, ndim: int, shape: Shape) -> Node:
    """Return ``value`` with ``ndim`` axes: new ones of length 1 come first, and such ones that are too many go.

    Raises
    ------
    ValueError
        If it does not broadcast to ``shape``.
    """
    found = value
    more = len(found.shape) - ndim
    if more > 0 and all(n == 1 for n in found.shape[:more]):
        found = build.drop_axes(found, range(more))
    for _ in range(-more):
        found = build.insert_axis(found, 0)
    pairs = zip(reversed(found.shape), reversed(shape), strict=False)
    if len(found.shape) > ndim or any(n not in (1, m) for n, m in pairs):
        raise ValueError(
            f"a value of shape {value.shape} cannot be assigned to elements of shape {shape}: it does not broadcast"
        )
    return found


def _check_kind(given: DType, dtype: DType) -> None:
    if not np.can_cast(given, dtype, "same_kind"):
        raise TypeError(
            f"values of {given} cannot be assigned to an array of {dtype}, which is another kind: convert them before, "
            f"by astype({dtype.name!r})"
        )


def _check_weak(kind: str, value: Any, dtype: DType) -> None:
    known = kind in _ORDER and dtype.kind in _ORDER
    if not known or _rank(kind) > _rank(dtype.kind):
        raise TypeError(
            f"the value {value!r} cannot be assigned to an array of {dtype}, which is another kind: convert it before"
        )


def _rank(kind: str) -> int:
    return _ORDER.index("i" if kind == "u" else kind)
