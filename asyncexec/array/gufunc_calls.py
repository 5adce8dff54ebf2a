"""Calls of functions that loop over axes, on workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array.block_calls import core_result


@dataclass(frozen=True, slots=True)
class GufuncCall:
    """The call of a function with blocks, and its results as a tuple."""

    function: Callable[..., Any]
    keywords: Mapping[str, Any]
    several: bool
    count: int
    name: str

    def __call__(self, *blocks: Any) -> tuple[Any, ...]:
        returned = self.function(*blocks, **self.keywords)
        if not self.several:
            return (returned,)
        if not isinstance(returned, tuple | list) or len(returned) != self.count:
            raise ValueError(
                f"{self.name} must return a tuple of {self.count} blocks, as the signature says, and returned "
                f"{type(returned).__name__}"
            )
        return tuple(returned)


@dataclass(frozen=True, slots=True)
class SingleResult:
    """The one result of a call, in the type that was promised."""

    call: GufuncCall
    dtype: np.dtype[Any]

    def __call__(self, *blocks: Any) -> Any:
        (found,) = self.call(*blocks)
        return core_result(found, np.shape(found), self.dtype, self.call.name)


@dataclass(frozen=True, slots=True)
class ChosenResults:
    """Those results of a call that have elements."""

    call: GufuncCall
    numbers: tuple[int, ...]

    def __call__(self, *blocks: Any) -> tuple[Any, ...]:
        found = self.call(*blocks)
        return tuple([found[number] for number in self.numbers])
