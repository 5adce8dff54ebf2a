"""How far a long simulation is: a bar on standard error, where that is a terminal."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.simulation.comparison import Variant


@contextmanager
def simulation_bar(runs: int, *, quiet: bool) -> Generator[Callable[[Variant, int], None]]:
    """Show a bar of so many runs; call what this gives before each of them."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeElapsedColumn(),
    )
    shown = console.is_terminal and not quiet
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        bar = progress.add_task("simulating", total=runs)
        begun = 0

        def begins(variant: Variant, seed: int) -> None:
            nonlocal begun
            progress.update(bar, completed=begun, description=f"{variant}, seed {seed}")
            begun += 1

        yield begins
        progress.update(bar, completed=runs)
