"""Chunks made of their places, on workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.plan.box import Index, Shape
from asyncexec.plan.lengths import block_start
from asyncexec.plan.masked import unmasked


@dataclass(frozen=True, slots=True)
class OfRegion:
    """The call of a function with the region of a chunk."""

    function: Callable[..., Any]
    shape: Shape
    chunks: Shape

    def __call__(self, *, block_id: Index, **keywords: Any) -> Any:
        along = zip(block_id, self.chunks, self.shape, strict=True)
        region = tuple(
            [slice(block_start(c, k), min(block_start(c, k + 1), n)) for k, c, n in along]
        )
        return self.function(region, **keywords)


@dataclass(frozen=True, slots=True)
class OfNumbers:
    """The elements that a function makes of their numbers."""

    function: Callable[..., Any]
    keywords: Mapping[str, Any]
    dtype: np.dtype[Any]

    def __call__(self, positions: tuple[Any, ...]) -> Any:
        numbers = np.meshgrid(*positions, indexing="ij", copy=False)
        given = [each.astype(self.dtype) for each in numbers]
        returned = self.function(*given, **self.keywords)
        found = np.asarray(unmasked(returned, "what the function of fromfunction returned"))
        shape = tuple(map(len, positions))
        return np.broadcast_to(found, shape).astype(self.dtype, copy=False)


@dataclass(frozen=True, slots=True)
class AlongAxis:
    """The numbers of elements along an axis; without one, along that which the first number names."""

    axis: int | None
    dtype: np.dtype[Any]

    def __call__(self, positions: tuple[Any, ...]) -> Any:
        shape = tuple(map(len, positions))
        if self.axis is not None:
            return _along(positions[self.axis], self.axis, shape).astype(self.dtype)
        found = np.empty(shape, self.dtype)
        for place, axis in enumerate(positions[0].tolist()):
            found[place] = _along(positions[axis + 1], axis, shape[1:])
        return found


def _along(numbers: Any, axis: int, shape: Shape) -> Any:
    ones = [-1 if a == axis else 1 for a in range(len(shape))]
    return np.broadcast_to(numbers.reshape(ones), shape)
