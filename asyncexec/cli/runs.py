"""``asyncexec runs``: what ran, how it ended, and where its results are."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Container, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import anyio
import typer
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from asyncexec.cli.invocation import AsJson
from asyncexec.errors import OptionError
from asyncexec.observers.formatting import ago, first_line, seconds
from asyncexec.runs.location import default_database
from asyncexec.runs.record import RunRecord
from asyncexec.runs.store import RunStore

Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="Where runs are recorded: a SQLite file, sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.",
        envvar="ASYNCEXEC__DATABASE__URL",
        show_default=False,
        show_envvar=True,
    ),
]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="Its name, its id, or the beginning of its id.")
]

_COLOURS = {"succeeded": "green", "running": "cyan", "cancelled": "yellow"}


def list_runs(
    *,
    status: Annotated[
        str | None,
        typer.Option(
            "--status", "-s", help="Only running, succeeded, failed, cancelled or lost ones."
        ),
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", "-p", help="Only those of this plan or workflow.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many.")] = 20,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """List the latest runs, the latest first."""
    found = _ask(database, lambda runs: runs.list(status=status, plan=plan, limit=limit))
    if as_json:
        _print_json([record.as_json() for record in found])
    elif not found:
        typer.echo("no runs are recorded")
    else:
        _print_list(found)


def show_run(run: RunName, *, database: Database = None, as_json: AsJson = False) -> None:
    """Show a run: its stages, its times, its result or error."""
    record = _ask(database, lambda runs: runs.get(run))
    if as_json:
        _print_json(record.as_json())
    else:
        _print_run(record)


def delete_runs(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN...", help="Names, ids, or beginnings of ids."),
    ],
    *,
    database: Database = None,
    as_json: AsJson = False,
) -> None:
    """Delete the records of runs that have ended; what they wrote elsewhere stays."""

    async def delete(store: RunStore) -> list[RunRecord]:
        return [await store.delete(run) for run in runs]

    deleted = _ask(database, delete)
    if as_json:
        _print_json([record.id for record in deleted])
    else:
        typer.echo(f"deleted {', '.join(record.name for record in deleted)}")


def _ask[T](database: str | None, ask: Callable[[RunStore], Awaitable[T]]) -> T:
    store = RunStore(database or default_database())
    if database and store.file is not None and not store.file.exists():
        raise OptionError(f"there is no database {store.file}: no run has been recorded there")

    async def asked() -> T:
        async with store as runs:
            return await ask(runs)

    return anyio.run(asked)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def _print_list(found: Sequence[RunRecord]) -> None:
    """Print a row for each run; on a narrow terminal without what matters least."""
    seen = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(highlight=False, width=None if seen else _WIDTH_OF_FILES)
    unbounded = console.options.update(width=_WIDTH_OF_FILES)
    tables = [_list_table(found, words, left_out) for words, left_out in _LAYOUTS]
    fitting = (t for t in tables if Measurement.get(console, unbounded, t).maximum <= console.width)
    console.print(next(fitting, tables[-1]))


def _list_table(found: Sequence[RunRecord], words: int, left_out: Container[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    columns = [(name, cell) for name, cell in _COLUMNS.items() if name not in left_out]
    for name, _ in columns:
        table.add_column(name, no_wrap=True, justify="right" if name in _NUMBERS else "left")
    if words:
        table.add_column("result or error", no_wrap=True)
    for record in found:
        said = escape(first_line(record.error or record.result_text, words)) if words else ""
        table.add_row(*(cell(record) for _, cell in columns), *([said] if words else []))
    return table


def _print_run(record: RunRecord) -> None:
    console = Console(highlight=False)
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_column(style="bold")
    facts.add_column()
    for name, said in (
        ("run", escape(f"{record.name} ({record.id})")),
        ("plan", escape(record.plan)),
        ("workflow", escape(record.workflow)),
        ("namespace", escape(record.namespace)),
        ("executor", escape(record.executor)),
        ("status", _status(record)),
        ("started", f"{_time(record.started_at)}, {ago(record.started_at)}"),
        ("time", seconds(record.wall_seconds)),
        ("process", escape(f"{record.pid} on {record.host}")),
        ("history", escape(record.history)),
        ("source", escape(json.dumps(dict(record.source))) if record.source else ""),
        ("result", escape(record.result_text)),
        ("error", escape(record.error)),
    ):
        if said:
            facts.add_row(name, said)
    console.print(facts)
    if record.stages:
        console.print()
        console.print(_stage_table(record))


def _stage_table(record: RunRecord) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("stage", no_wrap=True)
    for column in ("tasks", "resumed", "attempts", "retries", "backups", "failures", "time"):
        table.add_column(column, justify="right", no_wrap=True)
    for stage in record.stages:
        ended = stage.ended_at or record.updated_at
        table.add_row(
            escape(stage.name),
            _tasks(stage.completed, stage.tasks),
            *(
                f"{n:,}" if n else ""
                for n in (
                    stage.resumed,
                    stage.attempts,
                    stage.retries,
                    stage.backups,
                    stage.failures,
                )
            ),
            seconds(ended - stage.started_at) if stage.started_at else "",
        )
    return table


_WIDTH_OF_FILES = 1_000
"""Where nobody sees a terminal, nothing is left out."""


def _status(record: RunRecord) -> str:
    return f"[{_COLOURS.get(record.status, 'red')}]{record.status}[/]"


def _tasks(completed: int, tasks: int) -> str:
    return f"{tasks:,}" if completed == tasks else f"{completed:,} of {tasks:,}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


_COLUMNS: Mapping[str, Callable[[RunRecord], str]] = {
    "run": lambda record: escape(record.name),
    "plan": lambda record: escape(record.plan),
    "executor": lambda record: escape(record.executor),
    "status": _status,
    "tasks": lambda record: _tasks(record.completed, record.tasks),
    "time": lambda record: seconds(record.wall_seconds),
    "started": lambda record: ago(record.started_at),
}
_NUMBERS = ("tasks", "time")
_LAYOUTS = ((60, ()), (30, ()), (30, ("executor",)), (0, ("executor", "time")))
"""From wide to narrow: how much is shown of results and errors, and the columns that are left out."""
