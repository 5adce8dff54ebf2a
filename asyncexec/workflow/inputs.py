"""The inputs of a workflow's run: which there are, and whether those of a call fit."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from asyncexec.config.fields import nearest
from asyncexec.errors import WorkflowInputError
from asyncexec.workflow.wiring import FromInput, Wired, WiredStage


def inputs_of(stages: Sequence[WiredStage]) -> dict[str, FromInput]:
    """Return the inputs that ``stages`` take, by name; one is required if one of them has no default for it."""
    found: dict[str, FromInput] = {}
    for source in (source for stage in stages for source in stage.inputs):
        if source.name not in found or source.required:
            found[source.name] = source
    return found


def check_inputs(workflow: Wired, inputs: Mapping[str, Any]) -> None:
    """Raise unless ``inputs`` are those of ``workflow``.

    Raises
    ------
    WorkflowInputError
        With all that is missing or surplus, and the nearest names.
    """
    known = workflow.inputs
    problems = [
        *(
            _missing(workflow, name)
            for name, found in known.items()
            if found.required and name not in inputs
        ),
        *(
            _surplus(workflow, name)
            for name in inputs
            if name not in known and not workflow.takes_rest
        ),
        *_not_mappable(workflow, inputs),
    ]
    if problems:
        raise WorkflowInputError(f"workflow {workflow.name!r}: {'; '.join(problems)}")


def _missing(workflow: Wired, name: str) -> str:
    takers = [
        f"parameter {a.parameter!r} of stage {stage.name!r}"
        for stage in workflow.stages
        for a in stage.all_arguments
        if isinstance(a.source, FromInput) and a.source.name == name
    ]
    hint = _hint(name, [stage.name for stage in workflow.stages], "the stage ")
    return f"the input {name!r} is missing ({', '.join(takers)}){hint}"


def _surplus(workflow: Wired, name: str) -> str:
    if any(stage.name == name for stage in workflow.stages):
        return f"{name!r} is a stage, and no input: its value is what its function returns"
    named = ", ".join(workflow.inputs) or "none"
    return f"there is no input {name!r}{_hint(name, workflow.inputs)} (the inputs are: {named})"


def _not_mappable(workflow: Wired, inputs: Mapping[str, Any]) -> Iterator[str]:
    for stage in workflow.stages:
        mapped = stage.mapped
        if mapped is None or not isinstance(mapped.source, FromInput):
            continue
        name = mapped.source.name
        if name not in inputs:
            continue  # Which is a problem of its own.
        value = inputs[name]
        if isinstance(value, str | bytes) or not isinstance(value, Iterable | AsyncIterable):
            yield (
                f"stage {stage.name!r} maps over the input {name!r}, which is of the type {type(value).__name__}: "
                f"give a list of what it is called with"
            )


def _hint(name: str, names: Iterable[str], what: str = "") -> str:
    close = nearest(name, names)
    return f"; did you mean {what}{close[0]!r}?" if close else ""
