"""Progress as lines of text where there is no terminal, few enough that logs stay short."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from asyncexec.observers import formatting

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

    from asyncexec.events.tally import Tally

_NAMED_STAGES = 3


class Lines:
    """Writes a line for each run every so many seconds, and one at its end."""

    def __init__(
        self,
        console: Console,
        *,
        every_seconds: float,
        errors: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._every_seconds = every_seconds
        self._errors = errors
        self._clock = clock
        # By execution: the time of its last line, and the tasks that were complete then.
        self._last: dict[str, tuple[float, int]] = {}

    def show(self, runs: Sequence[Tally]) -> None:
        now = self._clock()
        for run in runs:
            since, before = self._last.setdefault(run.execution, (now, completed(run)))
            if now - since >= self._every_seconds:
                self._write(progress_of_run(run, (completed(run) - before) / (now - since)))
                self._last[run.execution] = (now, completed(run))

    def end(self, run: Tally) -> None:
        self._last.pop(run.execution, None)
        self._write(end_of_run(run, errors=self._errors))

    def close(self) -> None:
        self._last.clear()

    def _write(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def end_of_run(run: Tally, *, errors: bool) -> str:
    """Return the end of ``run`` as one line, with its error where ``errors`` are wanted."""
    parts = [
        f"{run.execution}: {run.status} after {formatting.seconds(run.wall_seconds)}",
        f"{completed(run):,} of {formatting.total(run)} tasks",
    ]
    error = formatting.first_line(run.error) if errors else ""
    parts += filter(None, [formatting.incidents(run.stages.values()), error])
    return ", ".join(parts)


def progress_of_run(run: Tally, per_second: float) -> str:
    """Return the progress of ``run`` as one line."""
    done, tasks = completed(run), sum(stage.tasks for stage in run.stages.values())
    share = f" ({done / tasks:.0%})" if tasks and not run.late else ""
    counted = f"{done:,} of {formatting.total(run)} tasks{share}"
    parts = [f"{run.execution}: {counted}", formatting.rate(per_second)]
    if per_second > 0 and not run.late:
        parts.append(f"about {formatting.seconds((tasks - done) / per_second)} left")
    parts += filter(None, [formatting.incidents(run.stages.values())])
    names = [s.name for s in run.stages.values() if s.started_at and not s.ended_at]
    running = [f"{name} ({run.words[name]})" if name in run.words else name for name in names]
    named = ", ".join(running[:_NAMED_STAGES]) + ("…" if len(running) > _NAMED_STAGES else "")
    return ", ".join(parts) + (f"; running: {named}" if running else "")


def completed(run: Tally) -> int:
    """Return the number of tasks of ``run`` that are complete."""
    return sum(stage.completed for stage in run.stages.values())
