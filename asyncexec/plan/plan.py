"""The plan: an immutable DAG of stages that knows its size before it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from asyncexec.plan.drawing import draw
from asyncexec.plan.fingerprint import fingerprint
from asyncexec.plan.functions import map_stage
from asyncexec.plan.text import describe, tree
from asyncexec.plan.validation import check, in_topological_order

if TYPE_CHECKING:
    from pathlib import Path

    from asyncexec.plan.stage import Stage
    from asyncexec.plan.workspace import Workspace


@runtime_checkable
class Plannable(Protocol):
    """Anything that :meth:`asyncexec.Engine.execute` takes: it says itself what to run."""

    def to_plan(self) -> Plan:
        """Return the plan."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """An immutable DAG of stages.

    Parameters
    ----------
    stages : iterable of Stage
        In any order.
    name : str
        What messages, events and pictures call it.
    returns : tuple of str, optional
        The value stages whose values are the result; by default those that nobody reads.
    workspace : Workspace, optional
        Where chunks live; plans of plain functions need none.

    Raises
    ------
    PlanError
        If it could not run: a cycle, an unknown input, a duplicate name, relations that do not fit, two tasks
        writing one chunk, or a task projected to need more memory than it is allowed.
    """

    stages: tuple[Stage, ...]
    name: str = "plan"
    returns: tuple[str, ...] | None = None
    workspace: Workspace | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        stages = tuple(self.stages)
        object.__setattr__(self, "stages", in_topological_order(self.name, stages))
        check(self)
        if self.returns is None:
            object.__setattr__(self, "returns", self._unread_value_stages())

    @classmethod
    def map(cls, function: Callable[..., Any], *items: Sequence[Any] | Iterable[Any], name: str = "", **options: Any) -> Self:
        """Make a plan that applies ``function`` to every item; see :func:`asyncexec.plan.functions.map_stage`."""
        stage = map_stage(function, *items, **options)
        return cls((stage,), name or stage.name)

    def to_plan(self) -> Plan:
        """Return itself."""
        return self

    @property
    def tasks(self) -> int:
        """How many tasks there are in all."""
        return sum(stage.tasks for stage in self.stages)

    @property
    def write_bytes(self) -> int:
        """How many bytes (not encoded) will be written in all."""
        return sum(stage.write_bytes for stage in self.stages)

    @property
    def projected_bytes(self) -> int:
        """The most that any one task is projected to need."""
        return max((stage.memory.projected_bytes for stage in self.stages), default=0)

    @cached_property
    def fingerprint(self) -> str:
        """What the plan computes, as a hash that is the same in every process."""
        return fingerprint(self)

    def stage(self, name: str) -> Stage:
        """Return the stage called ``name`` (KeyError if there is none)."""
        return self._by_name[name]

    def visualize(self, path: str | Path | None = None) -> Any:
        """Draw the plan; see :func:`asyncexec.plan.drawing.draw`."""
        return draw(self, path)

    def __str__(self) -> str:
        return tree(self)

    def __repr__(self) -> str:
        return describe(self)

    @cached_property
    def _by_name(self) -> dict[str, Stage]:
        return {stage.name: stage for stage in self.stages}

    def _unread_value_stages(self) -> tuple[str, ...]:
        read = {r.stage for stage in self.stages for r in stage.reads}
        return tuple(s.name for s in self.stages if s.holds_values and s.name not in read)
