"""An observer that adds up a run: figures for each stage, as records and as a table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from asyncexec.events.tally import Tallies
from asyncexec.observers import formatting
from asyncexec.plan.memory import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

    from asyncexec.events.records import AnyEvent
    from asyncexec.events.stage_result import StageResult
    from asyncexec.events.tally import Tally

_COUNTS = ("tasks", "attempts", "retries", "backups", "failed")
_SIZES = ("read", "written", "projected", "peak")
_HEADINGS = ("stage", "operation", *_COUNTS, *_SIZES, "busy", "wall")
_TEXTS = frozenset({"stage", "operation"})
_NOTHING = frozenset({"", "-"})


class Summary:
    """Adds up each run it watches; ``str(summary)`` is a table of the latest, and rich prints it as one.

    >>> summary = ax.Summary()
    >>> result = ax.sync.execute(ax.Plan.map(abs, range(4)).reduce(sum), observers=[summary])
    >>> [(stage.name, stage.completed) for stage in summary.stages]
    [('abs', 4), ('sum', 1)]
    >>> summary.run.status
    'succeeded'

    Parameters
    ----------
    kept : int
        The number of ended runs to remember.
    """

    def __init__(self, kept: int = 64) -> None:
        self._tallies = Tallies(kept)

    def observe(self, events: Sequence[AnyEvent]) -> None:
        """Add ``events`` up."""
        self._tallies.add(events)

    @property
    def runs(self) -> tuple[Tally, ...]:
        """The runs, oldest first: copies, which stay as they are while a run goes on."""
        return tuple(_copy(tally) for tally in self._tallies.runs.values())

    @property
    def run(self) -> Tally | None:
        """The run that started last; None where there was none."""
        latest = next(reversed(self._tallies.runs.values()), None)
        return None if latest is None else _copy(latest)

    @property
    def stages(self) -> tuple[StageResult, ...]:
        """The stages of that run, in the plan's order."""
        run = self.run
        return () if run is None else tuple(run.stages.values())

    def __str__(self) -> str:
        run = self.run
        return "no run yet" if run is None else "\n".join([_title(run), _table(run), *_notes(run)])

    def __rich__(self) -> Table | str:
        """Return the table for rich to print."""
        run = self.run
        return "no run yet" if run is None else _rich_table(run)


def _copy(tally: Tally) -> Tally:
    return replace(tally, stages={name: replace(stage) for name, stage in tally.stages.items()})


def _title(run: Tally) -> str:
    ended = f" in {formatting.seconds(run.wall_seconds)}" if run.ended_at else ""
    on = f" on {run.executor} ({run.slots} slots)" if run.executor else ""
    pauses = f", circuit opened {run.circuit_openings} times" if run.circuit_openings else ""
    error = f": {formatting.first_line(run.error)}" if run.error else ""
    return f"{run.execution}{on}: {run.status}{ended}{pauses}{error}"


def _notes(run: Tally) -> list[str]:
    return [formatting.over_memory(stage) for stage in run.stages.values() if stage.over_memory]


def _row(stage: StageResult) -> tuple[str, ...]:
    total = "?" if stage.late else f"{stage.tasks:,}"
    done = stage.completed == stage.tasks
    tasks = total if stage.late or done else f"{stage.completed:,} of {total}"
    parts = {
        "resumed": stage.resumed,
        "cached": stage.cached,
        "failed": stage.failed_tasks,
        "skipped": stage.skipped_tasks,
    }
    some = ", ".join(f"{count:,} {what}" for what, count in parts.items() if count)
    return (
        stage.name,
        stage.operation,
        tasks + (some and f" ({some})"),
        f"{stage.attempts:,}",
        f"{stage.retries:,}",
        f"{stage.backups:,}",
        f"{stage.failures:,}",
        _bytes(stage.read_bytes),
        _bytes(stage.written_bytes),
        _bytes(stage.projected_bytes),
        _bytes(stage.peak_bytes),
        formatting.seconds(stage.busy_seconds),
        formatting.seconds(stage.wall_seconds),
    )


def _total(stages: Iterable[StageResult]) -> tuple[str, ...]:
    stages = tuple(stages)
    return (
        "total",
        "",
        f"{sum(s.completed for s in stages):,}",
        f"{sum(s.attempts for s in stages):,}",
        f"{sum(s.retries for s in stages):,}",
        f"{sum(s.backups for s in stages):,}",
        f"{sum(s.failures for s in stages):,}",
        _bytes(sum(s.read_bytes for s in stages)),
        _bytes(sum(s.written_bytes for s in stages)),
        _bytes(max((s.projected_bytes for s in stages), default=0)),
        _bytes(max((s.peak_bytes for s in stages), default=0)),
        formatting.seconds(sum(s.busy_seconds for s in stages)),
        "",
    )


def _bytes(size: int) -> str:
    """Return a size as text; a dash for 0, which is what was not measured."""
    return format_bytes(size) if size else "-"


def _columns(run: Tally) -> list[tuple[str, ...]]:
    """Return the columns that are not empty, each with its heading first and its total last."""
    stages = tuple(run.stages.values())
    rows = [_HEADINGS, *map(_row, stages), _total(stages)]
    return [column for column in zip(*rows, strict=True) if not _NOTHING.issuperset(column[1:])]


def _table(run: Tally) -> str:
    columns = [
        [
            cell.ljust(max(map(len, column)))
            if column[0] in _TEXTS
            else cell.rjust(max(map(len, column)))
            for cell in column
        ]
        for column in _columns(run)
    ]
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _rich_table(run: Tally) -> Table:
    from rich.table import Table  # noqa: PLC0415 - an optional extra
    from rich.text import Text  # noqa: PLC0415 - the same

    columns = _columns(run)
    notes = Text("\n".join(_notes(run)))
    table = Table(
        title=Text(_title(run)),
        title_justify="left",
        show_footer=True,
        caption=notes or None,
        caption_justify="left",
    )
    for column in columns:
        justify: Literal["left", "right"] = "left" if column[0] in _TEXTS else "right"
        table.add_column(column[0], Text(column[-1]), justify=justify)
    for row in zip(*(column[1:-1] for column in columns), strict=True):
        table.add_row(*map(Text, row))
    return table
