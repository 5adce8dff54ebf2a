"""The progress of a long simulation: a bar on standard error, where that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import (
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress_bar import ProgressBar
from rich.text import Text

if TYPE_CHECKING:
    from asyncexec.simulation.comparison import OnRun, Variant

_WIDTH = 32


class _Live(ProgressColumn):
    """A column that is made anew each time it is drawn, in the thread that draws."""

    max_refresh = None

    def __init__(self, draw: Callable[[], RenderableType]) -> None:
        self._draw = draw
        super().__init__()

    def render(self, task: Task) -> RenderableType:
        return self._draw()


@contextmanager
def simulation_bar(runs: int, *, quiet: bool) -> Generator[OnRun]:
    """Show a bar of so many runs; call what this gives when each of them starts."""
    begun = 0
    share: Callable[[], float] = float
    console = Console(stderr=True)
    shown = console.is_terminal and not quiet
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        _Live(lambda: ProgressBar(total=runs, completed=max(0, begun - 1) + share(), width=_WIDTH)),
        _Live(lambda: Text(f"run {begun} of {runs}, {share():.0%}")),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("simulating", total=None)

        def starts(variant: Variant, seed: int, complete: Callable[[], float]) -> None:
            nonlocal begun, share
            begun, share = begun + 1, complete
            progress.update(task, description=f"{variant}, seed {seed}")

        yield starts
