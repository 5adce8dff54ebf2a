"""Conditions of stages: each is a stage of its own, which the conditional one waits for, or is called for each item."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from asyncexec.errors import WiringError
from asyncexec.workflow.bound_call import Condition
from asyncexec.workflow.stage_spec import StageSpec
from asyncexec.workflow.wiring import FromStage, WiredStage, Wiring

SUFFIX = "/when"

_SHARED = ("takes_missing", "priority")
"""The options of a stage that its condition has, too."""


def with_conditions(workflow: str, stages: Sequence[WiredStage]) -> tuple[WiredStage, ...]:
    """Return ``stages`` with their conditions wired, and with the stages that decide some of them."""
    names = dict.fromkeys(stage.name for stage in stages)
    return tuple(s for stage in stages for s in _with_condition(workflow, stage, names))


def _with_condition(
    workflow: str, stage: WiredStage, stages: Collection[str]
) -> tuple[WiredStage, ...]:
    when = stage.spec.when
    if when is None:
        return (stage,)
    spec = _spec_of_condition(workflow, stage, when)
    wired = Wiring(workflow, spec, stages).wired({})
    otherwise = (
        f"{when!r}, the condition of {stage.name!r}, is not true"
        if isinstance(when, str)
        else f"the condition of {stage.name!r} does not hold"
    )
    wired = replace(wired, decides=True, spec=_deciding(spec, otherwise))
    if wired.mapped is not None:
        return (replace(stage, condition=wired),)
    return wired, replace(stage, gates=(wired.name,))


def _spec_of_condition(
    workflow: str, stage: WiredStage, when: Callable[..., Any] | str
) -> StageSpec:
    """Return the specification by which a condition is wired: like the stage, where it has the same parameters."""
    name = stage.name + SUFFIX
    options = {key: stage.spec.options[key] for key in _SHARED if key in stage.spec.options}
    if isinstance(when, str):
        return StageSpec(function=_same, name=name, inputs={"value": when}, options=options)
    try:
        parameters = inspect.signature(when).parameters
    except (TypeError, ValueError) as error:
        raise WiringError(
            f"workflow {workflow!r}, stage {stage.name!r}: the parameters of its condition {when!r} are not known: "
            f"{error}"
        ) from error
    inputs: dict[str, str] = {}
    map_on: str | None = None
    for argument in stage.arguments:
        if argument.parameter in parameters:
            source = argument.source
            inputs[argument.parameter] = (
                source.stage if isinstance(source, FromStage) else source.name
            )
            if argument.mapped:
                map_on = inputs[argument.parameter]
    return StageSpec(function=when, name=name, map_on=map_on, inputs=inputs, options=options)


def _deciding(spec: StageSpec, otherwise: str) -> StageSpec:
    return replace(spec, function=Condition(spec.function, otherwise))


def _same(value: Any) -> Any:
    return value
