"""Stages that are only simulated: their kernels do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from asyncexec.plan.relations import All
from asyncexec.plan.stage import ChunkedOutput, LateSize, Read, Stage

if TYPE_CHECKING:
    from asyncexec.plan.box import Shape
    from asyncexec.plan.memory import Memory


def model_stage(
    name: str,
    shape: Shape,
    reads: tuple[Read, ...] = (),
    *,
    memory: Memory,
    operation: str = "",
    idempotent: bool = True,
    holds_values: bool = False,
) -> Stage:
    """Return a stage that is only simulated: its kernel does nothing.

    It writes chunks (of one byte), so that the scheduler moves no values from stage to stage; with ``holds_values`` it
    has values, for which late stages can wait. Stages of one operation learn from each other how long tasks take.
    """
    one = tuple(1 for _ in shape)
    chunks = ChunkedOutput(
        location=f"model/{name}", shape=shape, block=one, unit=one, dtype="uint8"
    )
    return Stage(
        name=name,
        kernel=_nothing,
        shape=shape,
        inputs=reads,
        outputs=() if holds_values else (chunks,),
        memory=memory,
        operation=operation,
        idempotent=idempotent,
    )


def known_late(whole: Stage, waits_for: tuple[str, ...], made: Mapping[str, Stage]) -> Stage:
    """Return a stage whose size is known, as a run knew it: once the stages of ``waits_for`` are complete."""
    if not waits_for:
        return whole
    unknown = tuple(0 for _ in whole.shape)
    reads = tuple(replace(r, relation=All(made[r.stage].shape, unknown)) for r in whole.reads)
    outputs = tuple(replace(output, shape=unknown) for output in whole.outputs)
    late = LateSize(waits_for=waits_for, resolve=partial(_whole, whole), reads_values=False)
    return replace(whole, shape=unknown, inputs=reads, outputs=outputs, late=late)


def _whole(whole: Stage, stage: Stage, *_: object) -> Stage:
    return replace(whole, kernel=stage.kernel)


def _nothing(index: object, *inputs: object) -> None:
    """Do nothing: simulated tasks are not called."""
