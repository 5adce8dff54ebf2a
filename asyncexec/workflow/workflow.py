"""Workflows: functions that are wired by the names of their parameters, and become plans when they get their inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property
from inspect import Parameter, Signature
from pathlib import Path
from types import MappingProxyType
from typing import Any, Never, Self

from asyncexec.config.checks import text, texts
from asyncexec.config.fields import nearest
from asyncexec.errors import (
    DuplicateStageError,
    OptionError,
    UnknownInputError,
    WorkflowInputError,
)
from asyncexec.plan.plan import Plan
from asyncexec.workflow.conditions import with_conditions
from asyncexec.workflow.inputs import check_inputs, inputs_of
from asyncexec.workflow.lowering import lower_workflow
from asyncexec.workflow.mapping import check_mappable
from asyncexec.workflow.nesting import (
    SEPARATOR,
    flattened,
    in_order,
    last_stages,
    nested_in,
    with_inputs_as_stages,
)
from asyncexec.workflow.stage_spec import StageSpec, spec_of
from asyncexec.workflow.text import signature_text, workflow_text
from asyncexec.workflow.wiring import FromInput, WiredStage, wire

_NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})

type Stageable = Callable[..., Any] | StageSpec | Workflow


class Workflow:
    """User functions as stages, wired by the names of their parameters.

    A parameter that is named like a stage takes its result; others take the inputs of a run. :func:`stage` says more,
    where that is not enough: what is mapped over, retries, resources. Called with the inputs, a workflow gives what
    :meth:`asyncexec.Engine.execute` takes.

    >>> from asyncexec.workflow import Workflow, stage
    >>> def cities(country: str) -> list[str]:
    ...     return {"NL": ["Utrecht", "Delft"]}[country]
    >>> @stage(map_on="cities", retry=3)
    ... def fetch(city: str) -> int:
    ...     return len(city)
    >>> def train(fetch: list[int], country: str, power: int = 1) -> str:
    ...     return f"{country}: {sum(fetch) ** power}"
    >>> flow = Workflow("nowcast", [cities, fetch, train])
    >>> ax.sync.execute(flow(country="NL")).value
    'NL: 12'
    >>> print(flow)
    Workflow 'nowcast'(country, power=1)
      cities(country)
      fetch(each of cities)  retry=3
      train(fetch, country, power)  -> result

    Parameters
    ----------
    name : str
        Its name in messages, events and pictures.
    stages : iterable
        Functions (decorated or not), :class:`StageSpec`, and workflows: a workflow becomes one stage, whose inputs are
        wired like parameters; its stages are called ``"name/stage"``.
    keeps : bool or sequence of str
        The stages whose values stay after a run, where they are, so that ``result.values["name"]`` can open them:
        all (True), only those that are the result (False), or those that are named.
    description : str
        A text for people.

    Attributes
    ----------
    stages : tuple of WiredStage
        Those of nested workflows included, producers before their consumers.
    inputs : mapping of str to FromInput
        The inputs of a run.
    returns : tuple of str
        The last stages: what no other takes. Their values are the result: that of a single one, or a dict by name.

    Raises
    ------
    PlanError
        If it could not run: a :class:`~asyncexec.errors.WiringError` where parameters do not fit, and a
        ``DuplicateStageError``, ``UnknownInputError`` or ``CycleError``.
    OptionError
        If an option of a stage is unknown, or is not what it must be.
    """

    def __init__(
        self,
        name: str,
        stages: Iterable[Stageable],
        *,
        keeps: Sequence[str] | bool = True,
        description: str = "",
    ) -> None:
        self.name = text(name, "the name of a workflow")
        if not isinstance(stages, Iterable):
            raise OptionError(
                f"workflow {name!r}: its stages are a list of functions and workflows, not {stages!r}"
            )
        specs = tuple(spec_of(stage) for stage in stages)
        self._check(specs)
        self._complete(wire(name, specs), keeps=keeps, description=description)

    def _complete(
        self, wired: Sequence[WiredStage], *, keeps: Sequence[str] | bool = True, description: str
    ) -> None:
        """Set what follows from stages that are wired."""
        self.__name__ = self.name
        self.description = description
        self.stages = in_order(self.name, flattened(with_conditions(self.name, wired)))
        check_mappable(self.name, self.stages)
        self.returns = last_stages(self.stages)
        self.keeps = self._kept(keeps=keeps)
        self.inputs: Mapping[str, FromInput] = inputs_of(self.stages)

    @property
    def takes_rest(self) -> bool:
        """True if a stage has ``**kwargs``, which take inputs that no stage names."""
        return any(stage.takes_rest for stage in self.stages)

    @property
    def __signature__(self) -> Signature:
        parameters = [
            Parameter(name, Parameter.KEYWORD_ONLY, default=found.default)
            for name, found in self.inputs.items()
        ]
        if self.takes_rest:
            parameters.append(Parameter("inputs", Parameter.VAR_KEYWORD))
        return Signature(parameters)

    def __call__(self, /, *unnamed: Never, **inputs: Any) -> WorkflowCall:
        """Return the workflow with its inputs, for :meth:`asyncexec.Engine.execute`.

        Raises
        ------
        WorkflowInputError
            If an input is missing, is given without its name, or is none that the workflow has.
        """
        self._refuse_unnamed(unnamed)
        return WorkflowCall(self, inputs)

    def to_plan(self, /, *unnamed: Never, **inputs: Any) -> Plan:
        """Return the plan of a run with ``inputs``.

        >>> from asyncexec.workflow import Workflow
        >>> def double(x: int) -> int:
        ...     return 2 * x
        >>> Workflow("doubled", [double]).to_plan(x=4).tasks
        1
        """
        return self(*unnamed, **inputs).to_plan()

    def _refuse_unnamed(self, unnamed: Sequence[object]) -> None:
        if unnamed:
            names = ", ".join(f"{name}=..." for name in self.inputs) or "none"
            raise WorkflowInputError(
                f"workflow {self.name!r} takes its inputs by name, and {len(unnamed)} came without one: give "
                f"them as {names}"
            )

    def visualize(self, path: str | Path | None = None) -> Any:
        """Draw its stages, as :meth:`asyncexec.Plan.visualize` does; ``flow(...).visualize()`` knows the sizes, too.

        An input that is mapped over is shown like a stage.
        """
        shown = copy(self)
        shown.stages = with_inputs_as_stages(self.stages)
        missing = dict.fromkeys(name for name, found in self.inputs.items() if found.required)
        return lower_workflow(shown, missing).visualize(path)

    def __str__(self) -> str:
        return workflow_text(self)

    def __repr__(self) -> str:
        names = ", ".join(s.name for s in self.stages if not s.decides)
        return f"<Workflow {signature_text(self)}: stages {names}>"

    def _kept(self, *, keeps: Sequence[str] | bool) -> tuple[str, ...]:
        names = [stage.name for stage in self.stages if not stage.decides]
        if isinstance(keeps, bool):
            return tuple(names) if keeps else ()
        kept = texts(keeps, f"workflow {self.name!r}: keeps")
        for name in kept:
            if name not in names:
                close = nearest(name, names)
                hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}"
                raise UnknownInputError(
                    f"workflow {self.name!r} is to keep {name!r}, which is no stage; {hint}"
                )
        return kept

    def _check(self, specs: tuple[StageSpec, ...]) -> None:
        if not specs:
            raise OptionError(f"workflow {self.name!r} has no stages: give at least one function")
        seen: dict[str, StageSpec] = {}
        for spec in specs:
            first = seen.setdefault(spec.name, spec)
            if first is not spec:
                raise DuplicateStageError(
                    f"two stages of workflow {self.name!r} are called {spec.name!r}: {first.function!r} and "
                    f"{spec.function!r}; give one of them a name of its own: stage(name='...')"
                )
            where = f"workflow {self.name!r}, stage {spec.name!r}"
            if SEPARATOR in spec.name:
                raise OptionError(
                    f"{where}: a name has no {SEPARATOR!r}, which is for nested workflows"
                )
            if nested_in(spec) is not None and (spec.map_on or spec.options):
                options = ", ".join((*(["map_on"] if spec.map_on else []), *spec.options))
                raise OptionError(
                    f"{where} is a workflow, which has no {options} as a whole: give them to its stages"
                )


class WorkflowCall:
    """A workflow with the inputs of a run; :meth:`asyncexec.Engine.execute` takes it.

    >>> from asyncexec.workflow import Workflow
    >>> def double(x: int) -> int:
    ...     return 2 * x
    >>> call = Workflow("doubled", [double])(x=4)
    >>> call
    <Workflow 'doubled' with x=4>
    >>> ax.sync.execute(call).value
    8

    Attributes
    ----------
    workflow : Workflow
    inputs : dict of str to object
    context : dict of str to object
    """

    def __init__(
        self,
        workflow: Workflow,
        inputs: Mapping[str, Any],
        context: Mapping[str, Any] = _NO_CONTEXT,
    ) -> None:
        check_inputs(workflow, inputs)
        self.workflow = workflow
        self.inputs = dict(inputs)
        self.context = dict(context)

    def with_context(self, **context: Any) -> Self:
        """Return the same run with more that its tasks can ask :func:`asyncexec.get_run_context` for.

        The workflow's name and inputs they know anyway, without arrays of more than 64 kB, and without inputs of more
        than 1,000 items that are mapped over.

        >>> from asyncexec.workflow import Workflow
        >>> def where() -> str:
        ...     return ax.get_run_context().namespace
        >>> run = Workflow("places", [where])().with_context(namespace="weather", config={"depth": 3})
        >>> ax.sync.execute(run).value
        'weather'

        Parameters
        ----------
        **context
            ``namespace`` (a text), ``config`` (a mapping), or whatever else, which stands among its ``extras``.
        """
        return type(self)(self.workflow, self.inputs, self.context | context)

    def to_plan(self) -> Plan:
        """Return the plan of the run."""
        return self._plan

    def visualize(self, path: str | Path | None = None) -> Any:
        """Draw the plan; see :meth:`asyncexec.Plan.visualize`."""
        return self._plan.visualize(path)

    @cached_property
    def _plan(self) -> Plan:
        return lower_workflow(self.workflow, self.inputs, self.context)

    def __str__(self) -> str:
        return str(self._plan)

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={_short(value)}" for name, value in self.inputs.items())
        return f"<Workflow {self.workflow.name!r} with {given or 'no inputs'}>"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
