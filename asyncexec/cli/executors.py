"""`asyncexec executors`: where plans can run, and what that can do."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from asyncexec.backends.features import ExecutorFeatures, executor_features
from asyncexec.backends.registry import unknown
from asyncexec.cli.feature_descriptions import (
    COLUMNS,
    SHORT_COLUMNS,
    describe,
    describe_briefly,
)
from asyncexec.engine.executor_options import RUN_OPTIONS


def executors(
    name: Annotated[
        str | None, typer.Argument(help="One executor, with its options.", show_default=False)
    ] = None,
) -> None:
    """Say where plans can run, and what each executor can do."""
    known = executor_features()
    console = Console(highlight=False)
    if name is None:
        console.print(_overview(known))
        console.print("\n[bold]asyncexec executors NAME[/bold] tells more, with its options.")
        return
    chosen = next((k for k in known if k.name == name), None)
    if chosen is None:
        raise unknown(name)
    _tell(console, chosen)


def _overview(known: tuple[ExecutorFeatures, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("executor", *SHORT_COLUMNS, "installed"):
        table.add_column(column, no_wrap=True)
    for each in known:
        table.add_row(each.name, *describe_briefly(each), "no" if each.missing else "yes")
    return table


def _tell(console: Console, executor: ExecutorFeatures) -> None:
    console.print(f"[bold]{executor.name}[/bold]: {_plain(executor.summary)}")
    if executor.install:
        console.print(f"not installed: {escape(executor.install)}")
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_column(style="bold")
    facts.add_column()
    said = describe(executor)
    for column in COLUMNS:
        facts.add_row(column, _plain(said[column]))
    console.print(facts)
    options = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("option", "default", ""):
        options.add_column(column)
    for option in executor.options:
        default = "required" if option.default is None else option.default
        options.add_row(option.name, escape(default), _plain(option.meaning))
    console.print()
    console.print(options)
    console.print(f"\nEvery executor takes {', '.join(RUN_OPTIONS)} as well.")


def _plain(text: str) -> str:
    """Return a docstring's text without its markup, and without any of Rich's."""
    return escape(text.replace("``", ""))
