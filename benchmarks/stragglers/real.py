"""Stragglers on real workers: `python -m benchmarks.stragglers.real [--repeat 3] [--only TEXT]`.

Tasks sleep, as sleeping workers need no cores, so that a busy machine disturbs little. The cases:

- 400 tasks of 50 ms on 4 workers, one of which hangs at its first attempt: the ideal is 5 s;
- 64 tasks of a second on 32 workers, of which 2% of first attempts take 10 times as long: the ideal is 2 s;
- 256 tasks on 8 workers that are all alike, whose durations spread by nature (lognormal, sigma 0.6), and the same with
  5% of the tasks three times as long: with slow workers left idle and without, which should make no difference;
- 256 tasks on 8 workers, one of which takes five times as long for everything.

The rules of a case take turns, so that all see the same machine; what is printed is the median of each, its ratio to
the first rule, and the workers that were found slow, in all turns together.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncexec as ax
from asyncexec.plan.box import Index
from asyncexec.straggler import Off, Rule, TwoPhase
from asyncexec.testing.faults import Fault, Faults, Hang, Slow
from asyncexec.testing.injection import inject

RULES: Mapping[str, Rule] = {
    "off": Off(),
    "two_phase": TwoPhase(),
    "two_phase, none idle": TwoPhase(rests_workers=False),
}


@dataclass(frozen=True)
class Nap:
    """Sleeps, and returns its argument.

    Attributes
    ----------
    seconds : float
        The mean.
    sigma : float
        Of the logarithm of durations, which are each task's own.
    long_share : float
        The share of tasks that are three times as long by nature.
    slow_worker : Path or None
        A file with the name of the worker that takes five times as long: the first that finds none.
    """

    seconds: float
    sigma: float = 0.0
    long_share: float = 0.0
    slow_worker: Path | None = None

    def __call__(self, item: int) -> int:
        time.sleep(self.natural(item) * (5.0 if self._is_slow() else 1.0))
        return item

    def natural(self, item: int) -> float:
        """Return how long a task takes on an ordinary worker."""
        chance = random.Random(item)
        seconds = self.seconds * chance.lognormvariate(-(self.sigma**2) / 2, self.sigma)
        return seconds * (3.0 if chance.random() < self.long_share else 1.0)

    def _is_slow(self) -> bool:
        if self.slow_worker is None:
            return False
        me = f"{os.getpid()}:{threading.get_ident()}"
        try:
            with self.slow_worker.open("x") as file:
                file.write(me)
        except FileExistsError:
            return self.slow_worker.read_text() == me
        return True


@dataclass(frozen=True, kw_only=True)
class Case:
    """So many naps on so many workers, and what goes wrong."""

    name: str
    tasks: int
    nap: Nap
    workers: int
    rules: tuple[str, ...] = ("two_phase, none idle", "two_phase", "off")

    @property
    def ideal(self) -> float:
        return sum(map(self.nap.natural, range(self.tasks))) / self.workers

    def faults(self, folder: Path, seed: int) -> Faults:
        if self.name == "one hangs":
            hangs: dict[tuple[str, Index | int], Sequence[Fault | None]] = {("nap", 7): [Hang()]}
            return Faults(folder=folder, chosen=hangs)
        share = 0.02 if self.name == "2% slow 10x" else 0.0
        # A share that surely strikes: the seed decides whom.
        slow: dict[tuple[str, Index | int], Sequence[Fault | None]] = {
            ("nap", (seed * 37 + 11 * k) % self.tasks): [Slow(factor=10.0)]
            for k in range(round(share * self.tasks))
        }
        return Faults(folder=folder, chosen=slow)

    def kernel(self, folder: Path) -> Nap:
        slow = folder / "slow" if self.name == "one slow worker" else None
        return Nap(self.nap.seconds, self.nap.sigma, self.nap.long_share, slow)


CASES = (
    Case(name="one hangs", tasks=400, nap=Nap(0.05), workers=4, rules=("two_phase",)),
    Case(name="2% slow 10x", tasks=64, nap=Nap(1.0), workers=32, rules=("off", "two_phase")),
    Case(name="spread by nature", tasks=256, nap=Nap(0.1, sigma=0.6), workers=8),
    Case(name="5% long by nature", tasks=256, nap=Nap(0.1, long_share=0.05), workers=8),
    Case(name="one slow worker", tasks=256, nap=Nap(0.1), workers=8),
)


async def measure(executor: str, case: Case, rule: str, seed: int) -> tuple[float, int]:
    """Return the seconds of a run, and the number of workers that were found slow."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "faults").mkdir()
        faults = case.faults(folder / "faults", seed)
        plan = ax.Plan.map(case.kernel(folder), range(case.tasks), name="nap")
        options = {"max_workers": case.workers}
        async with ax.Engine(executor, executor_options=options, straggler=RULES[rule]) as engine:
            # Every worker is there before the clock starts.
            await engine.execute(ax.Plan.map(Nap(0.5), range(case.workers), name="warm"))
            start = time.perf_counter()
            result = await engine.execute(inject(plan, faults), timeout=60.0)
            seconds = time.perf_counter() - start
            faults.release()
        assert result.value == list(range(case.tasks))
    return seconds, len(result.slow_workers)


def compare(executor: str, case: Case, repeat: int) -> None:
    took: dict[str, list[tuple[float, int]]] = {rule: [] for rule in case.rules}
    for seed in range(repeat):
        for rule in case.rules[:: -1 if seed % 2 else 1]:
            took[rule].append(asyncio.run(measure(executor, case, rule, seed)))
    first = statistics.median(seconds for seconds, _ in took[case.rules[0]])
    for rule, turns in took.items():
        median = statistics.median(seconds for seconds, _ in turns)
        told = f"{median:6.2f} s  {median / case.ideal:5.2f}x of the ideal  {median / first:5.3f}"
        found = sum(count for _, count in turns)
        print(f"{executor:10} {case.name:18} {rule:21} {told}  {found} slow workers", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stragglers.real", description=__doc__
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name has this in it")
    asked = parser.parse_args()
    for executor in ("threads", "processes"):
        for case in CASES:
            if asked.only in case.name:
                compare(executor, case, asked.repeat)


if __name__ == "__main__":
    main()
