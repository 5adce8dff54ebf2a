"""Stragglers on real workers: `python -m benchmarks.stragglers.real [--repeat 3]`.

Two cases. 400 tasks that sleep 50 ms on 4 workers, one of which hangs at its first attempt: the ideal is 5 s. And 64
tasks that sleep a second on 32 workers, of which 2% of first attempts take 10 times as long: the ideal is 2 s. Sleeping
workers need no cores, so that a busy machine disturbs little.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncexec as ax
from asyncexec.plan.box import Index
from asyncexec.testing.faults import Fault, Faults, Hang, Slow
from asyncexec.testing.injection import inject


@dataclass(frozen=True, kw_only=True)
class Case:
    """So many naps on so many workers, and what goes wrong."""

    name: str
    tasks: int
    seconds: float
    workers: int
    rules: tuple[str, ...]

    @property
    def ideal(self) -> float:
        return self.tasks * self.seconds / self.workers

    def faults(self, folder: Path, seed: int) -> Faults:
        if self.name == "one hangs":
            hangs: dict[tuple[str, Index | int], Sequence[Fault | None]] = {("nap", 7): [Hang()]}
            return Faults(folder=folder, chosen=hangs)
        # A share that surely strikes once: the seed decides whom.
        slow: dict[tuple[str, Index | int], Sequence[Fault | None]] = {
            ("nap", (seed * 37 + 11 * k) % self.tasks): [Slow(factor=10.0)]
            for k in range(max(1, round(0.02 * self.tasks)))
        }
        return Faults(folder=folder, chosen=slow)


CASES = (
    Case(name="one hangs", tasks=400, seconds=0.05, workers=4, rules=("two_phase",)),
    Case(name="2% slow 10x", tasks=64, seconds=1.0, workers=32, rules=("off", "two_phase")),
)


@dataclass(frozen=True)
class Nap:
    """Sleeps, and returns its argument."""

    seconds: float

    def __call__(self, item: int) -> int:
        time.sleep(self.seconds)
        return item


async def measure(executor: str, case: Case, rule: str, seed: int) -> float:
    plan = ax.Plan.map(Nap(case.seconds), range(case.tasks), name="nap")
    with tempfile.TemporaryDirectory() as folder:
        faults = case.faults(Path(folder), seed)
        options = {"max_workers": case.workers}
        async with ax.Engine(executor, executor_options=options, straggler=rule) as engine:
            # Every worker is there before the clock starts.
            await engine.execute(ax.Plan.map(Nap(0.5), range(case.workers), name="warm"))
            start = time.perf_counter()
            result = await engine.execute(inject(plan, faults), timeout=60.0)
            seconds = time.perf_counter() - start
            faults.release()
        assert result.value == list(range(case.tasks))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stragglers.real", description=__doc__
    )
    parser.add_argument("--repeat", type=int, default=3)
    repeat = parser.parse_args().repeat
    for executor in ("threads", "processes"):
        for case in CASES:
            for rule in case.rules:
                turns = [asyncio.run(measure(executor, case, rule, s)) for s in range(repeat)]
                took = statistics.median(turns)
                told = f"{took:6.2f} s  {took / case.ideal:5.2f}x of the ideal"
                print(f"{executor:10} {case.name:12} {rule:10} {told}", flush=True)


if __name__ == "__main__":
    main()
