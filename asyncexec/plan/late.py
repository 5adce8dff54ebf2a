"""Late stages: a map over the items of a value, and the stages that read it, whose sizes are known only during the run.

A late stage has a :class:`~asyncexec.plan.stage.LateSize`. The plan itself never changes: a run replaces the stage by
:func:`resolved`, which has its size, as soon as the stages it waits for are complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from asyncexec.errors import PlanError, StageSizeError
from asyncexec.plan.relations import All, Blockwise, Opaque, Relation, identity
from asyncexec.plan.stage import LateSize, Read, Stage
from asyncexec.plan.validation import check_stage

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape

_MAY_CHANGE = ("shape", "kernel", "inputs", "outputs", "late")


def sized_by(stage: str) -> LateSize:
    """Return the late size of a stage with one task for each item of the value of ``stage``, which is a single task."""
    return LateSize(waits_for=(stage,), resolve=_one_task_an_item)


def following(previous: Stage) -> LateSize | None:
    """Return the late size of a stage as large as ``previous``, or of a single task; None where that is not late."""
    if previous.late is None:
        return None
    return LateSize(
        waits_for=previous.late.waits_for, resolve=_as_large_as_what_it_reads, reads_values=False
    )


def of_shape(stage: Stage, shape: Shape, shapes: Mapping[str, Shape]) -> Stage:
    """Return ``stage`` with the index space ``shape``, and relations from it to stages of ``shapes``.

    Raises
    ------
    StageSizeError
        If a relation cannot be resized.
    """
    inputs = tuple(
        replace(given, relation=_of_shapes(stage, given, shapes[given.stage], shape))
        if isinstance(given, Read)
        else given
        for given in stage.inputs
    )
    return replace(stage, shape=shape, inputs=inputs, late=None)


def resolved(
    plan: str,
    stage: Stage,
    values: Mapping[str, Any],
    stages: Mapping[str, Stage],
) -> Stage:
    """Return the late ``stage`` with its size, which fits the other ``stages``.

    Parameters
    ----------
    plan : str
        Its name, for messages.
    stage : Stage
    values : mapping of str to object
        The values of the stages that it waits for.
    stages : mapping of str to Stage
        The stages whose sizes are known.

    Raises
    ------
    PlanError
        If its size cannot be found or does not fit; the message has the stage, those it waited for, and the cause.
    """
    late = stage.late
    if late is None:
        return stage
    shapes = {name: other.shape for name, other in stages.items()}
    try:
        found = late.resolve(stage, values, shapes)
    except PlanError as error:
        raise type(error)(f"plan {plan!r}: {error}") from error
    except Exception as error:
        raise StageSizeError(
            f"plan {plan!r}: the size of stage {stage.name!r}, which {_listed(late.waits_for)} gives, could not be "
            f"found: {type(error).__name__}: {error}"
        ) from error
    _check_unchanged(plan, stage, found)
    check_stage(plan, found, stages)
    return found


def _one_task_an_item(
    stage: Stage, values: Mapping[str, Any], shapes: Mapping[str, Shape]
) -> Stage:
    (name,) = stage.waits_for
    value = values[name]
    try:
        count = len(value)
        iter(value)
    except TypeError as error:
        kind = type(value).__name__
        raise StageSizeError(
            f"stage {stage.name!r} maps over the value of {name!r}, which is {_a(kind)}: have {name!r} return a list, "
            f"or anything else that has a length and can be gone through"
        ) from error
    return of_shape(stage, (count,), shapes)


def _as_large_as_what_it_reads(
    stage: Stage,
    values: Mapping[str, Any],  # noqa: ARG001 - the form of every resolve
    shapes: Mapping[str, Shape],
) -> Stage:
    if not stage.shape:
        return of_shape(stage, (), shapes)
    return of_shape(stage, shapes[stage.reads[0].stage], shapes)


def _of_shapes(stage: Stage, read: Read, producer: Shape, consumer: Shape) -> Relation:
    relation = read.relation
    if isinstance(relation, All | Opaque):
        return type(relation)(producer, consumer)
    if relation.producer == producer and relation.consumer == consumer:
        return relation
    if isinstance(relation, Blockwise) and relation.is_identity and producer == consumer:
        return identity(producer)
    raise StageSizeError(
        f"stage {stage.name!r} has the index space {consumer} and reads {read.stage!r} of {producer}, and its relation "
        f"for {relation.producer} and {relation.consumer} does not say which tasks read which then: have its "
        f"LateSize.resolve return the relation"
    )


def _check_unchanged(plan: str, stage: Stage, found: Stage) -> None:
    same = replace(found, **{name: getattr(stage, name) for name in _MAY_CHANGE})
    if same != stage or found.late is not None or found.holds_values != stage.holds_values:
        raise StageSizeError(
            f"plan {plan!r}: LateSize.resolve of stage {stage.name!r} returned another stage, {found.name!r}: it may "
            f"set shape, kernel, inputs and outputs, and no more"
        )
    if {read.stage for read in found.reads} - {read.stage for read in stage.reads}:
        raise StageSizeError(
            f"plan {plan!r}: LateSize.resolve of stage {stage.name!r} made it read stages that it did not read before: "
            f"let the stage have an input from each of them from the start"
        )


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join(map(repr, names))


def _a(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"
