"""NumPy's functions and ufuncs on arrays in xarray: called again on the arrays inside, which keep them lazy.

NumPy hands over what is called with such an array (its protocols NEP 13 and NEP 18). The few functions that xarray
calls, and arrays leave out, are in the table next door.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.array.chunks import is_regular
from asyncexec.integrations.xarray.group_stacks import grouped_stack
from asyncexec.integrations.xarray.numpy_equivalents import ALWAYS, EQUIVALENTS

type Wrap = Callable[[Array], Any]


def ufunc_inside(
    ufunc: np.ufunc, method: str, inputs: Sequence[Any], keywords: Mapping[str, Any], wrap: Wrap
) -> Any:
    """Return ``ufunc`` of the arrays in ``inputs``."""
    function = ufunc if method == "__call__" else getattr(ufunc, method)
    return wrapped(function(*map(unwrapped, inputs), **_inside(keywords)), wrap)


def function_inside(
    function: Callable[..., Any], args: Sequence[Any], keywords: Mapping[str, Any], wrap: Wrap
) -> Any:
    """Return ``function`` of the arrays in its arguments.

    Raises
    ------
    TypeError
        If it is not offered for lazy arrays: nothing is computed on the way.
    """
    name = function.__name__
    if name in ALWAYS:
        function = ALWAYS[name]
    elif name in EQUIVALENTS and not hasattr(xp, name):
        function = EQUIVALENTS[name]
    given = [unwrapped(each) for each in args]

    def wrap_regular(found: Array) -> Any:
        return wrap(as_stored(found, given))

    if name == "stack":
        together = grouped_stack(given[0], keywords.get("axis", 0))
        if together is not None:
            return wrap_regular(together)
    return wrapped(function(*given, **_inside(keywords)), wrap_regular)


def as_stored(found: Array, given: Sequence[Any]) -> Array:
    """Return ``found`` in regular chunks, unless the chunks of some array that was ``given`` differ in length.

    xarray writes no array whose chunks differ in length: an array has such chunks only if they were asked for.
    """
    if is_regular(found.own_node.chunks) or not all(map(_is_regular, given)):
        return found
    return Array(found.node, found.own_spec)


def _is_regular(given: Any) -> bool:
    if isinstance(given, list | tuple):
        return all(map(_is_regular, given))
    return not isinstance(given, Array) or is_regular(given.own_node.chunks)


def unwrapped(value: Any) -> Any:
    """Return the array inside ``value``, also in lists and tuples; others as they are."""
    found = getattr(value, "array", None)
    if isinstance(found, Array):
        return found
    if isinstance(value, list | tuple) and any(hasattr(v, "array") for v in value):
        return type(value)(map(unwrapped, value))
    return value


def wrapped(value: Any, wrap: Wrap) -> Any:
    """Return arrays, also in lists and tuples, as xarray has them."""
    if isinstance(value, Array):
        return wrap(value)
    if isinstance(value, list | tuple) and any(isinstance(v, Array) for v in value):
        return type(value)(wrapped(v, wrap) for v in value)
    return value


def _inside(keywords: Mapping[str, Any]) -> dict[str, Any]:
    return {name: unwrapped(value) for name, value in keywords.items()}
