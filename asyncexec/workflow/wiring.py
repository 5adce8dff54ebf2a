"""Wiring: the stage or the run's input that each parameter of a workflow's functions takes."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter
from typing import Any, Protocol, runtime_checkable

from asyncexec.config.fields import nearest
from asyncexec.errors import CycleError, UnknownInputError, WiringError
from asyncexec.workflow.stage_spec import StageSpec


@dataclass(frozen=True, slots=True)
class FromStage:
    """A parameter takes the value of a stage."""

    stage: str


@dataclass(frozen=True, slots=True)
class FromInput:
    """A parameter takes an input of the run; where that is not given, its default, if it has one."""

    name: str
    default: Any = Parameter.empty

    @property
    def required(self) -> bool:
        """True if a run must give it."""
        return self.default is Parameter.empty


type Source = FromStage | FromInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """An argument of each call of a stage's function.

    Attributes
    ----------
    parameter : str
    source : FromStage or FromInput
    by_keyword : bool
        Whether it is passed by the parameter's name.
    mapped : bool
        Whether each call gets one item of what the source has.
    """

    parameter: str
    source: Source
    by_keyword: bool = True
    mapped: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WiredStage:
    """A stage whose parameters all have a source.

    Attributes
    ----------
    name : str
    spec : StageSpec
    arguments : tuple of Argument
        Positional ones first, in order.
    after : tuple of str
        Stages that must be complete before, and of which it takes nothing.
    takes_rest : bool
        Whether its ``**kwargs`` take the inputs that it does not name.
    gates : tuple of str
        Stages that decide whether it is run: its condition, and that of a workflow that it belongs to.
    condition : WiredStage or None
        A condition on each of the items that it maps over.
    decides : bool
        Whether it is a condition, and no stage of the user's.
    """

    name: str
    spec: StageSpec
    arguments: tuple[Argument, ...]
    after: tuple[str, ...] = ()
    takes_rest: bool = False
    gates: tuple[str, ...] = ()
    condition: WiredStage | None = None
    decides: bool = False

    @property
    def mapped(self) -> Argument | None:
        """The argument that gets the items of what is mapped over."""
        return next((a for a in self.arguments if a.mapped), None)

    @property
    def reads(self) -> tuple[str, ...]:
        """The stages whose values it takes."""
        found = (a.source.stage for a in self.all_arguments if isinstance(a.source, FromStage))
        return tuple(dict.fromkeys(found))

    @property
    def waits_for(self) -> tuple[str, ...]:
        """All stages that must be complete before."""
        return (*self.reads, *self.gates, *self.after)

    @property
    def inputs(self) -> tuple[FromInput, ...]:
        """The inputs of the run that it takes."""
        return tuple(a.source for a in self.all_arguments if isinstance(a.source, FromInput))

    @property
    def all_arguments(self) -> tuple[Argument, ...]:
        """Its arguments, and those of its condition."""
        return (
            self.arguments
            if self.condition is None
            else (*self.arguments, *self.condition.arguments)
        )


@runtime_checkable
class Wired(Protocol):
    """A workflow, as the modules see it that show it, check its inputs, or have it as a stage of another."""

    name: str
    stages: tuple[WiredStage, ...]
    returns: tuple[str, ...]
    keeps: tuple[str, ...]
    inputs: Mapping[str, FromInput]

    @property
    def takes_rest(self) -> bool:
        """True if a stage takes inputs that no stage names."""
        ...


class Wiring:
    """The parameters of one stage, while their sources are found.

    Parameters
    ----------
    workflow : str
        Its name, for messages.
    spec : StageSpec
    stages : collection of str
        The names of all stages of the workflow.
    """

    def __init__(self, workflow: str, spec: StageSpec, stages: Collection[str]) -> None:
        self.spec = spec
        self.where = f"workflow {workflow!r}, stage {spec.name!r}"
        self._stages = stages
        self._parameters = self._parameters_of(spec)
        self._kinds = {p.kind for p in self._parameters.values()}
        self._check()
        self._mapped: str | None = None
        if spec.map_on is not None:
            self._mapped = self._mapped_parameter(spec.map_on)
        self._said = self._by_name()
        unread = [name for name in spec.depends_on if name not in self._read()]
        free = [p.name for p in self._free() if p.default is Parameter.empty]
        self._given = dict(zip(free, unread, strict=False))
        surplus = tuple(unread[len(self._given) :])
        self._rest = surplus if Parameter.VAR_POSITIONAL in self._kinds else ()
        self._after = () if self._rest else surplus

    @property
    def known_inputs(self) -> set[str]:
        """The inputs of the run that it names, beyond those which a place among the parameters decided about."""
        return {s.name for s in self._said.values() if isinstance(s, FromInput)} | {
            p.name for p in self._named() if p.name not in self._given and p.name != self._mapped
        }

    def wired(self, named_by: Mapping[str, int]) -> WiredStage:
        """Return the stage with its sources; ``named_by`` has how many stages name each input of the run.

        Raises
        ------
        WiringError
            If a parameter could take an input as well as what its place says.
        """
        self._check_places(named_by)
        arguments = [*self._arguments()]
        arguments.sort(key=lambda argument: argument.by_keyword)
        return WiredStage(
            name=self.spec.name,
            spec=self.spec,
            arguments=tuple(arguments),
            after=self._after,
            takes_rest=Parameter.VAR_KEYWORD in self._kinds,
        )

    def _parameters_of(self, spec: StageSpec) -> Mapping[str, Parameter]:
        try:
            return inspect.signature(spec.function).parameters
        except (TypeError, ValueError) as error:
            raise WiringError(
                f"{self.where}: the parameters of {spec.function!r} are not known: {error}; call it in a function of "
                f"your own"
            ) from error

    def _check(self) -> None:
        spec, parameters = self.spec, self._parameters
        for name in spec.depends_on:
            if name not in self._stages:
                raise UnknownInputError(
                    f"{self.where} depends on {name!r}, which is no stage; {self._hint(name, self._stages)}"
                )
        for name in spec.inputs:
            found = parameters.get(name)
            rest = Parameter.VAR_KEYWORD in self._kinds
            if (found is None and not rest) or (found is not None and found.kind in _STARRED):
                raise WiringError(
                    f"{self.where}: inputs= names a parameter {name!r}, which the function does not have; "
                    f"{self._hint(name, parameters)}"
                )
        if spec.name in parameters and spec.name not in spec.inputs:
            raise CycleError(
                f"{self.where} would take its own result, by its parameter {spec.name!r}: rename one of them, or say "
                f"what the parameter takes: inputs={{{spec.name!r}: ...}}"
            )

    def _mapped_parameter(self, map_on: str) -> str:
        """Return the parameter that gets the items."""
        said = [name for name, source in self.spec.inputs.items() if source == map_on]
        if len(said) > 1:
            raise WiringError(
                f"{self.where} maps over {map_on!r}, which inputs= gives to {' and '.join(map(repr, said))}: one of "
                f"them gets the items"
            )
        if said:
            return said[0]
        if map_on in self._parameters and map_on not in self.spec.inputs:
            return map_on
        free = next(self._free(), None)
        if free is None:
            raise WiringError(
                f"{self.where} maps over {map_on!r}, and its function has no parameter for the items: add one, or name "
                f"it: inputs={{'parameter': {map_on!r}}}"
            )
        return free.name

    def _free(self) -> Iterator[Parameter]:
        """Yield the positional parameters that nothing is given to by name."""
        for p in self._named():
            if p.kind is not Parameter.KEYWORD_ONLY and p.name != self._mapped:
                yield p

    def _named(self) -> Iterator[Parameter]:
        """Yield the parameters that are no stage, and of which ``inputs=`` says nothing."""
        for p in self._parameters.values():
            known = p.name in self._stages or p.name in self.spec.inputs
            if not known and p.kind not in _STARRED:
                yield p

    def _by_name(self) -> dict[str, Source]:
        """Return the sources that are said, and those that have the parameter's name."""
        said: dict[str, Source] = {}
        for p in self._parameters.values():
            if p.name in self._stages and p.kind not in _STARRED:
                said[p.name] = FromStage(p.name)
        for name, source in self.spec.inputs.items():
            taken_by = self._parameters.get(name)
            default = Parameter.empty if taken_by is None else taken_by.default
            said[name] = self._source(source, default)
        if self._mapped is not None and self.spec.map_on is not None:
            said[self._mapped] = self._source(self.spec.map_on)
        return said

    def _source(self, name: str, default: Any = Parameter.empty) -> Source:
        return FromStage(name) if name in self._stages else FromInput(name, default)

    def _read(self) -> set[str]:
        return {s.stage for s in self._said.values() if isinstance(s, FromStage)}

    def _arguments(self) -> Iterator[Argument]:
        leading = True
        for p in self._parameters.values():
            if p.kind is Parameter.VAR_POSITIONAL:
                for stage in self._rest:
                    yield Argument(parameter=p.name, source=FromStage(stage), by_keyword=False)
            elif p.kind is not Parameter.VAR_KEYWORD:
                argument = self._argument(p, leading=leading)
                leading = not argument.by_keyword
                yield argument
        for name in (name for name in self.spec.inputs if name not in self._parameters):
            yield Argument(parameter=name, source=self._said[name], mapped=name == self._mapped)

    def _argument(self, p: Parameter, *, leading: bool) -> Argument:
        """Return what ``p`` takes; ``leading`` says whether all before it are passed by their places."""
        source = self._said.get(p.name)
        if source is None and p.name in self._given:
            source = FromStage(self._given[p.name])
        source = source or FromInput(p.name, p.default)
        # Where more follow by their places, those before them must be given by theirs. Otherwise an input that may be
        # left out is passed by its name, and so is what comes after it.
        given = not isinstance(source, FromInput) or source.required
        by_place = p.kind is not Parameter.KEYWORD_ONLY and (
            p.kind is Parameter.POSITIONAL_ONLY or bool(self._rest) or (leading and given)
        )
        return Argument(
            parameter=p.name,
            source=source,
            by_keyword=not by_place,
            mapped=p.name == self._mapped,
        )

    def _check_places(self, named_by: Mapping[str, int]) -> None:
        """Raise if what the order of parameters decided could have been meant otherwise."""
        by_place = dict(self._given)
        map_on = self.spec.map_on
        if map_on is not None and self._mapped not in (map_on, *self.spec.inputs):
            by_place[self._mapped or ""] = map_on
        for parameter, source in by_place.items():
            if named_by.get(parameter):
                others = [p.name for p in self._free() if named_by.get(p.name) == 1]
                other = others[0] if others else parameter
                raise WiringError(
                    f"{self.where}: {source!r} would go to the parameter {parameter!r} by its place, and other stages "
                    f"take the input {parameter!r}; say which parameter takes it: inputs={{{other!r}: {source!r}}}"
                )

    def _hint(self, name: str, names: Collection[str]) -> str:
        close = nearest(name, names)
        if close:
            return f"did you mean {' or '.join(map(repr, close))}?"
        return f"there are {', '.join(names) or 'none'}"


_STARRED = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def wire(workflow: str, specs: Sequence[StageSpec]) -> tuple[WiredStage, ...]:
    """Return the stages with the sources of their parameters.

    Raises
    ------
    WiringError
        If a parameter cannot be given what is said, or what it takes is not clear.
    UnknownInputError
        If a stage depends on one that is not there.
    """
    names = dict.fromkeys(spec.name for spec in specs)
    found = [Wiring(workflow, spec, names) for spec in specs]
    named_by = Counter(name for one in found for name in one.known_inputs)
    return tuple(one.wired(named_by) for one in found)
