"""A plan as text: one line, or a tree of its stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.plan.memory import format_bytes
from asyncexec.plan.stage import Items, Read, Stage

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan


def describe(plan: Plan) -> str:
    """Return ``plan`` in one line."""
    return (
        f"<Plan {plan.name!r}: {len(plan.stages)} stages, {plan.tasks:,} tasks, "
        f"writes {format_bytes(plan.write_bytes)}, projected memory {format_bytes(plan.projected_bytes)}>"
    )


def tree(plan: Plan) -> str:
    """Return ``plan`` as one paragraph a stage, in topological order."""
    return "\n".join([describe(plan), *(line for stage in plan.stages for line in _lines(stage))])


def _lines(stage: Stage) -> list[str]:
    lines = [f"  {stage.name}: {stage.operation or 'stage'} {stage.shape}, {stage.tasks:,} tasks"]
    for given in stage.inputs:
        if isinstance(given, Read):
            lines.append(f"    reads {given.stage}: {relation_name(given)}")
        else:
            lines.append(f"    takes {given!r}")
    return lines


def relation_name(read: Read | Items) -> str:
    """Return what kind of relation ``read`` has, in a word."""
    if isinstance(read, Items):
        return "items"
    relation = read.relation
    return (
        "identity" if getattr(relation, "is_identity", False) else type(relation).__name__.lower()
    )
