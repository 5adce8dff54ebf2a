"""What a plan computes, as a hash that is the same in every process."""

from __future__ import annotations

from asyncexec.plan.digest import Digest
from asyncexec.plan.stage import Items, Stage, Stages

FORMAT = "asyncexec-plan-1"


def fingerprint(plan: Stages) -> str:
    """Return 32 hexadecimal digits that change when what ``plan`` computes changes.

    Hashed are, for every stage: its name, kernel, index space, inputs (items by content), relations, outputs and
    ``identity``. Not hashed is what only says how to run it: the plan's name, memory, resources, policies.
    """
    digest = Digest()
    stages = [_stage(digest, stage) for stage in sorted(plan.stages, key=lambda s: s.name)]
    return digest.of((FORMAT, stages, plan.returns)).hex()


def _stage(digest: Digest, stage: Stage) -> tuple[object, ...]:
    inputs = [
        i.values if isinstance(i, Items) else (i.stage, i.relation, i.many) for i in stage.inputs
    ]
    parts = (stage.shape, inputs, stage.outputs, stage.identity)
    return stage.name, digest.of(stage.kernel), digest.of(parts)
