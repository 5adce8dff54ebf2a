"""Late stages: a map over the items of a value, and the stages that read it, whose sizes are known only during the run.

A late stage has a :class:`~asyncexec.plan.stage.LateSize`. The plan itself never changes: a run replaces the stage by
:func:`resolved`, which has its size, as soon as the stages it waits for are complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from asyncexec.errors import PlanError, StageSizeError
from asyncexec.plan.relations import All, Blockwise, Opaque, Relation, identity
from asyncexec.plan.stage import LateSize, Read, Stage
from asyncexec.plan.validation import check_stage

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape

_MAY_CHANGE = ("shape", "kernel", "inputs", "outputs", "late")


def sized_by(stage: str, *others: Stage, after: Sequence[str] = ()) -> LateSize:
    """Return the late size of a stage with one task for each item of the value of ``stage``, which is a single task.

    ``others`` are the stages that it reads besides; it begins when the stages ``after`` are complete, too.
    """
    return LateSize(waits_for=_waited_for(others, stage, *after), resolve=OneTaskAnItem(stage))


def following(
    *read: Stage, along: Stage | None = None, after: Sequence[str] = ()
) -> LateSize | None:
    """Return the late size of a stage that reads ``read``; None where it is not late.

    It is as large as ``along``, which is one of them, or has the shape that it has already. It begins when the stages
    ``after`` are complete too, of which it reads nothing.
    """
    if along is not None and along.grows and not after and all(s is along for s in read):
        return LateSize(waits_for=(), resolve=AsLargeAs(along.name), reads_values=False, grows=True)
    waits_for = _waited_for(read, *after)
    if not waits_for:
        return None
    resolve = AsLargeAs(None if along is None else along.name)
    return LateSize(waits_for=waits_for, resolve=resolve, reads_values=False)


@dataclass(frozen=True, slots=True)
class OneTaskAnItem:
    """A ``LateSize.resolve`` that gives a stage one task for each item of the value of another."""

    stage: str

    def __call__(
        self, stage: Stage, values: Mapping[str, Any], shapes: Mapping[str, Shape]
    ) -> Stage:
        value = values[self.stage]
        try:
            count = len(value)
            iter(value)
        except TypeError as error:
            kind = type(value).__name__
            raise StageSizeError(
                f"stage {stage.name!r} maps over the value of {self.stage!r}, which is {_a(kind)}: have "
                f"{self.stage!r} return a list, or anything else that has a length and can be gone through"
            ) from error
        return of_shape(stage, (count,), shapes)


@dataclass(frozen=True, slots=True)
class AsLargeAs:
    """A ``LateSize.resolve`` that gives a stage the shape of another, or leaves it the one it has."""

    stage: str | None

    def __call__(
        self, stage: Stage, values: Mapping[str, Any], shapes: Mapping[str, Shape]
    ) -> Stage:
        return of_shape(stage, stage.shape if self.stage is None else shapes[self.stage], shapes)


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


def _waited_for(read: Sequence[Stage], *names: str) -> tuple[str, ...]:
    """Return ``names``, and what the late ones among the stages ``read`` wait for, each once.

    Of one that grows, all of it is waited for.
    """
    late = (n for stage in read for n in ((stage.name,) if stage.grows else stage.waits_for))
    return tuple(dict.fromkeys((*names, *late)))


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
