"""Compares straggler rules: `python -m benchmarks.stragglers [--seeds 20] [--stages] [--only TEXT] [--json PATH]`.

Each case is run with each rule on the same seeds: a seed stands for the same tasks and the same first attempts,
whatever the rule does. What is told of a rule and a case is the geometric mean, over the seeds, of how many times
faster it is than `off`, and how much more work on the workers it takes.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path
from typing import NamedTuple

from benchmarks.stragglers.cells import RULES, Cell, cells


class Row(NamedTuple):
    """A rule in a case."""

    speedup: float
    work: float
    backups: float


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    chosen = [c for c in cells(several_stages=options.stages) if options.only in c.name]
    chosen = [c for c in chosen if c.tasks <= options.most_tasks]
    rules = ["off", *(options.rules or RULES[1:])]
    table: dict[str, dict[str, Row]] = {}
    jobs = [(cell, rules, options.seeds) for cell in chosen]
    with ProcessPoolExecutor(options.workers) as pool:
        for cell, row in zip(chosen, pool.map(measure, jobs), strict=True):
            table[cell.name] = row
            show(cell, row)
    summary(chosen, table, rules[1:])
    if options.json:
        told = {name: {r: row._asdict() for r, row in rows.items()} for name, rows in table.items()}
        options.json.write_text(json.dumps(told, indent=2))
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.stragglers", description=__doc__)
    made.add_argument("--seeds", type=int, default=20)
    made.add_argument("--stages", action="store_true", help="chains of five stages")
    made.add_argument("--only", default="", help="cases whose name has this in it")
    made.add_argument("--rules", nargs="*", help="besides off")
    made.add_argument("--most-tasks", type=int, default=10_000)
    made.add_argument("--workers", type=int, default=2, help="processes")
    made.add_argument("--json", type=Path)
    return made


def measure(job: tuple[Cell, list[str], int]) -> dict[str, Row]:
    cell, rules, seeds = job
    runs = {rule: [cell.run(rule, seed) for seed in range(seeds)] for rule in rules}
    off = runs["off"]
    return {
        rule: Row(
            mean(o.makespan_seconds / r.makespan_seconds for o, r in zip(off, found, strict=True)),
            mean(r.slot_seconds / o.slot_seconds for o, r in zip(off, found, strict=True)),
            statistics.fmean(r.backups for r in found),
        )
        for rule, found in runs.items()
    }


def mean(values: Iterable[float]) -> float:
    """Return the geometric mean."""
    return math.exp(statistics.fmean(map(math.log, values)))


def show(cell: Cell, rows: dict[str, Row]) -> None:
    told = "  ".join(
        f"{rule} {row.speedup:5.2f}x {row.work - 1:+6.1%}"
        for rule, row in rows.items()
        if rule != "off"
    )
    print(f"{'judged' if cell.judged else 'chosen'}  {cell.name:48}  {told}", flush=True)


def summary(chosen: list[Cell], table: dict[str, dict[str, Row]], rules: list[str]) -> None:
    for judged, kills in product((False, True), (True, False)):
        names = [c.name for c in chosen if c.judged is judged and c.kills is kills]
        if not names:
            continue
        half = "judged by" if judged else "chosen on"
        print(f"\n{half}: {len(names)} cases where losers {'are stopped' if kills else 'run on'}")
        for rule in rules:
            rows = [table[name][rule] for name in names]
            worst = min(zip((r.speedup for r in rows), names, strict=True))
            print(
                f"  {rule:12} {mean(r.speedup for r in rows):5.2f}x"
                f"  work {mean(r.work for r in rows) - 1:+6.1%}"
                f"  worst {worst[0]:.3f}x ({worst[1]})"
            )


if __name__ == "__main__":
    sys.exit(main())
