"""NumPy's functions of arrays, which stay lazy: each is the function of the namespace that has its name or its task.

The namespace is asked for a name when NumPy's function is called. Arguments go by NumPy's signature: those that are
needed in their order, others by their names, where the namespace's function has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.dtypes import checked_dtype
from asyncexec.array.namespace import namespace
from asyncexec.array.numpy_arguments import BoundArguments, bind
from asyncexec.array.numpy_compositions import COMPOSED, OWN
from asyncexec.array.numpy_matrices import FLOATING, OF_MATRICES, as_floating
from asyncexec.array.numpy_moments import NAN_MOMENTS, OF_MOMENTS, nan_moment
from asyncexec.array.numpy_selections import OF_SELECTIONS
from asyncexec.array.numpy_ufuncs import COMBINED, numpy_reduction
from asyncexec.array.operators import Operators
from asyncexec.plan.masked import refuse_masked

OTHER_NAMES = {
    "amax": "max",
    "amin": "min",
    "around": "round",
    "concatenate": "concat",
    "cumsum": "cumulative_sum",
    "cumprod": "cumulative_prod",
}
"""The namespace's names of functions that NumPy calls otherwise."""

ELEMENTWISE = {
    "angle": 1,
    "fix": 1,
    "i0": 9,
    "iscomplex": 1,
    "isneginf": 1,
    "isposinf": 1,
    "isreal": 1,
    "nan_to_num": 1,
    "sinc": 2,
}
"""Functions of single elements that are no universal functions, and how many arrays of a block's size, in double
precision at least, they hold on the way (measured)."""

OF_LISTS = frozenset({"array_equal", "intersect1d", "setdiff1d", "setxor1d", "union1d"})
"""Functions whose arguments may be numbers and lists in NumPy."""

IN_PLACE = frozenset({"copyto", "fill_diagonal", "place", "put", "put_along_axis", "putmask"})
_SUBMODULES = {"numpy.linalg": "linalg", "numpy.fft": "fft"}
_FIRST = {**OWN, **OF_MATRICES, **OF_MOMENTS, **OF_SELECTIONS}


def call_function(
    func: Callable[..., Any],
    types: Sequence[type],
    args: Sequence[Any],
    keywords: Mapping[str, Any],
) -> Any:
    """Return what NumPy's function ``func`` makes of arguments of which one is an array at least.

    Returns
    -------
    Any
        NotImplemented where an argument belongs to another library, which is asked then.

    Raises
    ------
    TypeError
        If the namespace has nothing that does it, lacks one of the arguments, or one has masked elements; the message
        has another way.
    """
    if not all(issubclass(t, Operators | np.ndarray) for t in types):
        return NotImplemented
    for value in (*args, *keywords.values()):
        refuse_masked(value, "an argument")
    name, module = func.__name__, func.__module__
    called = f"{module}.{name}"
    if name in IN_PLACE:
        raise TypeError(f"{called}() changes an array in place: write y = xp.where(mask, value, x)")
    plain = module not in _SUBMODULES
    key = name if plain else f"{_SUBMODULES[module]}.{name}"
    if key in _FIRST:
        return _FIRST[key](*args, **keywords)
    bound = _with_arrays(key, bind(func, called, args, keywords))
    function = _counterpart(name, module)
    if function is not None:
        return _by_counterpart(function, key, bound)
    if plain and name in COMPOSED:
        return COMPOSED[name](*args, **keywords)
    if plain and name in ELEMENTWISE:
        return _of_elements(name, func, bound)
    raise TypeError(
        f"{called}() is not known for lazy arrays: apply it chunk by chunk with xp.map_blocks(), or to computed "
        f"elements: {called}(x.compute())"
    )


def _with_arrays(key: str, bound: BoundArguments) -> BoundArguments:
    """Return the arguments with arrays where NumPy makes arrays of what it is given, and the namespace does not."""
    convert = as_floating if key in FLOATING else _lazy if key in OF_LISTS else None
    if convert is None:
        return bound
    return replace(bound, needed={k: convert(v) for k, v in bound.needed.items()})


def _by_counterpart(function: Callable[..., Any], key: str, bound: BoundArguments) -> Any:
    """Return what the namespace's ``function`` makes of these arguments, of which it may lack some."""
    if key in NAN_MOMENTS:
        return nan_moment(function, bound)
    if np.ndim(bound.needed.get("q", 0)) > 1:
        return _of_table(function, bound)
    if {"where", "initial"} & bound.named.keys() and function.__name__ in COMBINED:
        return _reduced(function, bound)
    return bound.call(function)


def _lazy(x: Any) -> Any:
    return x if isinstance(x, Operators) else namespace().asarray(x)


def _of_table(function: Callable[..., Any], bound: BoundArguments) -> Any:
    """Return quantiles of several ``q`` in a table of more than one axis."""
    q = np.asarray(bound.needed["q"])
    found = replace(bound, needed={**bound.needed, "q": q.ravel()}).call(function)
    return found.reshape((*q.shape, *found.shape[1:]))


def _of_elements(name: str, func: Callable[..., Any], bound: BoundArguments) -> Any:
    """Return a function of single elements that NumPy makes of several steps, each with a temporary array."""
    (x,) = bound.needed.values()
    options = {k: v for k, v in bound.named.items() if k != "copy"}
    dtype = checked_dtype(
        build.result_dtype(func, [x.node], options), what=f"the result of {name}()"
    )
    block = math.prod(map(min, x.shape, x.node.chunks))
    extra = ELEMENTWISE[name] * block * max(x.itemsize, dtype.itemsize, 8)
    return namespace().map_blocks(func, x, dtype=dtype, extra_memory=extra, **options)


def _counterpart(name: str, module: str) -> Callable[..., Any] | None:
    """Return the namespace's function for NumPy's function ``name`` of ``module``; None where there is none."""
    home: Any = namespace()
    if module in _SUBMODULES:
        home = getattr(home, _SUBMODULES[module], None)
    found: Callable[..., Any] | None = getattr(home, name, None)
    return found if found is not None else getattr(home, OTHER_NAMES.get(name, name), None)


def _reduced(function: Callable[..., Any], bound: BoundArguments) -> Any:
    """Return a reduction of some of the elements, or one with a value to begin with."""
    named = dict(bound.named)
    (x,) = bound.needed.values()
    return numpy_reduction(function, bound.called, x, named.pop("axis", None), named)
