"""Scans of chunks, and their totals, on workers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asyncexec.array.nodes import DType
from asyncexec.array.reducers import real_part, ufunc_dtype
from asyncexec.plan.masked import unmasked


@dataclass(frozen=True, slots=True)
class GivenScan:
    """A user's function that scans a chunk."""

    function: Callable[..., Any]
    dtype: DType
    takes_dtype: bool

    def __call__(self, block: NDArray[Any], *, axis: int) -> NDArray[Any]:
        options = {"dtype": self.dtype} if self.takes_dtype else {}
        returned = self.function(block, axis=axis, **options)
        found = np.asarray(unmasked(returned, "what the func of cumreduction returned"))
        if found.shape != block.shape:
            raise ValueError(
                f"the scan of a chunk of shape {block.shape} has the shape {found.shape}: func must keep the shape"
            )
        return found.astype(self.dtype, copy=False)


@dataclass(frozen=True, slots=True)
class LastSlice:
    """The total of a chunk as the last slice of its scan."""

    scan: Callable[..., NDArray[Any]]

    def __call__(self, block: NDArray[Any], *, axis: int) -> NDArray[Any]:
        # Copied, so that the scan goes.
        return self.scan(block, axis=axis)[(slice(None),) * axis + (slice(-1, None),)].copy()


@dataclass(frozen=True, slots=True)
class KeptTotal:
    """The total of a chunk by a user's function that keeps the axis."""

    function: Callable[..., Any]

    def __call__(self, block: NDArray[Any], *, axis: int) -> NDArray[Any]:
        returned = self.function(block, axis=axis, keepdims=True)
        return np.asarray(unmasked(returned, "what the preop of cumreduction returned"))


@dataclass(frozen=True, slots=True)
class UfuncScan:
    """The scan of a chunk by a ufunc, or its total; elements become ``first`` before, where that is given."""

    ufunc: np.ufunc
    through: DType
    first: DType | None = None
    result: DType | None = None
    skips_nan: bool = False
    total: bool = False

    def __call__(self, block: NDArray[Any], *, axis: int) -> NDArray[Any]:
        taken = real_part(block, self.result or self.through)
        if self.first is not None:
            taken = taken.astype(self.first)
        if self.skips_nan and taken.dtype.kind in "fc":
            taken = np.where(np.isnan(taken), taken.dtype.type(self.ufunc.identity), taken)
        if self.total:
            return np.asarray(
                self.ufunc.reduce(taken, axis=axis, keepdims=True, dtype=ufunc_dtype(self.through))
            )
        return np.asarray(self.ufunc.accumulate(taken, axis=axis, dtype=ufunc_dtype(self.through)))
