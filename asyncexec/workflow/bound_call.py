"""The kernel of a workflow's stage; a module of its own, as it is all that a worker needs of a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncexec.plan.function_call import FunctionCall

if TYPE_CHECKING:
    from asyncexec.plan.box import Index


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a task's input among the arguments of a call."""

    number: int


@dataclass(frozen=True, slots=True)
class BoundCall(FunctionCall):
    """A kernel that calls a function with a task's inputs where there is a :class:`Slot`, and constants elsewhere."""

    positional: tuple[Any, ...]
    keywords: Mapping[str, Any]

    def __call__(self, index: Index, *inputs: Any) -> Any:
        positional = [inputs[a.number] if type(a) is Slot else a for a in self.positional]
        keywords = {
            name: inputs[a.number] if type(a) is Slot else a for name, a in self.keywords.items()
        }
        return self.function(*positional, **keywords)
