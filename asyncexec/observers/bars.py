"""Progress bars in a terminal or a notebook, drawn with rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.observers import formatting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console
    from rich.progress import Progress, TaskID

    from asyncexec.events.stage_result import StageResult
    from asyncexec.events.tally import Tally

# More bars than this at once are not read, and take time to draw.
_STAGE_BARS = 8
_NAME_CHARACTERS = 40


class Bars:
    """Draws a bar for each run, and below it one for each of its stages that run now or ended last."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        self._ids: dict[tuple[str, str], TaskID] = {}

    def show(self, runs: Sequence[Tally]) -> None:
        progress = self._open()
        for run in runs:
            stages = list(run.stages.values())
            self._draw(progress, run, "", _name(run.execution), stages)
            if len(stages) > 1:
                self._draw_stages(progress, run, stages)
        for bar in progress.tasks:
            bar.fields["rate"] = formatting.rate(bar.speed) if bar.speed else ""
        progress.refresh()

    def end(self, run: Tally) -> None:
        progress = self._open()
        for (execution, stage), bar in self._ids.items():
            if execution == run.execution:
                progress.stop_task(bar)
                if not stage and run.status != "succeeded":
                    progress.update(bar, description=f"{_name(execution)} {run.status}")
        progress.refresh()

    def close(self) -> None:
        progress, self._progress = self._progress, None
        self._ids.clear()
        if progress is not None:
            progress.stop()

    def _open(self) -> Progress:
        if self._progress is None:
            self._progress = _new_progress(self._console)
            self._progress.start()
        return self._progress

    def _draw_stages(self, progress: Progress, run: Tally, stages: list[StageResult]) -> None:
        shown = {stage.name for stage in _stages_to_show(stages)}
        for stage in stages:
            known = self._ids.get((run.execution, stage.name))
            if stage.name in shown:
                self._draw(progress, run, stage.name, "  " + _name(stage.name), [stage])
            elif known is not None:
                progress.update(known, visible=False)

    def _draw(
        self, progress: Progress, run: Tally, stage: str, name: str, figures: list[StageResult]
    ) -> None:
        execution = run.execution
        completed = sum(f.completed for f in figures)
        # Shown as "?" until all of it is known.
        total = None if any(f.late for f in figures) else sum(f.tasks for f in figures)
        bar = self._ids.get((execution, stage))
        if bar is None:
            # Tasks of an earlier run are complete from the start: they must not count as speed.
            bar = progress.add_task(name, total=total, completed=completed, rate="", incidents="")
            self._ids[execution, stage] = bar
        incidents = formatting.incidents(figures)
        if len(figures) == 1 and not figures[0].ended_at:
            words = _name(run.words.get(figures[0].name, ""))
            incidents = ", ".join(filter(None, [incidents, words]))
        progress.update(bar, total=total, completed=completed, visible=True, incidents=incidents)


def _stages_to_show(stages: list[StageResult]) -> list[StageResult]:
    """Return the stages to show: those that run, then those that ended last."""
    running = [s for s in stages if s.started_at and not s.ended_at]
    ended = sorted(
        (s for s in stages if s.started_at and s.ended_at), key=lambda s: s.ended_at, reverse=True
    )
    return [*running, *ended][:_STAGE_BARS]


def _name(name: str) -> str:
    return name if len(name) <= _NAME_CHARACTERS else name[: _NAME_CHARACTERS - 1] + "…"


def _new_progress(console: Console) -> Progress:
    from rich.progress import (  # noqa: PLC0415 - an optional extra
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", justify="right", markup=False),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
        TextColumn("{task.fields[incidents]}", markup=False),
        console=console,
        # Redrawn by the observer, on the event loop: rich would start a thread for it.
        auto_refresh=False,
    )
