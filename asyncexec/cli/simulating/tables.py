"""Tables of the figures of simulated runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median

from rich.table import Table

from asyncexec.cli.figures import table_of
from asyncexec.observers.formatting import seconds
from asyncexec.plan.memory import format_bytes
from asyncexec.simulation.comparison import Compared, Comparison, Spread
from asyncexec.simulation.what_if import WhatIf


def comparison_table(compared: Comparison, rows: Sequence[Compared]) -> Table:
    """Return a column for each of ``rows``, and a row for each figure that one of them has."""
    table = table_of("", *(row.variant.rule for row in rows), gap=1)
    table.columns[0].style = "bold"
    for name, cell in _figures(compared):
        cells = [cell(row) for row in rows]
        if any(cells):
            table.add_row(name, *(each or "-" for each in cells))
    return table


def what_if_table(what_if: WhatIf) -> Table:
    """Return a row for the recorded run, and one for each of its simulations elsewhere."""
    there, run = what_if.there, what_if.run
    priced = there.case.cluster.priced
    headings = ("stages", "takes", "per seed", "faster", "work", "backups", *["cost"] * priced)
    table = table_of("", *headings)
    times = seconds(run.wall_seconds), "", "", seconds(run.slot_seconds)
    cost = [_money(what_if.measured_cost)] * priced
    table.add_row("measured", "", *times, f"{run.backups:,}", *cost, style="dim")
    for row in () if what_if.refused else there.rows:
        makespan = row.spread("makespan_seconds")
        table.add_row(
            row.variant.rule,
            "barriers" if row.variant.barriers else "pipelined",
            seconds(makespan.median),
            _range(makespan),
            f"{run.wall_seconds / makespan.median:,.3g}x" if run.whole and makespan.median else "",
            seconds(row.spread("slot_seconds").median),
            _count("backups")(row) or "0",
            *[_money(row.spread("cost").median)] * priced,
        )
    return table


def _range(spread: Spread) -> str:
    """Return the range of a time over seeds; empty where all are the same."""
    least, most = seconds(spread.least), seconds(spread.most)
    return "" if least == most else f"{least} - {most}"


def _money(cost: float) -> str:
    return f"{cost:,.2f}" if cost >= 1 or not cost else f"{cost:.3g}"


type _Cell = Callable[[Compared], str]


def _figures(compared: Comparison) -> list[tuple[str, _Cell]]:
    """Return the names of figures, and their cells for a variant; a cell is empty where it says nothing."""
    first, priced = compared.rows[0], compared.case.cluster.priced
    return [
        ("takes", _middle("makespan_seconds", seconds)),
        ("  per seed", lambda row: _range(row.spread("makespan_seconds"))),
        ("ideal", _middle("ideal_seconds", seconds)),
        ("efficiency", _middle("efficiency", lambda share: f"{share:.0%}")),
        ("faster by", lambda row: "" if row is first else f"{compared.faster(row).median:.3g}x"),
        ("attempt, median", _percentile("p50")),
        ("  90%", _percentile("p90")),
        ("  99%", _percentile("p99")),
        ("  99.9%", _percentile("p99.9")),
        ("worker time", _middle("slot_seconds", seconds)),
        ("  wasted", _wasted),
        ("billed time", _billed),
        ("cost", _middle("cost", lambda cost: _money(cost) if priced else "")),
        ("backups", _count("backups")),
        ("  were first", _count("useful_backups")),
        ("  useless", _useless),
        ("retries", _count("retries")),
        ("workers lost", _count("lost_workers")),
        ("memory at most", _memory),
        ("driver events/s", _middle("events_per_second", lambda rate: f"{rate:,.0f}")),
    ]


def _middle(figure: str, text: Callable[[float], str]) -> _Cell:
    return lambda row: text(row.spread(figure).median)


def _percentile(name: str) -> _Cell:
    """Return cells with a percentile of attempts' seconds; empty where none succeeded."""
    return lambda row: "" if math.isnan(row.percentile(name)) else seconds(row.percentile(name))


def _count(figure: str) -> _Cell:
    """Return cells with the median of a count over seeds; empty where it is always 0."""
    return lambda row: f"{row.spread(figure).median:,.0f}" if row.spread(figure).most else ""


def _wasted(row: Compared) -> str:
    return f"{median(run.wasted_seconds / max(run.slot_seconds, 1e-9) for run in row.runs):.1%}"


def _billed(row: Compared) -> str:
    """Return the billed time where it differs from worker time."""
    billed, taken = row.spread("billed_seconds"), row.spread("slot_seconds")
    return "" if billed == taken else seconds(billed.median)


def _useless(row: Compared) -> str:
    """Return the difference of the two medians above it: its own median would not add up with them."""
    backups, first = row.spread("backups"), row.spread("useful_backups")
    return f"{round(backups.median) - round(first.median):,}" if backups.most else ""


def _memory(row: Compared) -> str:
    peak = row.spread("peak_bytes").most
    return format_bytes(peak) if peak else ""
