"""A bar while runs are simulated."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from asyncexec.simulation.comparison import OnRun, Variant


class _Bar(Progress):
    """Asks how far the run is each time that it is drawn, in the thread that draws."""

    begun = 0
    share: Callable[[], float] = float

    def get_renderables(self) -> Iterable[RenderableType]:
        share = self.share()
        for task in self.tasks:
            task.completed = max(0, self.begun - 1) + share
            task.fields["run"] = f"run {self.begun} of {task.total:g}, {share:.0%}"
        yield from super().get_renderables()


@contextmanager
def simulation_bar(runs: int, *, quiet: bool) -> Generator[OnRun]:
    """Show a bar of so many runs; call what this gives when each of them starts."""
    console = Console(stderr=True)
    shown = console.is_terminal and not quiet
    said = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=32),
        TextColumn("{task.fields[run]}"),
    )
    columns = SpinnerColumn(), *said, TimeElapsedColumn()
    with _Bar(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("simulating", total=runs, run="")

        def starts(variant: Variant, seed: int, complete: Callable[[], float]) -> None:
            progress.begun, progress.share = progress.begun + 1, complete
            progress.update(task, description=f"{variant}, seed {seed}")

        yield starts
