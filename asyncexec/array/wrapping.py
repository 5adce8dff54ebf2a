"""Functions of arrays made from functions of nodes: operands are converted, specs agreed on, results wrapped."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.nodes import DType, Node
from asyncexec.array.operands import chunk_limit, common_spec, constant_or_node, own_source
from asyncexec.array.spec import Spec


def elementwise(
    operation: str,
    function: Callable[..., Any],
    *operands: Any,
    keywords: Mapping[str, Any] | None = None,
    dtype: DType | None = None,
) -> Array:
    """Return ``function`` of ``operands`` (arrays, NumPy arrays, scalars), element by element.

    Raises
    ------
    TypeError
        If no operand is an array, or the function does not take these types.
    ValueError
        If the shapes do not broadcast.
    """
    arrays = [o for o in operands if isinstance(o, Array)]
    if not arrays:
        raise TypeError(
            f"{operation}() takes arrays of asyncexec.array, and got {', '.join(type(o).__name__ for o in operands)}; "
            f"make one with asarray()"
        )
    spec = common_spec(a.own_spec for a in arrays)
    converted = [o.own_node if isinstance(o, Array) else constant_or_node(o) for o in operands]
    node = build.apply_elementwise(
        operation, function, converted, keywords=keywords, dtype=dtype, limit=chunk_limit(spec)
    )
    return Array(node, spec)


def as_array(x: Any, operation: str) -> Array:
    """Return ``x`` as an array.

    Raises
    ------
    TypeError
        If it is neither an array nor a NumPy array.
    """
    if isinstance(x, Array):
        return x
    if isinstance(x, np.ndarray):
        return Array(own_source(x))
    raise TypeError(
        f"{operation}() takes an array of asyncexec.array, and got {type(x).__name__}; make one with asarray()"
    )


def as_nodes(
    arrays: Sequence[Any], operation: str, *, own: bool = False
) -> tuple[list[Node], Spec | None]:
    """Return the nodes of several arrays, in their ``own`` chunks or regular ones, and the spec they share.

    Raises
    ------
    TypeError, OptionError
        If one is no array, or their specs differ.
    """
    found = [as_array(a, operation) for a in arrays]
    return [a.own_node if own else a.node for a in found], common_spec(a.own_spec for a in found)
