"""Compares straggler rules: `python -m benchmarks.stragglers [--judged] [--seeds 20] [--only TEXT]`.

Each case is run with each rule on the same seeds: a seed stands for the same tasks and the same first attempts,
whatever the rule does. What is told of a rule and a case is the geometric mean, over the seeds, of how many times
faster it is than `off`, and how much more work on the workers it takes; and its worst seed.

Rules are tuned on some kinds of slowness (the default here) and judged by others (`--judged`), and by a third set that
no choice has followed (`--blind`).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

from benchmarks.stragglers.cells import RULES, Cell, cells

type Table = Mapping[str, Mapping[str, Row]]


class Row(NamedTuple):
    """A rule in a case."""

    speedup: float
    work: float
    worst: float
    backups: float


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    chosen = [
        cell
        for cell in cells(options.part)
        if cell.shape.tasks * cell.shape.stages <= options.most_tasks
        and all(part in f"{cell.of.family}: {cell.name}" for part in options.only)
        and (options.losers == "both" or cell.kills == (options.losers == "stopped"))
    ]
    rules = ["off", *(options.rules or RULES[1:])]
    table: dict[str, dict[str, Row]] = {}
    jobs = [(cell, rules, options.seeds) for cell in chosen]
    with ProcessPoolExecutor(options.workers) as pool:
        for cell, row in zip(chosen, pool.map(measure, jobs), strict=True):
            table[cell.name] = row
            show(cell, row)
    print(f"\n{options.part}, {len(chosen)} cases:")
    for line in summary(chosen, table, rules[1:]):
        print(line)
    if options.json:
        told = {name: {r: row._asdict() for r, row in rows.items()} for name, rows in table.items()}
        options.json.write_text(json.dumps(told, indent=2))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.stragglers", description=__doc__)
    part = made.add_mutually_exclusive_group()
    part.add_argument(
        "--judged",
        dest="part",
        action="store_const",
        const="judged",
        help="the kinds that no rule was tuned on",
    )
    part.add_argument(
        "--blind",
        dest="part",
        action="store_const",
        const="blind",
        help="the kinds that were written down later, which no choice has followed",
    )
    made.set_defaults(part="tuned")
    made.add_argument("--seeds", type=int, default=20)
    made.add_argument(
        "--only", nargs="*", default=[], help="cases whose family and name have these in them"
    )
    made.add_argument("--losers", choices=("both", "stopped", "run on"), default="both")
    made.add_argument("--rules", nargs="*", help="besides off")
    made.add_argument("--most-tasks", type=int, default=10_000)
    made.add_argument("--workers", type=int, default=2, help="processes")
    made.add_argument("--json", type=Path)
    return made


def measure(job: tuple[Cell, list[str], int]) -> dict[str, Row]:
    cell, rules, seeds = job
    runs = {rule: [cell.run(rule, seed) for seed in range(seeds)] for rule in rules}
    off = runs["off"]
    found: dict[str, Row] = {}
    for rule, of_rule in runs.items():
        pairs = list(zip(off, of_rule, strict=True))
        faster = [o.makespan_seconds / r.makespan_seconds for o, r in pairs]
        work = mean(r.slot_seconds / o.slot_seconds for o, r in pairs)
        backups = statistics.fmean(r.backups for r in of_rule)
        found[rule] = Row(mean(faster), work, min(faster), backups)
    return found


def mean(values: Iterable[float]) -> float:
    """Return the geometric mean."""
    return math.exp(statistics.fmean(map(math.log, values)))


def show(cell: Cell, rows: Mapping[str, Row]) -> None:
    told = "  ".join(
        f"{rule} {row.speedup:5.2f}x {row.work - 1:+6.1%} ({row.worst:.3f})"
        for rule, row in rows.items()
        if rule != "off"
    )
    print(f"{cell.of.family:18}{cell.name:62}{told}", flush=True)


def summary(chosen: Sequence[Cell], table: Table, rules: Sequence[str]) -> Iterable[str]:
    """Yield, for each family and what becomes of losers, a line for each rule."""
    for family, kills in product(dict.fromkeys(c.of.family for c in chosen), (True, False)):
        names = [c.name for c in chosen if c.of.family == family and c.kills is kills]
        if not names:
            continue
        yield f"{family}, losers {'are stopped' if kills else 'run on'} ({len(names)} cases)"
        for rule in rules:
            rows = {name: table[name][rule] for name in names}
            yield _told(rule, rows) + _against_others(rule, rows, table)


def _told(rule: str, rows: Mapping[str, Row]) -> str:
    worst = min(rows, key=lambda name: rows[name].worst)
    dearest = max(rows, key=lambda name: rows[name].work)
    return (
        f"  {rule:10} {mean(r.speedup for r in rows.values()):5.2f}x"
        f"  work {mean(r.work for r in rows.values()) - 1:+6.1%}"
        f", at most {rows[dearest].work - 1:+6.1%} ({dearest})"
        f", worst seed {rows[worst].worst:.3f}x ({worst})"
    )


def _against_others(rule: str, rows: Mapping[str, Row], table: Table) -> str:
    """Return the least share of the best other rule's speed, for the default rule."""
    if rule != "two_phase" or len(next(iter(table.values()))) < 3:
        return ""
    shares = {
        name: row.speedup / max(r.speedup for other, r in table[name].items() if other != rule)
        for name, row in rows.items()
    }
    least = min(shares, key=lambda name: shares[name])
    return f", {shares[least]:.0%} of the best other rule at least ({least})"


if __name__ == "__main__":
    sys.exit(main())
