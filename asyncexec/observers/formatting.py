"""Figures formatted for people: durations, rates, counts of retries and losses."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from asyncexec.plan.memory import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncexec.events.stage_result import StageResult
    from asyncexec.events.tally import Tally


def incidents(stages: Iterable[StageResult]) -> str:
    """Return retries, backups, losses and the like as text (``"3 retries, 1 backup"``); empty where there were none."""
    stages = tuple(stages)
    counts = (
        (sum(s.retries for s in stages), "retry", "retries"),
        (sum(s.backups for s in stages), "backup", "backups"),
        (sum(s.lost for s in stages), "lost", "lost"),
        (sum(s.timed_out for s in stages), "timed out", "timed out"),
        (sum(s.over_memory for s in stages), "stage over its memory", "stages over their memory"),
    )
    return ", ".join(f"{n:,} {one if n == 1 else many}" for n, one, many in counts if n)


def over_memory(stage: StageResult) -> str:
    """Return that the workers of a stage have held more memory than its tasks may take, as a sentence."""
    sizes = {"may take": stage.allowed_bytes, "is projected to take": stage.projected_bytes}
    stated = " and ".join(f"{verb} {format_bytes(size)}" for verb, size in sizes.items() if size)
    return (
        f"stage {stage.name!r}: a worker held {format_bytes(stage.peak_bytes)} while it ran a task, which {stated}. "
        f"Say what its function takes (memory=, extra_memory=), or take smaller chunks or items; "
        f"on 'processes', executor_options={{'memory_limit': 'allowed'}} stops such tasks"
    )


def total(run: Tally) -> str:
    """Return how many tasks a run has (``"1,200"``), as far as is known (``"at least 2"``)."""
    tasks = f"{sum(stage.tasks for stage in run.stages.values()):,}"
    return f"at least {tasks}" if run.late else tasks


def rate(per_second: float) -> str:
    """Return a number of tasks per second as text; a slow rate per minute."""
    if per_second >= 10:
        return f"{per_second:,.0f}/s"
    return f"{per_second:.1f}/s" if per_second >= 1 else f"{per_second * 60:.1f}/min"


def seconds(duration: float) -> str:
    """Return a duration as text: ``"2.5 ms"``, ``"34 ms"``, ``"7.25 s"``, ``"4:07"``, ``"2:15:00"``."""
    if duration < 0.00995:
        return f"{round(duration * 1000, 1):g} ms"
    if duration < 1:
        return f"{duration * 1000:.0f} ms"
    if duration < 59.995:
        return f"{duration:.3g} s" if duration < 10 else f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def ago(at: float) -> str:
    """Return how long ago a time was, which is in seconds since the epoch: ``"4:07 ago"``."""
    return f"{seconds(max(0.0, time.time() - at))} ago"


def first_line(text: str, limit: int = 200) -> str:
    """Return the first line of ``text``, cut to ``limit`` characters."""
    line = text.partition("\n")[0].strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"
