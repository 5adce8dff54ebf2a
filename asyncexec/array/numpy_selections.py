"""NumPy's functions that choose, split or order elements, in terms of those of the namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.namespace import namespace
from asyncexec.array.numpy_ufuncs import apply_to_elements
from asyncexec.array.operators import Operators


def _lazy(x: Any) -> Any:
    return x if isinstance(x, Operators) else namespace().asarray(x)


def _isin(
    element: Any,
    test_elements: Any,
    assume_unique: Any = None,  # noqa: ARG001 - it says how NumPy computes
    invert: Any = None,
    *,
    kind: Any = None,  # noqa: ARG001 - so does this
) -> Any:
    return namespace().isin(_lazy(element), _lazy(test_elements), invert=bool(invert))


def _select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError(
            f"numpy.select of {len(condlist)} conditions and {len(choicelist)} choices: give as many of both"
        )
    kinds = [x.dtype if hasattr(x, "dtype") else x for x in (*choicelist, default)]
    dtype = np.result_type(*kinds)
    found = _lazy(np.asarray(default, dtype) if not isinstance(default, Operators) else default)
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        found = namespace().where(
            _lazy(condition), _lazy(choice).astype(dtype), found.astype(dtype)
        )
    return found


def _unique(
    ar: Any,
    return_index: Any = None,
    return_inverse: Any = None,
    return_counts: Any = None,
    axis: int | None = None,
    *,
    equal_nan: Any = True,
    sorted: Any = True,  # noqa: ARG001 - they are in any case
) -> Any:
    if axis is not None and (ar.ndim != 1 or axis not in {0, -1}):
        raise TypeError(f"numpy.unique(axis={axis}) is not known for lazy arrays: compute before")
    return namespace().unique(
        _lazy(ar),
        return_index=bool(return_index),
        return_inverse=bool(return_inverse),
        return_counts=bool(return_counts),
        equal_nan=bool(equal_nan),
    )


def _ordered(method: str) -> Callable[..., Any]:
    def ordered(a: Any, kth: Any, axis: int | None = -1, **_: Any) -> Any:  # noqa: ARG001 - all are in their places
        array = a.ravel() if axis is None else a
        return getattr(namespace(), method)(array, axis=-1 if axis is None else axis)

    return ordered


def _sorted(name: str) -> Callable[..., Any]:
    def ordered(
        a: Any,
        axis: int | None = -1,
        kind: Any = None,  # noqa: ARG001 - it says how NumPy computes
        order: Any = None,
        *,
        stable: Any = None,  # noqa: ARG001 - it always is
    ) -> Any:
        if order is not None:
            raise TypeError(
                f"numpy.{name}(order=...) is not known for lazy arrays: sort by one field, as x[field]"
            )
        array = a.ravel() if axis is None else a
        return getattr(namespace(), name)(array, axis=-1 if axis is None else axis)

    return ordered


def _array_equiv(a1: Any, a2: Any) -> Any:
    try:
        return namespace().all(_lazy(a1) == _lazy(a2))
    except ValueError:
        return namespace().asarray(np.False_)


def _split_along(axis: int) -> Callable[..., Any]:
    def split(ary: Any, indices_or_sections: Any) -> Any:
        along = 0 if axis == 1 and ary.ndim == 1 else axis
        return np.split(ary, indices_or_sections, axis=along)

    return split


def _rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    place = axis % a.ndim
    target = start % a.ndim if start < 0 else start
    return namespace().moveaxis(a, place, target - 1 if place < target else target)


@dataclass(frozen=True, slots=True)
class PlacesAlong:
    """The function that returns, of numbers of elements of an array of ``shape``, their places along one axis."""

    shape: tuple[int, ...]
    axis: int
    order: Any

    def __call__(self, block: Any) -> Any:
        # An array without axes would come back as a number.
        found = np.unravel_index(np.atleast_1d(block), self.shape, self.order)[self.axis]
        return found.reshape(np.shape(block))


def _unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Any, ...]:
    lengths = tuple(int(n) for n in np.atleast_1d(shape))
    np.unravel_index(np.empty(0, _lazy(indices).dtype), lengths, order)  # type: ignore[call-overload]  # checks both
    return tuple(
        apply_to_elements("unravel_index", PlacesAlong(lengths, axis, order), [_lazy(indices)], {})
        for axis in range(len(lengths))
    )


OF_SELECTIONS: Mapping[str, Callable[..., Any]] = {
    "isin": _isin,
    "select": _select,
    "unique": _unique,
    "partition": _ordered("sort"),
    "unravel_index": _unravel_index,
    "argpartition": _ordered("argsort"),
    "sort": _sorted("sort"),
    "argsort": _sorted("argsort"),
    "array_equiv": _array_equiv,
    "hsplit": _split_along(1),
    "vsplit": _split_along(0),
    "dsplit": _split_along(2),
    "rollaxis": _rollaxis,
}
"""Functions that the namespace does not have by their names, or with other arguments."""
