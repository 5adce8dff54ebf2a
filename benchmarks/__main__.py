"""Runs benchmarks by name: `python -m benchmarks [names…] [--repeat N] [--json PATH] [--quick]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import machine, report, runner
from benchmarks.cases import ALL


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    unknown = sorted(set(options.names) - set(ALL))
    if unknown:
        parser().error(f"no such benchmark: {', '.join(unknown)} (known: {', '.join(ALL)})")
    about = machine.describe()
    print(", ".join(f"{k}: {v}" for k, v in about.items() if k != "packages"))
    outcomes = []
    try:
        for name in options.names or ALL:
            outcome = runner.run(ALL[name], repeat=options.repeat, quick=options.quick, tell=tell)
            tell("")
            report.show(outcome)
            outcomes.append(outcome)
    finally:  # what was measured is kept, whatever came after
        if options.json is not None:
            report.write(options.json, report.as_json(about, outcomes))
    missed = any(v.met is False for o in outcomes for v in o.verdicts)
    return int(missed and options.strict)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("names", nargs="*", help=f"which to run: {', '.join(ALL)} (default: all)")
    made.add_argument("--repeat", type=int, help="turns per contender")
    made.add_argument("--json", type=Path, help="where to keep every figure")
    made.add_argument("--quick", action="store_true", help="less work: to see that it runs")
    made.add_argument("--strict", action="store_true", help="fail when a target is missed")
    return made


def tell(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
