"""The fingerprint of a plan: a hash of what it computes that is the same in every process."""

from __future__ import annotations

from asyncexec.plan.fingerprint.digest import Digest
from asyncexec.plan.stage import Items, Read, Stage, Stages

FORMAT = "asyncexec-plan-1"


def fingerprint(plan: Stages, said: object = None) -> str:
    """Return a hash of ``plan``, as 32 hexadecimal digits, that changes when its results could change.

    Hashed are, for every stage: its name, kernel, index space, inputs (items by content), relations, outputs and
    ``identity``; and ``said``, what a front end adds. Not hashed are the plan's name, memory, resources and policies,
    which do not change results.
    """
    digest = Digest()
    stages = [_stage(digest, stage) for stage in sorted(plan.stages, key=lambda s: s.name)]
    parts: tuple[object, ...] = (FORMAT, stages, plan.returns)
    if said is not None:
        parts = (*parts, said)
    return digest.of(parts).hex()


def _stage(digest: Digest, stage: Stage) -> tuple[object, ...]:
    inputs = [given.values if isinstance(given, Items) else _read(given) for given in stage.inputs]
    parts: tuple[object, ...] = (stage.shape, inputs, stage.outputs, stage.identity)
    if stage.late is not None:
        parts = (*parts, stage.late)
    return stage.name, digest.of(stage.kernel), digest.of(parts)


def _read(read: Read) -> tuple[object, ...]:
    parts = (read.stage, read.relation, read.many)
    return (*parts, read.item) if read.item else parts
