"""Runs benchmarks by name: `python -m benchmarks [names…] [--only CONTENDER…] [--repeat N] [--json PATH] [--quick]`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from benchmarks import machine, report, runner
from benchmarks.case import Case
from benchmarks.cases import ALL, GROUPS
from benchmarks.field_jobs.picture import draw
from benchmarks.field_jobs.summary import summary
from benchmarks.stragglers.canvas import check_picture


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    unknown = sorted(set(options.names) - set(ALL) - set(GROUPS))
    if unknown:
        known = ", ".join((*GROUPS, *ALL))
        parser().error(f"no such benchmark: {', '.join(unknown)} (known: {known})")
    if options.picture is not None:
        check_picture(options.picture)
    about = machine.describe()
    print(", ".join(f"{k}: {v}" for k, v in about.items() if k != "packages"))
    outcomes = []
    try:
        for name in chosen(options.names):
            case = with_contenders(ALL[name], options.only)
            outcome = runner.run(case, repeat=options.repeat, quick=options.quick, tell=tell)
            tell("")
            report.show(outcome)
            outcomes.append(outcome)
    finally:  # what was measured is kept, whatever came after
        if options.json is not None:
            report.write(options.json, report.as_json(about, outcomes))
        drawn = [o for o in outcomes if o.case.name in GROUPS["array_jobs"]]
        for line in summary(drawn) if drawn else ():
            print(line)
        if options.picture is not None and drawn:
            draw(options.picture, drawn)
    missed = any(v.met is False for o in outcomes for v in o.verdicts)
    return int(missed and options.strict)


def chosen(names: list[str]) -> list[str]:
    """Return the cases that `names` stand for; without any, all but those of groups, which take long."""
    if names:
        return list(dict.fromkeys(case for name in names for case in GROUPS.get(name, (name,))))
    grouped = {case for cases in GROUPS.values() for case in cases}
    return [name for name in ALL if name not in grouped]


def with_contenders(case: Case, only: list[str]) -> Case:
    """Return `case` with the contenders whose names contain one of `only`; all of them where that is empty."""
    kept = [c for c in case.contenders if not only or any(text in c.name for text in only)]
    if not kept:
        names = ", ".join(c.name for c in case.contenders)
        parser().error(
            f"no contender of {case.name} is called {' or '.join(only)} (there are: {names})"
        )
    return replace(case, contenders=kept)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("names", nargs="*", help=f"which to run: {', '.join((*GROUPS, *ALL))}")
    made.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CONTENDER",
        help="measure those whose name contains this alone; may be given again",
    )
    made.add_argument("--repeat", type=int, help="turns per contender")
    made.add_argument("--json", type=Path, help="where to keep every figure")
    made.add_argument("--picture", type=Path, help="where array_jobs are drawn (.svg, .png, .pdf)")
    made.add_argument("--quick", action="store_true", help="less work: to see that it runs")
    made.add_argument("--strict", action="store_true", help="fail when a target is missed")
    return made


def tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
