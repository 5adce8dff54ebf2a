"""Reductions by a user's functions, on workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.nodes import DType
from asyncexec.array.reducers import Axes, MergedInPairs, Part
from asyncexec.plan.masked import unmasked


@dataclass(frozen=True, slots=True)
class GivenFunctions:
    """The three functions of a user."""

    chunk: Callable[..., Any]
    combine: Callable[..., Any]
    aggregate: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class GivenReducer(MergedInPairs):
    """A reduction by a user's functions; its last pass makes the result itself.

    Attributes
    ----------
    names : tuple or None
        Of the arrays of a partial result, where it is a dictionary; empty of one array, None of a tuple.
    partial_dtypes : tuple of dtype
        Element types of these arrays.
    itemsize : int
        Bytes of an element that is reduced.
    """

    functions: GivenFunctions
    names: tuple[str, ...] | None
    partial_dtypes: tuple[DType, ...]
    result_dtype: DType
    itemsize: int
    extra_bytes: int
    is_last: bool = False

    def start(self, block: Part, axes: Axes, origin: tuple[int, ...]) -> tuple[Part, ...]:
        found = self.functions.chunk(block, axis=axes, keepdims=True)
        if self.is_last:
            return (self._aggregated(found, axes, block.shape),)
        return self._parts(found, axes, block.shape)

    def merge(self, parts: Sequence[Part], axes: Axes, counts: Part) -> tuple[Part, ...]:
        shape = parts[0].shape
        given = _packed(parts, self.names)
        if self.is_last:
            return (self._aggregated(given, axes, shape),)
        return self._parts(self.functions.combine(given, axis=axes, keepdims=True), axes, shape)

    def finish(self, parts: Sequence[Part], count: int) -> Part:
        return parts[0]

    def working_bytes(self, elements: int) -> int:
        return elements * self.itemsize + self.extra_bytes

    def _aggregated(self, given: Any, axes: Axes, shape: tuple[int, ...]) -> Part:
        found = self.functions.aggregate(given, axis=axes, keepdims=True)
        return _checked(found, axes, shape, "aggregate").astype(self.result_dtype, copy=False)

    def _parts(self, found: Any, axes: Axes, shape: tuple[int, ...]) -> tuple[Part, ...]:
        arrays = unpacked(found, self.names)
        pairs = zip(arrays, self.partial_dtypes, strict=True)
        return tuple(
            _checked(part, axes, shape, "chunk or combine").astype(dtype, copy=False)
            for part, dtype in pairs
        )


def _packed(parts: Sequence[Part], names: tuple[str, ...] | None) -> Any:
    if names is None:
        return tuple(parts)
    return dict(zip(names, parts, strict=True)) if names else parts[0]


def unpacked(found: Any, names: tuple[str, ...] | None) -> Sequence[Any]:
    """Return the arrays of a partial result: those of a dictionary by ``names``; one alone where these are empty."""
    if names is None:
        return tuple(found)
    return [found[name] for name in names] if names else (found,)


def _checked(found: Any, axes: Axes, shape: tuple[int, ...], name: str) -> Part:
    """Return a function's result with length 1 along ``axes``, also where the function has dropped them."""
    part = np.asarray(unmasked(found, f"what {name} of a reduction returned"))
    wanted = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    dropped = tuple(n for axis, n in enumerate(shape) if axis not in axes)
    if part.shape not in (wanted, dropped):
        raise ValueError(
            f"{name} of a reduction returned the shape {part.shape} for a block of shape {shape}, and {wanted} was "
            f"expected: the reduced axes {axes} stay, with length 1"
        )
    return part.reshape(wanted)
