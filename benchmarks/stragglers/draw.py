"""Draws simulated runs: `python -m benchmarks.stragglers.draw FILE.toml --workers W.svg --curves C.svg`.

The file, and `--set`, are those of `asyncexec simulate`. `--workers` draws what the workers did over time, for the
first and the last variant; `--curves` makespan and cost against the number of workers and against the share of slow
attempts.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from asyncexec.cli.loading import load_object, load_plan
from asyncexec.config.assignments import assign_setting
from asyncexec.config.tables import read_tables
from asyncexec.simulation.scenario import Scenario
from asyncexec.simulation.what_if import WhatIf
from benchmarks.stragglers.canvas import check_picture
from benchmarks.stragglers.pictures import draw_curves, draw_workers, panel_of
from benchmarks.stragglers.sensitivity import against_slow_attempts, against_workers


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    for path in (options.workers, options.curves):
        if path is not None:
            check_picture(path)
    tables = {} if options.file is None else read_tables(options.file)
    for setting in options.set:
        assign_setting(tables, setting)
    allowed = options.allow_import
    scenario = Scenario.of(
        tables,
        load=partial(load_plan, inputs={}) if allowed else None,
        find=load_object if allowed else None,
    )
    told = scenario.run()
    case = told.there.case if isinstance(told, WhatIf) else told.case
    variants, seeds = scenario.variants, scenario.seeds
    if options.workers is not None:
        shown = dict.fromkeys((variants[0], variants[-1]))
        panels = [panel_of(case, variant, seeds[0]) for variant in shown]
        draw_workers(options.workers, panels, [stage.name for stage in case.plan.stages])
    if options.curves is not None:
        curves = [way(case, variants, seeds) for way in (against_workers, against_slow_attempts)]
        priced = case.cluster.priced
        draw_curves(options.curves, curves, priced=priced)
    return 0


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.stragglers.draw", description=__doc__)
    made.add_argument("file", type=Path, nargs="?", help="what is simulated, as TOML")
    made.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    made.add_argument(
        "--allow-import", action="store_true", help="import the modules of the plan and the noise"
    )
    made.add_argument("--workers", type=Path, help="where the workers over time are drawn")
    made.add_argument("--curves", type=Path, help="where makespan and cost are drawn")
    return made


if __name__ == "__main__":
    sys.exit(main())
