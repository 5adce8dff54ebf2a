"""Workflows as stages of others: their stages take their place, under names such as ``"prepare/clean"``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError as Circle, TopologicalSorter

from asyncexec.errors import CycleError
from asyncexec.plan.validation import first_come
from asyncexec.workflow.stage_spec import StageSpec
from asyncexec.workflow.wiring import Argument, FromInput, FromStage, Source, Wired, WiredStage

SEPARATOR = "/"


def nested_in(spec: StageSpec) -> Wired | None:
    """Return the workflow that a stage is, or None where it is a function."""
    function: object = spec.function
    return function if isinstance(function, Wired) else None


def flattened(stages: Sequence[WiredStage]) -> tuple[WiredStage, ...]:
    """Return ``stages`` with those of nested workflows in place of these."""
    values = {stage.name: _value_name(stage) for stage in stages}
    flat: list[WiredStage] = []
    for stage in stages:
        outer = renamed(stage, values)
        nested = nested_in(outer.spec)
        flat.extend([outer] if nested is None else _inner(outer, nested))
    return tuple(flat)


def in_order(workflow: str, stages: Sequence[WiredStage]) -> tuple[WiredStage, ...]:
    """Return ``stages`` with producers before their consumers, otherwise in the order given.

    Raises
    ------
    CycleError
        If some take each other's results in a circle.
    """
    position = {stage.name: i for i, stage in enumerate(stages)}
    graph: TopologicalSorter[int] = TopologicalSorter()
    for number, stage in enumerate(stages):
        graph.add(number, *(position[name] for name in stage.waits_for))
    try:
        graph.prepare()
    except Circle as error:
        arrows = " -> ".join(repr(stages[number].name) for number in error.args[1])
        raise CycleError(
            f"stages of workflow {workflow!r} take each other's results in a circle: {arrows} (each arrow goes from a "
            f"stage to one that takes its result, or waits for it); rename a parameter, or take out a depends_on"
        ) from None
    return tuple(stages[number] for number in first_come(graph))


def with_inputs_as_stages(stages: Sequence[WiredStage]) -> tuple[WiredStage, ...]:
    """Return ``stages`` for a picture, in which the inputs that are mapped over are stages, too."""
    mapped = [stage.mapped.source for stage in stages if stage.mapped is not None]
    inputs = dict.fromkeys(source.name for source in mapped if isinstance(source, FromInput))
    given = {name: FromStage(name) for name in inputs}
    shown = (
        WiredStage(name=name, spec=StageSpec(function=list, name=name), arguments=())
        for name in inputs
    )
    return (*shown, *(renamed(stage, {}, given) for stage in stages))


def last_stages(stages: Sequence[WiredStage]) -> tuple[str, ...]:
    """Return the names of those whose results no other takes or waits for."""
    used = {name for stage in stages for name in stage.waits_for}
    return tuple(stage.name for stage in stages if stage.name not in used)


def _value_name(stage: WiredStage) -> str:
    """Return the name of the stage that has the value of ``stage``."""
    inner = nested_in(stage.spec)
    if inner is not None and len(inner.returns) == 1:
        return f"{stage.name}{SEPARATOR}{inner.returns[0]}"
    return stage.name


def _inner(outer: WiredStage, workflow: Wired) -> Iterator[WiredStage]:
    """Yield the stages of a nested workflow, which take what ``outer`` takes."""
    given = {argument.parameter: argument.source for argument in outer.arguments}
    names = {stage.name: f"{outer.name}{SEPARATOR}{stage.name}" for stage in workflow.stages}
    for stage in workflow.stages:
        inner = renamed(stage, names, given)
        yield replace(
            inner,
            name=names[stage.name],
            after=(*inner.after, *outer.after),
            gates=(*inner.gates, *outer.gates),
        )
    if len(workflow.returns) > 1:
        yield _together(outer, workflow, names)


def _together(outer: WiredStage, workflow: Wired, names: Mapping[str, str]) -> WiredStage:
    """Return the stage with the results of a nested workflow that has several, by name."""
    arguments = tuple(
        Argument(parameter=name, source=FromStage(names[name])) for name in workflow.returns
    )
    spec = StageSpec(function=dict, name=outer.name)
    return WiredStage(name=outer.name, spec=spec, arguments=arguments)


def renamed(
    stage: WiredStage, names: Mapping[str, str], given: Mapping[str, Source] | None = None
) -> WiredStage:
    """Return ``stage`` with the names of others changed, and inputs replaced by what is ``given`` for them."""
    arguments = (replace(a, source=_source(a.source, names, given or {})) for a in stage.arguments)
    condition = None if stage.condition is None else renamed(stage.condition, names, given)
    return replace(
        stage,
        arguments=tuple(arguments),
        after=tuple(names.get(name, name) for name in stage.after),
        gates=tuple(names.get(name, name) for name in stage.gates),
        condition=condition,
    )


def _source(source: Source, names: Mapping[str, str], given: Mapping[str, Source]) -> Source:
    if isinstance(source, FromStage):
        return FromStage(names.get(source.stage, source.stage))
    found = given.get(source.name, source)
    # Where a run does not give it, each function has the default of its own.
    return replace(source, name=found.name) if isinstance(found, FromInput) else found
