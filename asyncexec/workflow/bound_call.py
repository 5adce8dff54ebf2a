"""The kernels of a workflow's stages; a module of its own, as it is all that a worker needs of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncexec.errors import SkippedError
from asyncexec.plan.function_call import FunctionCall

if TYPE_CHECKING:
    from asyncexec.plan.box import Index


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a task's input among the arguments of a call."""

    number: int


@dataclass(frozen=True, slots=True)
class BoundCall(FunctionCall):
    """A kernel that calls a function with a task's inputs where there is a :class:`Slot`, and constants elsewhere.

    ``gates`` are the numbers of inputs that must be True, as they are the values of conditions; ``condition`` is
    called before the function, and raises a ``SkippedError`` if the function is not to be called.
    """

    positional: tuple[Any, ...]
    keywords: Mapping[str, Any]
    gates: tuple[int, ...] = ()
    condition: FunctionCall | None = None

    def is_plain(self, inputs: int) -> bool:
        """Return whether the function is called with the task's ``inputs``, so many, as they are."""
        others = self.keywords or self.gates or self.condition
        return not others and self.positional == tuple(Slot(i) for i in range(inputs))

    def __call__(self, index: Index, *inputs: Any) -> Any:
        for gate in self.gates:
            if inputs[gate] is not True:  # Missing, and this stage takes missing values.
                raise SkippedError(inputs[gate].reason)
        if self.condition is not None:
            self.condition(index, *inputs)
        positional = [inputs[a.number] if type(a) is Slot else a for a in self.positional]
        keywords = {
            name: inputs[a.number] if type(a) is Slot else a for name, a in self.keywords.items()
        }
        return self.function(*positional, **keywords)


@dataclass(frozen=True, slots=True)
class Condition:
    """Calls a function, and returns True or raises a ``SkippedError`` with ``otherwise`` as the reason."""

    function: Callable[..., Any]
    otherwise: str

    def __call__(self, *arguments: Any, **keywords: Any) -> bool:
        if self.function(*arguments, **keywords):
            return True
        raise SkippedError(self.otherwise)
