"""The kernel of a plain function; a module of its own, as it is all that a worker needs of a plan of functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncexec.plan.box import Index


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A kernel that calls a function with the task's inputs, without the index."""

    function: Callable[..., Any]

    def __call__(self, index: Index, *inputs: Any) -> Any:
        return self.function(*inputs)


class StarredCall(FunctionCall):
    """A kernel that calls a function with the arguments that the task's one input holds."""

    __slots__ = ()

    def __call__(self, index: Index, *inputs: Any) -> Any:
        (arguments,) = inputs
        return self.function(*arguments)
