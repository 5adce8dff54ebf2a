"""The fingerprint of a plan: a hash of what it computes that is the same in every process."""

from __future__ import annotations

from dataclasses import replace
from typing import Self

from asyncexec.errors import SerializationError
from asyncexec.plan.fingerprint.digest import Digest
from asyncexec.plan.spelling import one_spelling
from asyncexec.plan.stage import Items, Read, Stage, Stages

FORMAT = "asyncexec-plan-2"


class Fingerprint(str):
    """A fingerprint, as 32 hexadecimal digits.

    Attributes
    ----------
    refused : str
        Why the plan cannot be compared with that of another run; empty if it can.
    """

    __slots__ = ("refused",)
    refused: str

    def __new__(cls, digits: str, refused: str = "") -> Self:
        """Make it of its digits."""
        made = super().__new__(cls, digits)
        made.refused = refused
        return made


def fingerprint(plan: Stages, said: object = None, *, strict: bool = False) -> Fingerprint:
    """Return a hash of ``plan``, as 32 hexadecimal digits, that changes when its results could change.

    With ``strict``, what has no comparable content is a SerializationError that names the stage; else it counts by its
    type. The hash is the same.

    Hashed are, for every stage: its name, kernel, index space, inputs (items by content), relations, outputs and
    ``identity``; and ``said``, what a front end adds. Not hashed are the plan's name, memory, resources and policies,
    which do not change results.
    """
    digest = Digest(strict=strict)
    refused = ""
    stages = []
    for stage in sorted(plan.stages, key=lambda s: s.name):
        stages.append(_stage(digest, stage))
        if digest.refused and not refused:
            refused = _incomparable(stage, digest.refused)
    parts: tuple[object, ...] = (FORMAT, stages, plan.returns)
    if said is not None:
        parts = (*parts, said)
    return Fingerprint(digest.of(parts).hex(), refused)


def kernel_fingerprint(stage: Stage) -> str:
    """Return a hash of what the kernel of ``stage`` does, with all that it closes over.

    Raises
    ------
    SerializationError
        If it closes over something that has no comparable content (a lock, an open file).
    """
    try:
        return Digest(strict=True).of(stage.kernel).hex()
    except SerializationError as error:
        raise SerializationError(
            f"stage {stage.name!r} is cached by its code and inputs, and its function uses something that cannot be "
            f"compared: {error}. Make it inside the function, or leave out cache='inputs'"
        ) from error


def _stage(digest: Digest, stage: Stage) -> tuple[object, ...]:
    try:
        return _parts(digest, stage)
    except SerializationError as error:
        raise SerializationError(_incomparable(stage, str(error))) from error


def _incomparable(stage: Stage, reason: str) -> str:
    return f"stage {stage.name!r} cannot be compared with that of another run: {reason}"


def _parts(digest: Digest, stage: Stage) -> tuple[object, ...]:
    inputs = [given.values if isinstance(given, Items) else _read(given) for given in stage.inputs]
    outputs = tuple(replace(o, location=one_spelling(o.location)) for o in stage.outputs)
    identity = stage.identity() if callable(stage.identity) else stage.identity
    parts: tuple[object, ...] = (stage.shape, inputs, outputs, identity)
    if stage.late is not None:
        parts = (*parts, stage.late)
    return stage.name, digest.of(stage.kernel), digest.of(parts)


def _read(read: Read) -> tuple[object, ...]:
    parts = (read.stage, read.relation, read.many)
    return (*parts, read.item) if read.item else parts
