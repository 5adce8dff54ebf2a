"""Wiring by position, as files have it: a function gets the results of the stages it depends on, in their order.

A stage that depends on none gets the inputs of the run by the names of its parameters.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import Parameter

from asyncexec.workflow.files.definition import StageDefinition
from asyncexec.workflow.stage_spec import StageSpec
from asyncexec.workflow.wiring import Argument, FromInput, FromStage, Source, WiredStage

type Complain = Callable[[str], None]

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
FORBIDDEN = "context"
"""A parameter of this name is refused: the context of a run is what ``get_run_context()`` returns."""


def wire_by_position(
    stage: StageDefinition, spec: StageSpec, complain: Complain
) -> WiredStage | None:
    """Return ``stage`` with the sources of its function's parameters.

    Parameters
    ----------
    stage : StageDefinition
    spec : StageSpec
        With its function.
    complain : callable
        Takes each problem; with one, None is returned.
    """
    try:
        parameters = inspect.signature(spec.function).parameters
    except (TypeError, ValueError) as error:
        complain(f"the parameters of {stage.target} are not known: {error}")
        return None
    if FORBIDDEN in parameters:
        complain(
            f"{stage.target} has a parameter {FORBIDDEN!r}: take it out, and call get_run_context() in the function"
        )
        return None
    placed = [p for p in parameters.values() if p.kind in _BY_POSITION]
    star = next((p for p in parameters.values() if p.kind is Parameter.VAR_POSITIONAL), None)
    rest = any(p.kind is Parameter.VAR_KEYWORD for p in parameters.values())
    sources = list(_sources(stage))
    if stage.mapped and not sources:
        complain(
            f"stage {stage.name!r} is parameterized, and nothing says over what: give it options.map_on, an input of "
            f"the run, or depends_on"
        )
        return None
    if sources and not placed and star is None:
        complain(
            f"{stage.target} takes no arguments by position, and stage {stage.name!r} gives it "
            f"{'items' if stage.mapped else 'results of earlier stages'}"
        )
        return None
    names = [p.name for p in placed]
    if stage.mapped and stage.map_on in names:  # The items go to the parameter of that name.
        names.remove(stage.map_on)
        names.insert(0, stage.map_on)
    given = dict(zip(names, sources, strict=False))
    left = sources[len(given) :]
    all_placed = star is not None and bool(left)
    arguments = [
        Argument(
            parameter=p.name,
            source=given[p.name],
            # Where more follow by their places, those before them must be given by theirs.
            by_keyword=p.kind is Parameter.POSITIONAL_OR_KEYWORD and not all_placed,
            mapped=stage.mapped and p.name == names[0],
        )
        for p in placed
        if p.name in given
    ]
    if star is not None:
        for number, source in enumerate(left):
            mapped = stage.mapped and not names and number == 0
            arguments.append(
                Argument(parameter=star.name, source=source, by_keyword=False, mapped=mapped)
            )
    if not stage.depends_on:
        arguments += _inputs(parameters.values(), given)
    needs = _missing(parameters.values(), arguments)
    if needs:
        complain(
            f"{stage.target} needs {', '.join(map(repr, needs))}, and stage {stage.name!r} gives it "
            f"{_given_text(stage)}"
        )
        return None
    return WiredStage(
        name=stage.name,
        spec=spec,
        arguments=tuple(sorted(arguments, key=lambda a: a.by_keyword)),
        after=tuple(s.stage for s in left if isinstance(s, FromStage) and star is None),
        takes_rest=rest and not stage.depends_on,
    )


def _sources(stage: StageDefinition) -> Iterator[Source]:
    if stage.mapped and stage.map_on:
        yield FromInput(stage.map_on)
    for name in stage.depends_on:
        yield FromStage(name)


def _inputs(parameters: Iterable[Parameter], given: Mapping[str, Source]) -> Iterator[Argument]:
    """Yield the inputs of the run, which a stage that depends on none takes by name."""
    for p in parameters:
        if p.kind in (*_BY_POSITION, Parameter.KEYWORD_ONLY) and p.name not in given:
            yield Argument(
                parameter=p.name,
                source=FromInput(p.name, p.default),
                by_keyword=p.kind is not Parameter.POSITIONAL_ONLY,
            )


def _missing(parameters: Iterable[Parameter], arguments: Iterable[Argument]) -> list[str]:
    known = {argument.parameter for argument in arguments}
    return [
        p.name
        for p in parameters
        if p.default is Parameter.empty
        and p.kind in (*_BY_POSITION, Parameter.KEYWORD_ONLY)
        and p.name not in known
    ]


def _given_text(stage: StageDefinition) -> str:
    items = [f"items of {stage.map_on!r}"] if stage.map_on else []
    results = [f"results of {', '.join(map(repr, stage.depends_on))}"] if stage.depends_on else []
    return " and ".join([*items, *results]) or "nothing"
