"""What-if against real runs: `python -m benchmarks.stragglers.what_if_checks [--only TEXT] [--repeat 3]`.

Tasks that sleep are run and recorded under a kind of noise; the recorded run is simulated under another rule or on
another number of workers, and that is run for real as well. Sleeping tasks need no cores, so that a busy machine
disturbs little. A prediction is near if it is within 15% of the median of the real runs; where the recorded run does
not tell if tasks or attempts were slow, a range is predicted, and the real runs are to be in it.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import asyncexec as ax
from asyncexec.histories import read_run
from asyncexec.simulation.comparison import Variant
from asyncexec.simulation.what_if import what_if
from benchmarks.stragglers.noisy_naps import KINDS, TASKS, Nap

NEAR = 0.15
WORKERS = 8


@dataclass(frozen=True, kw_only=True)
class Check:
    executor: str
    kind: str
    rule: str = "off"
    workers: int = WORKERS

    @property
    def name(self) -> str:
        return f"{self.executor} {self.kind}: {self.rule} on {self.workers}"


def checks() -> Iterator[Check]:
    for executor, kind in product(("threads", "processes"), KINDS):
        yield Check(executor=executor, kind=kind)
        if kind == "tiny":
            continue  # Elsewhere, they show what else the machine does.
        yield Check(executor=executor, kind=kind, workers=2 * WORKERS)
        yield Check(executor=executor, kind=kind, workers=WORKERS // 2)
        if kind in {"attempts", "workers", "by nature"}:
            yield Check(executor=executor, kind=kind, rule="two_phase")


async def run(check: Check, folder: Path, history: ax.History | None = None) -> float:
    numbers = tempfile.mkdtemp(dir=folder)
    tasks = 400 if check.kind == "tiny" else TASKS
    plan = ax.Plan.map(Nap(check.kind, numbers), range(tasks), name="nap")
    options = {"max_workers": check.workers}
    async with ax.Engine(check.executor, executor_options=options) as engine:
        observers = [] if history is None else [history]
        result = await engine.execute(plan, straggler=check.rule, observers=observers)
    return result.wall_seconds


def judge(check: Check, recorded: Path, folder: Path, repeat: int, seeds: int) -> bool:
    told = what_if(
        read_run(recorded), {"workers": check.workers}, [Variant(check.rule)], range(seeds)
    )
    expected = told.there.rows[0].spread("makespan_seconds")
    real = [asyncio.run(run(check, folder)) for _ in range(repeat)]
    took = statistics.median(real)
    ends = not all(part.known for part in told.stages.values())
    inside = ends and expected.least * (1 - NEAR) <= took <= expected.most * (1 + NEAR)
    near = not told.refused and (abs(expected.median / took - 1) <= NEAR or inside)
    print(
        f"{'near' if near else 'FAR ':5}{check.name:44} simulated {expected.median:6.2f} s "
        f"({expected.least:.2f}-{expected.most:.2f}{', both ends' if ends else ''})  real {took:6.2f} s "
        f"({min(real):.2f}-{max(real):.2f})  {expected.median / took - 1:+.0%}  model {told.model_error or 0:+.0%}",
        flush=True,
    )
    return near


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stragglers.what_if_checks", description=__doc__
    )
    parser.add_argument("--only", default="", help="checks whose name has this in it")
    parser.add_argument("--repeat", type=int, default=3, help="real runs of each")
    parser.add_argument("--seeds", type=int, default=9)
    parser.add_argument("--recorded", choices=("off", "two_phase"), default="two_phase")
    options = parser.parse_args(arguments)
    chosen = [check for check in checks() if options.only in check.name]
    near = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recorded: dict[tuple[str, str], Path] = {}
        for executor in {
            check.executor for check in chosen
        }:  # What is imported once is not measured.
            asyncio.run(run(Check(executor=executor, kind="tiny"), folder))
        for check in chosen:
            base = (check.executor, check.kind)
            if base not in recorded:
                history = ax.History(folder / f"history-{len(recorded)}")
                first = Check(executor=check.executor, kind=check.kind, rule=options.recorded)
                asyncio.run(run(first, folder, history))
                [recorded[base]] = history.folders
            near += judge(check, recorded[base], folder, options.repeat, options.seeds)
    print(f"{near} of {len(chosen)} near")
    return 0 if near == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
