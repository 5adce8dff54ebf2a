"""``asyncexec plan``: what would run, before it runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from asyncexec.cli.invocation import AsJson, Invocation
from asyncexec.cli.loading import load_plan
from asyncexec.cli.run import Input, Target, With
from asyncexec.cli.settings import Traceback
from asyncexec.config.assignments import parse_json_pairs
from asyncexec.plan.memory import format_bytes

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan


def show_plan(
    context: typer.Context,
    target: Target,
    *,
    inputs: Input = None,
    with_: With = None,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", "-p", metavar="FILE", help="Draw it, as .svg, .png or .dot."),
    ] = None,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Show the stages of a workflow, plan or array: tasks, bytes, projected memory; nothing runs."""
    invocation: Invocation = context.obj
    invocation.traceback = traceback
    found = load_plan(target, parse_json_pairs(inputs or (), option="--input"), configs=with_ or ())
    if picture is not None:
        found.visualize(picture)
    if as_json:
        typer.echo(json.dumps(plan_json(found), indent=2))
        return
    typer.echo(str(found))
    if found.write_bytes:
        typer.echo(f"writes {format_bytes(found.write_bytes)}")
    if found.projected_bytes:
        typer.echo(f"a task needs at most {format_bytes(found.projected_bytes)}")
    if picture is not None:
        typer.echo(f"drawn in {picture}", err=True)


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the figures of a plan in plain types."""
    return {
        "name": plan.name,
        "tasks": plan.tasks,
        "write_bytes": plan.write_bytes,
        "projected_bytes": plan.projected_bytes,
        "returns": list(plan.returns),
        "stages": [
            {
                "name": stage.name,
                "operation": stage.operation,
                "shape": list(stage.shape),
                "tasks": None if stage.is_late else stage.tasks,
                "reads": [read.stage for read in stage.reads],
                "write_bytes": stage.write_bytes,
                "projected_bytes": stage.memory.projected_bytes,
                "resources": dict(stage.resources),
            }
            for stage in plan.stages
        ],
    }
