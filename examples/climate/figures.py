"""The figures of a run as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from asyncexec.plan.memory import format_bytes

if TYPE_CHECKING:
    from asyncexec.engine import Result, StageResult

HEADINGS = ("stage", "tasks", "read", "written", "projected", "measured", "seconds")


def stages_table(result: Result) -> Table:
    """Return a row for each stage of a run; memory is that of one task, with its process."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(HEADINGS[0], overflow="fold")
    for heading in HEADINGS[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in result.stages:
        table.add_row(*cells(stage))
    return table


def cells(stage: StageResult) -> tuple[str, ...]:
    """Return the row of one stage, as ``HEADINGS``."""
    return (
        escape(stage.name),
        f"{stage.completed:,}",
        format_bytes(stage.read_bytes),
        format_bytes(stage.written_bytes),
        format_bytes(stage.projected_bytes),
        format_bytes(stage.peak_bytes) if stage.peak_bytes else "-",
        f"{stage.wall_seconds:.2f}",
    )


def run_table(result: Result, *, allowed_bytes: int) -> Table:
    """Return what all of a run took, a row for each figure."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(no_wrap=True)
    for name, figure in (
        ("stages", f"{len(result.stages):,}"),
        ("tasks", f"{result.tasks:,}"),
        ("attempts", f"{result.attempts:,}"),
        ("retries", f"{result.retries:,}"),
        ("backups", f"{result.backups:,}"),
        ("bytes read", format_bytes(sum(s.read_bytes for s in result.stages))),
        ("bytes written", format_bytes(sum(s.written_bytes for s in result.stages))),
        ("peak memory of a task", memory_text(result, allowed_bytes)),
        ("wall time", f"{result.wall_seconds:.2f} s"),
    ):
        table.add_row(name, figure)
    return table


def memory_text(result: Result, allowed_bytes: int) -> str:
    """Return what tasks held at most, against what was projected and allowed."""
    projected = max((s.projected_bytes for s in result.stages), default=0)
    measured = (
        f"{format_bytes(result.peak_bytes)} measured"
        if result.peak_bytes
        else f"not measured on {result.executor}"
    )
    return f"{measured}, {format_bytes(projected)} projected, {format_bytes(allowed_bytes)} allowed"
