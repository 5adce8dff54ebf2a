"""Shows outcomes as tables and keeps them as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks.case import Standing
from benchmarks.runner import Outcome


def rows_of(outcome: Outcome) -> tuple[list[str], list[list[str]]]:
    figures = list(dict.fromkeys(f for s in outcome.standings for f in s.figures))
    header = ["", *figures, f"x {outcome.case.figure}"]
    return header, [row_of(outcome, standing, figures) for standing in outcome.standings]


def row_of(outcome: Outcome, standing: Standing, figures: Sequence[str]) -> list[str]:
    name = f"* {standing.contender}" if standing.ours else f"  {standing.contender}"
    if standing.missing:
        return [name, *["-"] * len(figures), "-"]
    ratio = outcome.ratio(standing)
    return [
        name,
        *(shown(standing, figure) for figure in figures),
        "" if ratio is None else f"{ratio:.2f}",
    ]


def shown(standing: Standing, figure: str) -> str:
    median, spread = standing.median(figure), standing.spread(figure)
    if median is None or spread is None:
        return "-"
    return f"{number(median)} ({number(spread[0])}-{number(spread[1])})"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def show(outcome: Outcome) -> None:
    header, rows = rows_of(outcome)
    title = f"{outcome.case.name}: {outcome.case.about} (median, least-most; {outcome.case.better})"
    try:
        show_rich(title, header, rows)
    except ImportError:
        show_plain(title, header, rows)
    for standing in outcome.standings:
        if standing.missing:
            print(f"  not measured {standing.contender}: {standing.missing}")
    for verdict in outcome.verdicts:
        state = {True: "met", False: "MISSED", None: "not measured"}[verdict.met]
        value = "" if verdict.value is None else f": {number(verdict.value)}"
        print(f"  {state:12} {verdict.target}{value}")
    print(flush=True)


def show_rich(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for i, column in enumerate(header):
        table.add_column(column, justify="right" if i else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    console.print(table)


def show_plain(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    print(title)
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


def as_json(machine: dict[str, object], outcomes: Sequence[Outcome]) -> str:
    return json.dumps(
        {"machine": machine, "cases": {o.case.name: case_of(o) for o in outcomes}}, indent=1
    )


def case_of(outcome: Outcome) -> dict[str, object]:
    return {
        "about": outcome.case.about,
        "better": outcome.case.better,
        "contenders": {
            s.contender: {
                "missing": s.missing,
                "runs": [dict(run) for run in s.runs],
                "medians": {figure: s.median(figure) for figure in s.figures},
                "ratio": outcome.ratio(s),
                "share_of_limit": outcome.share_of_limit(s),
            }
            for s in outcome.standings
        },
        "targets": [
            {"target": str(v.target), "value": v.value, "met": v.met} for v in outcome.verdicts
        ],
    }


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
