"""The plan: an immutable DAG of stages that knows its size before it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol, Self, Unpack, cast, runtime_checkable

from asyncexec.errors import OptionError
from asyncexec.plan.functions import (
    call_stage,
    each_stage,
    map_stage,
    reduce_stage,
    then_stage,
)
from asyncexec.plan.shared_stages import SharedStages
from asyncexec.plan.stage_options import StageOptions, checked_name
from asyncexec.plan.validation import check, check_added, in_topological_order

if TYPE_CHECKING:
    from pathlib import Path

    from asyncexec.plan.fingerprint.explanation import Explanation
    from asyncexec.plan.stage import Stage
    from asyncexec.plan.workspace import Workspace


@runtime_checkable
class Plannable(Protocol):
    """An object that :meth:`asyncexec.Engine.execute` takes, as it has a plan: a plan itself, or an array."""

    def to_plan(self) -> Plan:
        """Return the plan."""
        ...


def _first_of_shared(plan: Plan) -> tuple[Stage, ...]:
    shared, count = plan._shared  # noqa: SLF001 - a part of the class, which its fields need first
    return shared.first(count)


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Plan:
    """An immutable DAG of stages.

    >>> from asyncexec.plan import Items, Plan, Read, Stage
    >>> from asyncexec.plan.relations import All
    >>> halve = Stage(name="halve", kernel=lambda index, x: x / 2, shape=(3,), inputs=(Items([1, 2, 3]),))
    >>> total = Stage(
    ...     name="total",
    ...     kernel=lambda index, values: sum(values),
    ...     shape=(),
    ...     inputs=(Read("halve", All((3,), ()), many=True),),
    ... )
    >>> plan = Plan([total, halve], "halves")
    >>> ax.sync.execute(plan).value
    3.0

    Parameters
    ----------
    stages : iterable of Stage
        In any order.
    name : str
        The plan's name in messages, events and pictures.
    returns : iterable of str, optional
        The value stages whose values are the result; by default those that no other stage reads or waits for.
    keeps : iterable of str
        Further value stages whose values stay where they are after the run, for ``Result.values`` to open on demand.
    workspace : Workspace, optional
        The storage of chunks; plans of plain functions need none.
    context : mapping of str to object, optional
        What tasks can ask for with :func:`asyncexec.get_run_context`: ``input``, ``namespace``, ``workflow``,
        ``config``, and whatever else by name. No part of the fingerprint, except what stands under ``fingerprint``.

    Raises
    ------
    PlanError
        If it could not run: a cycle, an unknown input, a duplicate name, relations that do not fit, two tasks
        writing one chunk, or a task projected to need more memory than it is allowed.
    """

    name: str
    returns: tuple[str, ...]
    keeps: tuple[str, ...]
    workspace: Workspace | None
    context: Mapping[str, Any]
    # Of a plan that goes on from another, put together when they are first needed: not for each link of a chain.
    stages: tuple[Stage, ...] = cast("tuple[Stage, ...]", cached_property(_first_of_shared))

    def __init__(
        self,
        stages: Iterable[Stage],
        name: str = "plan",
        returns: Iterable[str] | None = None,
        *,
        keeps: Iterable[str] = (),
        workspace: Workspace | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        checked_name(name, of="a plan")
        ordered = in_topological_order(name, tuple(stages))
        if returns is None:
            read = {r.stage for stage in ordered for r in stage.reads}
            read.update(name for stage in ordered for name in stage.waits_for)
            returns = (s.name for s in ordered if s.holds_values and s.name not in read)
        set_once = partial(object.__setattr__, self)
        set_once("stages", ordered)
        set_once("name", name)
        set_once("returns", tuple(returns))
        set_once("keeps", tuple(name for name in keeps if name not in self.returns))
        set_once("workspace", workspace)
        set_once("context", dict(context or {}))
        check(self)

    def with_context(self, **context: Any) -> Self:
        """Return this plan with more that its tasks can ask :func:`asyncexec.get_run_context` for.

        >>> plan = ax.Plan.call(lambda: ax.get_run_context().namespace, name="where")
        >>> ax.sync.execute(plan.with_context(namespace="weather")).value
        'weather'

        Parameters
        ----------
        **context
            ``input``, ``namespace``, ``workflow``, ``config``, or whatever else, which stands among its ``extras``.
        """
        if not context:
            return self
        plan = copy(self)
        object.__setattr__(plan, "context", {**self.context, **context})
        plan.__dict__.pop("fingerprint", None)  # Of which the context may be a part.
        return plan

    @classmethod
    def map(
        cls,
        function: Callable[..., Any],
        *items: Iterable[Any],
        **options: Unpack[StageOptions],
    ) -> Self:
        """Make a plan that calls ``function`` (plain or async) with every item.

        Its result is the list of what the function returned, in the order of the items. Several
        sequences of items are taken side by side, like the built-in ``map`` takes them.

        Options: ``name``, ``retry``, ``timeout``, ``straggler``, ``resources``, ``memory`` (what a
        task needs, ``"2GB"``) and ``idempotent``; see
        :class:`asyncexec.plan.stage_options.StageOptions`.

        >>> plan = ax.Plan.map(pow, [2, 3, 4], [3, 2, 1])
        >>> plan.tasks
        3
        >>> ax.sync.execute(plan).value
        [8, 9, 4]

        Raises
        ------
        OptionError
            If there are no items, their lengths differ, or an option is unknown or cannot be.
        """
        stage = map_stage(function, *items, **options)
        return cls((stage,), stage.name)

    @classmethod
    def starmap(
        cls,
        function: Callable[..., Any],
        items: Iterable[Iterable[Any]],
        **options: Unpack[StageOptions],
    ) -> Self:
        """Make a plan that calls ``function`` with the arguments that every item holds.

        As :meth:`map`, for items that are tuples of arguments: :func:`itertools.starmap` takes them so.

        >>> ax.sync.execute(ax.Plan.starmap(pow, [(2, 3), (3, 2)])).value
        [8, 9]

        Raises
        ------
        OptionError
            If an option is unknown or cannot be.
        """
        stage = map_stage(function, items, starred=True, **options)
        return cls((stage,), stage.name)

    @classmethod
    def call(
        cls, function: Callable[..., Any], *arguments: Any, **options: Unpack[StageOptions]
    ) -> Self:
        """Make a plan of one task, which calls ``function`` (plain or async) with ``arguments``.

        Its result is what the function returned. Options as for :meth:`map`.

        >>> ax.sync.execute(ax.Plan.call(divmod, 17, 5)).value
        (3, 2)

        Raises
        ------
        OptionError
            If an option is unknown or cannot be.
        """
        stage = call_stage(function, *arguments, **options)
        return cls((stage,), stage.name)

    def then_each(self, function: Callable[..., Any], **options: Unpack[StageOptions]) -> Self:
        """Return this plan with a stage after it, which calls ``function`` with each item of the one result.

        The result must be a list, or anything else that has a length and can be gone through; how many tasks the stage
        has is known when the result is there. Options as for :meth:`map`.

        >>> import asyncexec as ax
        >>> plan = ax.Plan.call(str.split, "to be or not").then_each(len).then(float).reduce(sum)
        >>> async with ax.Engine() as engine:
        ...     result = await engine.execute(plan)
        >>> result.value
        9.0

        Raises
        ------
        OptionError
            If this plan does not have exactly one result to go on from, which is one value, or an option cannot be.
        """
        return self._with("then_each", each_stage, function, options)

    def then(self, function: Callable[..., Any], **options: Unpack[StageOptions]) -> Self:
        """Return this plan with a stage after it, which calls ``function`` with each result.

        Task by task: the stage does not wait for the one before to end. Options as for :meth:`map`.

        >>> plan = ax.Plan.map(abs, [-1, 4, -9]).then(float)
        >>> [stage.name for stage in plan.stages]
        ['abs', 'float']
        >>> ax.sync.execute(plan).value
        [1.0, 4.0, 9.0]

        Raises
        ------
        OptionError
            If this plan does not have exactly one result to go on from, or an option cannot be.
        """
        return self._with("then", then_stage, function, options)

    def reduce(self, function: Callable[..., Any], **options: Unpack[StageOptions]) -> Self:
        """Return this plan with one task after it, which calls ``function`` with the list of results.

        Options as for :meth:`map`.

        >>> plan = ax.Plan.map(abs, [-1, 4, -9]).reduce(max)
        >>> ax.sync.execute(plan).value
        9

        Raises
        ------
        OptionError
            If this plan does not have exactly one result to go on from, or an option cannot be.
        """
        return self._with("reduce", reduce_stage, function, options)

    def to_plan(self) -> Plan:
        """Return itself.

        >>> plan = ax.Plan.map(abs, [-1, 4])
        >>> plan.to_plan() is plan
        True
        """
        return self

    @property
    def tasks(self) -> int:
        """Number of tasks in all, as far as is known before the plan runs."""
        return sum([stage.tasks for stage in self.stages])

    @property
    def write_bytes(self) -> int:
        """Bytes (not encoded) that will be written in all."""
        return sum(stage.write_bytes for stage in self.stages)

    @property
    def projected_bytes(self) -> int:
        """The most that any one task is projected to need."""
        return max((stage.memory.projected_bytes for stage in self.stages), default=0)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what the plan computes, the same in every process."""
        from asyncexec.plan.fingerprint.plan_fingerprint import fingerprint  # noqa: PLC0415 - brings NumPy, which is dear

        return fingerprint(self, self.context.get("fingerprint"))

    def explain(self) -> Explanation:
        """Return how each stage was made and what the fingerprint takes in of its code, to read or to print.

        For stages of arrays: the operations that were put together in one stage, and those that were not, with the
        reason. Of the code: functions and classes that are followed, installed packages with their versions, modules
        that count as a whole as some code uses them in a way that cannot be followed, variables of the environment, and
        what cannot be seen.

        >>> def halve(x):
        ...     return x / 2
        >>> (stage,) = ax.Plan.map(halve, [1, 2]).explain().stages
        >>> [name.rpartition(".")[2] for name in stage.functions]
        ['halve']
        >>> stage.refused
        ''
        """
        from asyncexec.plan.fingerprint.explanation import explain  # noqa: PLC0415 - brings NumPy, which is dear

        return explain(self, name=self.name, fingerprint=self.fingerprint)

    def stage(self, name: str) -> Stage:
        """Return the stage called ``name`` (KeyError if there is none).

        >>> ax.Plan.map(abs, range(10), name="sizes").stage("sizes").shape
        (10,)
        """
        return self._by_name[name]

    def visualize(self, path: str | Path | None = None) -> Any:
        """Draw the plan; see :func:`asyncexec.plan.render.drawing.draw`.

        >>> plan = ax.Plan.map(abs, range(10)).reduce(sum)
        >>> drawing = plan.visualize("plan.svg")
        >>> print(plan)
        Plan 'abs': 2 stages, 11 tasks
                            read as  operation  tasks
        • sum                        reduce     1
          abs               all      map        10
          10 items (range)  item
        """
        from asyncexec.plan.render.drawing import draw  # noqa: PLC0415 - brings networkx, which is dear

        return draw(self, path)

    def __str__(self) -> str:
        from asyncexec.plan.render.text import tree  # noqa: PLC0415 - few plans are shown

        return tree(self)

    def __repr__(self) -> str:
        from asyncexec.plan.render.text import describe  # noqa: PLC0415 - few plans are shown

        return describe(self)

    @cached_property
    def _by_name(self) -> dict[str, Stage]:
        return {stage.name: stage for stage in self.stages}

    @cached_property
    def _shared(self) -> tuple[SharedStages, int]:
        """The list of stages that this plan and its continuations have in common, and the number of its own."""
        return SharedStages(self.stages), len(self.stages)

    def __getstate__(self) -> dict[str, Any]:
        # A plan is sent or copied without those that go on from it.
        state = {**self.__dict__, "stages": self.stages}
        state.pop("_shared", None)
        return state

    def _with(
        self,
        method: str,
        following: Callable[..., Stage],
        function: Callable[..., Any],
        options: StageOptions,
    ) -> Self:
        """Return this plan with the stage that ``following`` makes after its one result."""
        self._check_single_result(method)
        shared, count = self._shared
        if len(shared) > count:  # Another plan goes on from this one already.
            shared = SharedStages(self.stages)
        stage = following(shared.by_name[self.returns[0]], function, shared.free_name, options)
        if stage.name in shared.by_name:
            return replace(
                self, stages=(*self.stages, stage), returns=(stage.name,)
            )  # which says so
        check_added(self.name, stage, shared.by_name, shared.may_be_missing)
        if not shared.append(stage, count):
            return self._with(method, following, function, options)
        longer: Self = object.__new__(type(self))
        longer.__dict__.update(
            name=self.name,
            returns=(stage.name,),
            keeps=tuple(name for name in self.keeps if name != stage.name),
            workspace=self.workspace,
            context=self.context,
            _shared=(shared, count + 1),
        )
        return longer

    def _check_single_result(self, method: str) -> None:
        returns = self.returns
        if len(returns) != 1:
            raise OptionError(
                f"{method}() goes on from one result, and plan {self.name!r} has {len(returns)}: {', '.join(returns)}; "
                f"name one with returns=, or add the stage yourself"
            )
