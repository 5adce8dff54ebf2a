"""``asyncexec clean``: a list of what runs that failed or were killed have left at a place, and its removal."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asyncexec.cli.exit_codes import EXIT_FAILURE
from asyncexec.cli.invocation import AsJson, Invocation
from asyncexec.cli.places import Quiet, StorageOption, check_there, counter, storage_options_of
from asyncexec.cli.settings import Traceback
from asyncexec.config.durations import parse_duration
from asyncexec.errors import OptionError
from asyncexec.observers.formatting import ago
from asyncexec.plan.memory import format_bytes
from asyncexec.storage import clean, clear_cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncexec.storage import Leftover


def clean_place(
    context: typer.Context,
    place: Annotated[
        str,
        typer.Argument(
            metavar="PLACE",
            help="A work directory, or what arrays are stored in: a folder, or a URL.",
        ),
    ],
    *,
    remove: Annotated[
        bool, typer.Option("--remove", "--yes", "-y", help="Remove what is old enough.")
    ] = False,
    older_than: Annotated[
        str,
        typer.Option(
            "--older-than", metavar="TIME", help="How long nothing was written: 2h, 7d; 0 for all."
        ),
    ] = "1d",
    option: StorageOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List what is there, as without --remove.")
    ] = False,
    cache: Annotated[
        bool, typer.Option("--cache", help="With --remove: remove all cached results, too.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> int:
    """List what runs that failed or were killed have left at a place; with --remove, remove it.

    What can be resumed is listed with how. What a living run uses stays, and so does all that runs have not made. The
    exit code is 1 where something cannot be removed.
    """
    invocation: Invocation = context.obj
    invocation.traceback = traceback
    if remove and dry_run:
        raise OptionError("--remove and --dry-run were both given: leave one of them out")
    age = parse_duration(older_than, what="--older-than")
    check_there(place, what="the work_dir of runs, or a folder of arrays")
    options = storage_options_of(option)
    with counter("looked at", shown=not quiet and not as_json) as looked_at:
        found = clean(
            place, older_than=age, storage_options=options, remove=remove, progress=looked_at
        )
    cached = clear_cache(place, storage_options=options) if cache and remove else 0
    if as_json:
        listed = [asdict(left) for left in found]
        typer.echo(json.dumps({"leftovers": listed, "cached_results_removed": cached}, indent=2))
    else:
        _print(found, remove=remove, older_than=older_than)
        if cached:
            typer.echo(f"{cached:,} cached results removed")
    return EXIT_FAILURE if any(left.problem for left in found) else 0


def _print(found: Sequence[Leftover], *, remove: bool, older_than: str) -> None:
    if not found:
        typer.echo("nothing is left there")
        return
    console = Console(highlight=False)
    console.print(_table(found))
    for left in found:
        if left.resume and not left.removed:
            console.print(f"{escape(left.name)} can be resumed by {escape(left.resume)}")
        if left.problem:
            console.print(f"[red]{escape(left.problem)}[/red]")
    removed = [left for left in found if left.removed]
    size = format_bytes(sum(left.nbytes for left in (removed if remove else found)))
    if remove:
        typer.echo(f"{len(removed)} of {len(found)} removed, {size}")
    else:
        typer.echo(f"{len(found)} left, {size}; --remove removes what is older than {older_than}")


def _table(found: Sequence[Leftover]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("name", overflow="fold")
    table.add_column("what", overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("last used")
    table.add_column("plan or run", overflow="fold")
    table.add_column("")
    for left in found:
        used = ago(left.used_at) if left.used_at else ""
        made_by = left.run or left.plan[:16]
        table.add_row(
            escape(left.name),
            left.kind,
            format_bytes(left.nbytes),
            used,
            escape(made_by),
            _state(left),
        )
    return table


def _state(left: Leftover) -> str:
    if left.removed:
        return "put back" if left.puts_back else "removed"
    if left.in_use:
        return "in use"
    if left.problem:
        return "not removed"
    return "to be put back" if left.puts_back else "kept"
