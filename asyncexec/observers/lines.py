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
            since, before = self._last.setdefault(run.execution, (now, _completed(run)))
            if now - since >= self._every_seconds:
                self._write(_line(run, (_completed(run) - before) / (now - since)))
                self._last[run.execution] = (now, _completed(run))

    def end(self, run: Tally) -> None:
        self._last.pop(run.execution, None)
        tasks = f"{_completed(run):,} of {formatting.total(run)} tasks"
        parts = [
            f"{run.execution}: {run.status} after {formatting.seconds(run.wall_seconds)}",
            tasks,
        ]
        error = formatting.first_line(run.error) if self._errors else ""
        parts += filter(None, [formatting.incidents(run.stages.values()), error])
        self._write(", ".join(parts))

    def close(self) -> None:
        self._last.clear()

    def _write(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _line(run: Tally, per_second: float) -> str:
    completed, tasks = _completed(run), sum(stage.tasks for stage in run.stages.values())
    share = f" ({completed / tasks:.0%})" if tasks and not run.late else ""
    counted = f"{completed:,} of {formatting.total(run)} tasks{share}"
    parts = [f"{run.execution}: {counted}", formatting.rate(per_second)]
    if per_second > 0 and not run.late:
        parts.append(f"about {formatting.seconds((tasks - completed) / per_second)} left")
    parts += filter(None, [formatting.incidents(run.stages.values())])
    names = [s.name for s in run.stages.values() if s.started_at and not s.ended_at]
    running = [f"{name} ({run.words[name]})" if name in run.words else name for name in names]
    named = ", ".join(running[:_NAMED_STAGES]) + ("…" if len(running) > _NAMED_STAGES else "")
    return ", ".join(parts) + (f"; running: {named}" if running else "")


def _completed(run: Tally) -> int:
    return sum(stage.completed for stage in run.stages.values())
