"""``asyncexec runs``: what ran, how it ended, and where its results are."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import anyio
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asyncexec.observers.formatting import first_line, seconds
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
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
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
    as_json: Json = False,
) -> None:
    """List the latest runs, the latest first."""
    found = _ask(database, lambda runs: runs.list(status=status, plan=plan, limit=limit))
    if as_json:
        _print_json([record.as_json() for record in found])
    elif not found:
        typer.echo("no runs are recorded")
    else:
        _print_list(found)


def show_run(run: RunName, *, database: Database = None, as_json: Json = False) -> None:
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
    as_json: Json = False,
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
    async def asked() -> T:
        async with RunStore(database or default_database()) as runs:
            return await ask(runs)

    return anyio.run(asked)


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2))


def _print_list(found: Sequence[RunRecord]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("run", "plan", "executor", "status"):
        table.add_column(column, no_wrap=True)
    for column in ("tasks", "time"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("started", "result or error"):
        table.add_column(column, no_wrap=True)
    for record in found:
        table.add_row(
            escape(record.name),
            escape(record.plan),
            escape(record.executor),
            _status(record),
            _tasks(record.completed, record.tasks),
            seconds(record.wall_seconds),
            _ago(record.started_at),
            escape(first_line(record.error or record.result_text, 60)),
        )
    Console(highlight=False).print(table)


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
        ("started", f"{_time(record.started_at)}, {_ago(record.started_at)}"),
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


def _status(record: RunRecord) -> str:
    return f"[{_COLOURS.get(record.status, 'red')}]{record.status}[/]"


def _tasks(completed: int, tasks: int) -> str:
    return f"{tasks:,}" if completed == tasks else f"{completed:,} of {tasks:,}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _ago(at: float) -> str:
    return f"{seconds(max(0.0, time.time() - at))} ago"
