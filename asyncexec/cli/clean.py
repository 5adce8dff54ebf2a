"""``asyncexec clean``: remove what runs that failed or were killed have left in a work directory."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asyncexec.cli.invocation import AsJson, Invocation
from asyncexec.cli.settings import Traceback
from asyncexec.config.durations import parse_duration
from asyncexec.errors import OptionError
from asyncexec.observers.formatting import ago
from asyncexec.plan.memory import format_bytes
from asyncexec.storage import clean, clear_cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncexec.storage.workspace.cleaning import Leftover


def clean_work_dir(
    context: typer.Context,
    work_dir: Annotated[str, typer.Argument(metavar="WORK_DIR", help="A folder, or a URL.")],
    *,
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="TIME", help="How long nothing was written: 2h, 7d; 0 for all."
        ),
    ] = "1d",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what is there, and remove nothing.")
    ] = False,
    cache: Annotated[bool, typer.Option("--cache", help="Remove all cached results, too.")] = False,
    as_json: AsJson = False,
    traceback: Traceback = False,
) -> None:
    """Remove what runs that failed or were killed have left in a work directory.

    A run that was to be resumed leaves its values there. What a living run uses stays.
    """
    invocation: Invocation = context.obj
    invocation.traceback = traceback
    age = parse_duration(older_than, what="--older-than")
    if "://" not in work_dir and not Path(work_dir).is_dir():
        raise OptionError(f"there is no folder {work_dir}: give the work_dir of runs")
    found = clean(work_dir, older_than=age, dry_run=dry_run)
    cached = clear_cache(work_dir) if cache and not dry_run else 0
    if as_json:
        listed = [asdict(left) for left in found]
        typer.echo(json.dumps({"folders": listed, "cached_results_removed": cached}, indent=2))
        return
    _print(found, dry_run=dry_run)
    if cached:
        typer.echo(f"{cached:,} cached results removed")


def _print(found: Sequence[Leftover], *, dry_run: bool) -> None:
    if not found:
        typer.echo("nothing is left there")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("run", overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("last used")
    table.add_column("")
    for left in found:
        used = ago(left.used_at) if left.used_at else ""
        state = "removed" if left.removed else "in use" if left.in_use else "kept"
        table.add_row(escape(left.name), format_bytes(left.nbytes), used, state)
    Console(highlight=False).print(table)
    removed = [left for left in found if left.removed]
    if not dry_run:
        size = format_bytes(sum(left.nbytes for left in removed))
        typer.echo(f"{len(removed)} of {len(found)} removed, {size}")
