"""The plan: an immutable DAG of stages that knows its size before it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from asyncexec.errors import OptionError
from asyncexec.plan.drawing import draw
from asyncexec.plan.fingerprint import fingerprint
from asyncexec.plan.functions import free_name, map_stage, name_of, reduce_stage, then_stage
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
    def map(
        cls,
        function: Callable[..., Any],
        *items: Iterable[Any],
        name: str = "",
        retry: Any = None,
        timeout: Any = None,
        straggler: Any = None,
        resources: Mapping[str, float] | None = None,
        memory: float | str | None = None,
        idempotent: bool = True,
    ) -> Self:
        """Make a plan that calls ``function`` with every item; see :func:`asyncexec.plan.functions.map_stage`.

        The result is the list of what the function returned, in the order of the items.
        """
        stage = map_stage(
            function,
            *items,
            name=name,
            retry=retry,
            timeout=timeout,
            straggler=straggler,
            resources=resources,
            memory=memory,
            idempotent=idempotent,
        )
        return cls((stage,), stage.name)

    def then(
        self,
        function: Callable[..., Any],
        *,
        name: str = "",
        retry: Any = None,
        timeout: Any = None,
        straggler: Any = None,
        resources: Mapping[str, float] | None = None,
        memory: float | str | None = None,
        idempotent: bool = True,
    ) -> Self:
        """Return this plan and a stage after it, which calls ``function`` with each of its results.

        Task by task: the second stage does not wait for the first to end. Options as for :meth:`map`.

        Raises
        ------
        OptionError
            If this plan does not have exactly one result to go on from.
        """
        previous = self._single_result("then")
        stage = then_stage(
            previous,
            function,
            name=name or free_name(name_of(function, default="map"), self._by_name),
            retry=retry,
            timeout=timeout,
            straggler=straggler,
            resources=resources,
            memory=memory,
            idempotent=idempotent,
        )
        return replace(self, stages=(*self.stages, stage), returns=(stage.name,))

    def reduce(
        self,
        function: Callable[..., Any],
        *,
        name: str = "",
        retry: Any = None,
        timeout: Any = None,
        straggler: Any = None,
        resources: Mapping[str, float] | None = None,
        memory: float | str | None = None,
        idempotent: bool = True,
    ) -> Self:
        """Return this plan and a single task after it, which calls ``function`` with the list of all its results.

        Options as for :meth:`map`.

        Raises
        ------
        OptionError
            If this plan does not have exactly one result to go on from.
        """
        previous = self._single_result("reduce")
        stage = reduce_stage(
            previous,
            function,
            name=name or free_name(name_of(function, default="reduce"), self._by_name),
            retry=retry,
            timeout=timeout,
            straggler=straggler,
            resources=resources,
            memory=memory,
            idempotent=idempotent,
        )
        return replace(self, stages=(*self.stages, stage), returns=(stage.name,))

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

    def _single_result(self, method: str) -> Stage:
        returns = self.returns or ()
        if len(returns) != 1:
            raise OptionError(
                f"{method}() goes on from one result, and plan {self.name!r} has {len(returns)}: {', '.join(returns)}; "
                f"name one with returns=, or add the stage yourself"
            )
        return self._by_name[returns[0]]

    def _unread_value_stages(self) -> tuple[str, ...]:
        read = {r.stage for stage in self.stages for r in stage.reads}
        return tuple(s.name for s in self.stages if s.holds_values and s.name not in read)
