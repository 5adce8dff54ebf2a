"""A progress bar of simulated runs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from asyncexec.errors import BackendError, ExecutionError, MemoryBudgetError
from asyncexec.simulation.comparison import OnRun, Variant


class _Bar(Progress):
    """Reads the share that is complete each time that it is drawn, in the thread that draws."""

    begun = 0
    run = "simulating"
    share: Callable[[], float] = float

    def get_renderables(self) -> Iterable[RenderableType]:
        share = self.share()
        for task in self.tasks:
            task.completed = max(0, self.begun - 1) + share
            task.description = f"{self.run} (run {self.begun} of {task.total:g}, {share:.0%})"
        yield from super().get_renderables()


@contextmanager
def simulation_bar(runs: int, *, quiet: bool) -> Generator[OnRun]:
    """Show a bar of so many runs, and name the run in an error; yields a function to call when each run starts."""
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=32),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    hidden = quiet or not console.is_terminal
    with _Bar(*columns, console=console, transient=True, disable=hidden) as bar:
        bar.add_task("", total=runs)

        def starts(variant: Variant, seed: int, share: Callable[[], float]) -> None:
            bar.begun, bar.run, bar.share = bar.begun + 1, f"{variant}, seed {seed}", share
            if bar.begun > runs:  # Both ends of what is not known are simulated.
                bar.update(bar.task_ids[0], total=2 * runs)

        try:
            yield starts
        except MemoryBudgetError as error:
            message = str(error).replace("Engine(memory=...)", "cluster.memory_bytes")
            raise MemoryBudgetError(message) from error
        except (ExecutionError, BackendError) as error:
            raise ExecutionError(f"on these workers the run fails ({bar.run}): {error}") from error
