"""How far a long simulation is: a bar on standard error, where that is a terminal."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
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


@dataclass(slots=True)
class _State:
    """How many runs have begun, and how far the last of them is."""

    runs: int
    begun: int = 0
    share: Callable[[], float] = lambda: 0.0

    @property
    def completed(self) -> float:
        return max(0, self.begun - 1) + self.share()


class _Bar(ProgressColumn):
    """The bar; looked up each time it is drawn, in the thread that draws."""

    max_refresh = None

    def __init__(self, state: _State) -> None:
        self._state = state
        super().__init__()

    def render(self, task: Task) -> ProgressBar:
        return ProgressBar(total=self._state.runs, completed=self._state.completed, width=_WIDTH)


class _Count(ProgressColumn):
    """Which run of how many this is, and how far it is."""

    def __init__(self, state: _State) -> None:
        self._state = state
        super().__init__()

    def render(self, task: Task) -> Text:
        state = self._state
        return Text(f"run {state.begun} of {state.runs}, {state.share():.0%}")


@contextmanager
def simulation_bar(runs: int, *, quiet: bool) -> Generator[OnRun]:
    """Show a bar of so many runs; call what this gives when each of them starts."""
    console = Console(stderr=True)
    state = _State(runs)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        _Bar(state),
        _Count(state),
        TimeElapsedColumn(),
    )
    shown = console.is_terminal and not quiet
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        task = progress.add_task("simulating", total=None)

        def starts(variant: Variant, seed: int, share: Callable[[], float]) -> None:
            state.begun, state.share = state.begun + 1, share
            progress.update(task, description=f"{variant}, seed {seed}")

        yield starts
