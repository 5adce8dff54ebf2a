"""Options of commands that look at what is stored at a place."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from asyncexec.config.assignments import parse_json_pairs
from asyncexec.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

StorageOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=VALUE",
        help="An option of the store (region=eu-west-1); read as JSON where it is JSON. May be given several times. "
        "What the store reads from the environment (AWS_…, GOOGLE_…, AZURE_…) need not be said.",
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]


def storage_options_of(given: list[str] | None) -> dict[str, Any]:
    """Return the options of a store as they are typed.

    Raises
    ------
    OptionError
        If one is not of the form ``NAME=VALUE``, or comes twice.
    """
    return parse_json_pairs(given or (), option="--option")


def check_there(place: str, *, what: str) -> None:
    """Check that a local ``place`` exists.

    Raises
    ------
    OptionError
        If it does not.
    """
    if "://" not in place and not Path(place).exists():
        raise OptionError(f"there is no folder {place}: give {what}")


@contextmanager
def counter(what: str, *, shown: bool) -> Generator[Callable[[str], None]]:
    """Count on standard error, where that is a terminal, how often the function is called that it gives."""
    with bar(shown=shown) as progress:
        count = 0

        def looked_at(_name: str) -> None:
            nonlocal count
            count += 1
            progress(what, count, 0)

        yield looked_at


@contextmanager
def bar(*, shown: bool) -> Generator[Callable[[str, int, int], None]]:
    """Show a bar on standard error, where that is a terminal; what it gives takes a name, how many, and of how many."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not (shown and console.is_terminal)
    ) as progress:
        tasks: dict[str, Any] = {}

        def tell(name: str, done: int, of: int) -> None:
            if name not in tasks:
                tasks.clear()
                for task in list(progress.task_ids):
                    progress.remove_task(task)
                tasks[name] = progress.add_task(name or "chunks", total=of or None)
            progress.update(tasks[name], completed=done, total=of or None)

        yield tell
