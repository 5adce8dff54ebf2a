"""Tables of figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from asyncexec.engine import Result


def table_of(*headings: str, gap: int = 2) -> Table:
    """Return an empty table without lines."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, gap, 0, 0))
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if heading or place else "left", no_wrap=True)
    return table


def short_table(result: Result) -> Table:
    """Return a row for each stage of a run, with what happened to its tasks."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage", overflow="fold")
    counts = ("tasks", "attempts", "retries", "backups", "failures")
    shown = [
        c for c in counts if c in ("tasks", "attempts") or any(getattr(s, c) for s in result.stages)
    ]
    for heading in (*shown, "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    for stage in result.stages:
        figures = [f"{getattr(stage, name):,}" for name in shown]
        table.add_row(escape(stage.name), *figures, f"{stage.wall_seconds:.2f}")
    return table
