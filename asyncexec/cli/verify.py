"""``asyncexec verify``: the check of every chunk that is stored at a place."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from asyncexec import storage
from asyncexec.cli.exit_codes import EXIT_FAILURE
from asyncexec.cli.invocation import AsJson, Invocation
from asyncexec.cli.places import Quiet, StorageOption, bar, check_there, storage_options_of
from asyncexec.cli.settings import Traceback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncexec.storage import ArrayReport, ChunksFound, Verification


def verify_place(
    context: typer.Context,
    place: Annotated[
        str, typer.Argument(metavar="PLACE", help="A Zarr array or group: a folder, or a URL.")
    ],
    *,
    option: StorageOption = None,
    dense: Annotated[
        bool,
        typer.Option("--dense", help="Every chunk must be stored, whoever wrote the arrays."),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    traceback: Traceback = False,
) -> int:
    """Read every chunk of an array, or of all arrays in a group; list what is missing, damaged or unfinished.

    Nothing is changed. The exit code is 0 where every array is complete and can be read, and 1 where one is not.
    """
    invocation: Invocation = context.obj
    invocation.traceback = traceback
    check_there(place, what="a Zarr array or group")
    with bar(shown=not quiet and not as_json) as tell:
        report = storage.verify(
            place, storage_options=storage_options_of(option), dense=dense, progress=tell
        )
    if as_json:
        typer.echo(json.dumps(report_json(report), indent=2))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for line in lines(report):
            console.print(line)
    return 0 if report.ok else EXIT_FAILURE


def report_json(report: Verification) -> dict[str, Any]:
    """Return a report in plain types."""
    arrays = [asdict(array) | {"ok": array.ok} for array in report.arrays]
    return asdict(report) | {"ok": report.ok, "arrays": arrays}


def lines(report: Verification) -> Iterator[str]:
    """Yield what a report says, line by line, in Rich's markup."""
    for array in report.arrays:
        yield _headline(array)
        for finding in _problems(array):
            yield f"  {escape(finding)}"
    yield from map(escape, _listed("other files", report.stray))
    wrong = sum(not array.ok for array in report.arrays)
    if not report.arrays:
        yield "there are no arrays"
    elif wrong:
        yield f"[bold]{wrong:,} of {len(report.arrays):,} arrays are not as they should be[/bold]"
    else:
        yield "all complete and readable"


def _headline(array: ArrayReport) -> str:
    name = escape(array.name) or "the array"
    state = "[green]ok[/green]" if array.ok else "[red]not ok[/red]"
    counts = "" if array.problem else f", {array.stored:,} of {array.chunks:,} chunks stored"
    return f"{name}: {state}{counts}"


def _problems(array: ArrayReport) -> Iterator[str]:
    if array.problem:
        yield array.problem
    if array.unfinished:
        resumed = "; the same plan with resume=True goes on with it" if array.plan else ""
        yield f"not complete: run {array.run} is writing it, or was ended in it{resumed}"
    if array.fill:
        yield f"{array.fill:,} chunks not stored (fill value)"
    if array.staged:
        yield (
            f"an overwrite is under way, or was left: {array.staged.count:,} files of a new array among the chunks; "
            f"asyncexec clean lists it"
        )
    yield from _listed("missing", array.missing)
    yield from _listed("damaged", array.damaged)
    yield from _listed("unfinished files", array.partial)
    yield from _listed("other files", array.stray)


def _listed(what: str, found: ChunksFound) -> Iterator[str]:
    if not found:
        return
    more = found.count - len(found.names)
    rest = f", and {more:,} more" if more else ""
    if what == "damaged":
        yield f"{found.count:,} damaged:"
        yield from (f"  {name}" for name in found.names)
        if more:
            yield f"  and {more:,} more"
    else:
        yield f"{found.count:,} {what}: {', '.join(found.names)}{rest}"
