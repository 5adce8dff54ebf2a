"""The figures of simulated runs as tables."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from asyncexec.plan.memory import format_bytes
from asyncexec.simulation.comparison import Compared, Comparison, Spread
from asyncexec.simulation.separation import ENOUGH_WITNESSES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from asyncexec.simulation.separation import Separated
    from asyncexec.simulation.what_if import WhatIf

_MINUTE, _HOUR = 60.0, 3600.0
# Of all worker time; what a stage below that does says nothing about the run.
_MATTERS = 0.01


def comparison_table(compared: Comparison, rows: Sequence[Compared]) -> Table:
    """Return a column for each of ``rows``, and a row for each figure that says anything."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("", style="bold", no_wrap=True)
    for row in rows:
        table.add_column(row.variant.rule, justify="right", no_wrap=True)
    for name, cell in _figures(compared):
        cells = [cell(row) for row in rows]
        if any(cells):
            table.add_row(name, *(each or "-" for each in cells))
    return table


def what_if_table(what_if: WhatIf) -> Table:
    """Return a row for the run as it was measured, and one for each way to run it elsewhere."""
    there, run = what_if.there, what_if.run
    priced = there.case.cluster.priced
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    headings = ("stages", "takes", "per seed", "faster", "work", "backups", *["cost"] * priced)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    measured = (
        "measured",
        "",
        time_text(run.wall_seconds),
        "",
        "",
        time_text(run.slot_seconds),
        f"{run.backups:,}",
        *[money_text(what_if.measured_cost)] * priced,
    )
    table.add_row(*measured, style="dim")
    for row in there.rows:
        makespan = row.spread("makespan_seconds")
        table.add_row(
            row.variant.rule,
            "barriers" if row.variant.barriers else "pipelined",
            time_text(makespan.median),
            range_text(makespan),
            f"{run.wall_seconds / makespan.median:,.3g}x" if run.whole and makespan.median else "",
            time_text(row.spread("slot_seconds").median),
            _count_text(row, "backups") or "0",
            *[money_text(row.spread("cost").median)] * priced,
        )
    return table


def blame_lines(what_if: WhatIf) -> list[str]:
    """Return what was made of the slow end of each stage that has one, and matters for the whole."""
    all_seconds = what_if.run.slot_seconds
    return [
        _blame(stage.name, what_if.stages[stage.name])
        for stage in what_if.run.stages
        if what_if.stages[stage.name].slow_share
        and stage.attempts.seconds.sum() > _MATTERS * all_seconds
    ]


def time_text(seconds: float) -> str:
    """Return a time as people read it, to three digits or so."""
    number, unit = _in_units(seconds, seconds)
    return f"{number} {unit}"


def range_text(spread: Spread) -> str:
    """Return how far a time goes from seed to seed; nothing where it is the same."""
    least, _ = _in_units(spread.least, spread.most, digits=2)
    most, unit = _in_units(spread.most, spread.most, digits=2)
    return "" if least == most else f"{least}-{most} {unit}"


def _in_units(seconds: float, alike: float, digits: int = 3) -> tuple[str, str]:
    """Return a time as a number and its unit, which is the one that suits ``alike``."""
    scale, unit = 1.0, "s"
    if 0 < alike < 1:
        scale, unit = 1e-3, "ms"
    elif alike >= 10 * _HOUR:
        scale, unit = _HOUR, "h"
    elif alike >= 10 * _MINUTE:
        scale, unit = _MINUTE, "min"
    number = seconds / scale
    return f"{number:,.0f}" if number >= 10 ** (digits - 1) else f"{number:.{digits}g}", unit


def money_text(cost: float) -> str:
    """Return a sum of money of unknown currency."""
    return f"{cost:,.2f}" if cost >= 1 or not cost else f"{cost:.3g}"


def _figures(compared: Comparison) -> list[tuple[str, Callable[[Compared], str]]]:
    first = compared.rows[0]

    def middle(figure: str, text: Callable[[float], str]) -> Callable[[Compared], str]:
        return lambda row: text(row.spread(figure).median)

    def faster(row: Compared) -> str:
        return "" if row is first else f"{compared.faster(row).median:.3g}x"

    return [
        ("takes", middle("makespan_seconds", time_text)),
        ("  per seed", lambda row: range_text(row.spread("makespan_seconds"))),
        ("ideal", middle("ideal_seconds", time_text)),
        ("efficiency", middle("efficiency", lambda share: f"{share:.0%}")),
        ("faster by", faster),
        ("attempt, median", lambda row: time_text(row.percentile("p50"))),
        ("  90%", lambda row: time_text(row.percentile("p90"))),
        ("  99%", lambda row: time_text(row.percentile("p99"))),
        ("  99.9%", lambda row: time_text(row.percentile("p99.9"))),
        ("worker time", middle("slot_seconds", time_text)),
        ("  wasted", _wasted),
        ("billed time", _billed),
        (
            "cost",
            lambda row: (
                money_text(row.spread("cost").median) if compared.case.cluster.priced else ""
            ),
        ),
        ("backups", lambda row: _count_text(row, "backups")),
        ("  were first", lambda row: _count_text(row, "useful_backups")),
        ("  useless", _useless),
        ("retries", lambda row: _count_text(row, "retries")),
        ("workers lost", lambda row: _count_text(row, "lost_workers")),
        ("memory at most", _memory),
        ("driver events/s", middle("events_per_second", lambda rate: f"{rate:,.0f}")),
    ]


def _wasted(row: Compared) -> str:
    return f"{median(run.wasted_seconds / max(run.slot_seconds, 1e-9) for run in row.runs):.1%}"


def _billed(row: Compared) -> str:
    """Return the time that is billed, where it is not that of attempts as it was."""
    billed, taken = row.spread("billed_seconds"), row.spread("slot_seconds")
    return "" if billed == taken else time_text(billed.median)


def _useless(row: Compared) -> str:
    """Return what is left of the median of all backups: medians of each would not add up."""
    backups, first = row.spread("backups"), row.spread("useful_backups")
    return f"{round(backups.median) - round(first.median):,}" if backups.most else ""


def _count_text(row: Compared, figure: str) -> str:
    """Return the median of a count over seeds; nothing where it is never above 0."""
    spread = row.spread(figure)
    return f"{spread.median:,.0f}" if spread.most else ""


def _memory(row: Compared) -> str:
    peak = row.spread("peak_bytes").most
    return format_bytes(peak) if peak else ""


def _blame(name: str, part: Separated) -> str:
    slow = f"{escape(name)}: {part.slow_share:.1%} of first attempts took over twice the median"
    if part.witnessed:
        share = f"{part.blamed_on_attempts:.0%} laid on attempts"
        return f"{slow}; {part.witnesses:,} tasks had another attempt that tells: {share}"
    laid = "slow attempts" if part.blamed_on_attempts else "slow tasks"
    tell = f"only {part.witnesses:,}" if part.witnesses else "no"
    if part.witnesses >= ENOUGH_WITNESSES:
        return f"{slow}; taken for {laid}, as plan.slow_tail says"
    return f"{slow}; {tell} task{'s' * (part.witnesses > 1)} had another attempt that tells: taken for {laid}"
