"""Slow workers, found and not: `python -m benchmarks.stragglers.slow_workers [--seeds 20] [--only TEXT] [--workers 2]`.

First workers that are all alike, with durations that spread by nature: the runs in which any worker is found slow, and
how much longer runs take than without the comparison of workers. Then workers that are slow: how many of them are
found, how many tasks they did in all, and how long runs take. Each run is paired with one of the same seed in which no
worker is left idle (`TwoPhase(rests_workers=False)`).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import asyncexec as ax
from asyncexec.simulation import Cluster, SimulatedAttempt, simulate
from asyncexec.straggler import TwoPhase

SECONDS = 10.0

type Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]


@dataclass(frozen=True)
class Nature:
    """Durations by a function of NumPy's generator and their number."""

    name: str

    def sample(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        return SECONDS * NATURES[self.name](random, count)


def _along(count: int) -> NDArray[np.float64]:
    return np.arange(count) % 1000 / 1000


NATURES: Mapping[str, Draw] = {
    "even": lambda _, n: np.ones(n),
    "lognormal .15": lambda random, n: random.lognormal(0.0, 0.15, n),
    "lognormal .6": lambda random, n: random.lognormal(0.0, 0.6, n),
    "lognormal 1": lambda random, n: random.lognormal(0.0, 1.0, n),
    "Weibull .7": lambda random, n: 0.01 + random.weibull(0.7, n),
    "bimodal": lambda random, n: (
        np.where(random.random(n) < 0.1, 10, 1) * random.lognormal(0, 0.1, n)
    ),
    "growing": lambda random, n: (1 + 9 * _along(n)) * random.lognormal(0.0, 0.1, n),
    "periodic": lambda random, n: np.where(np.arange(n) % 10, 1, 5) * random.lognormal(0.0, 0.1, n),
}
SIZES = ((2, 100), (8, 64), (8, 400), (100, 500), (100, 2000), (1000, 4000))
FACTORS = (2.0, 3.0, 5.0, 10.0)
SLOW = ((8, 80, 1), (8, 400, 1), (100, 1000, 5), (100, 2500, 5))
LATE = 1 / 3


class Job(NamedTuple):
    """A pair of runs."""

    nature: str
    workers: int
    tasks: int
    seed: int
    slow: int = 0
    factor: float = 1.0
    late: bool = False


class Pair(NamedTuple):
    """The workers found, the tasks that each slow one did, and the makespan with and without idle ones, divided."""

    found: int
    tasks: float
    ratio: float


def measure(job: Job) -> Pair:
    begin = LATE * job.tasks / job.workers * SECONDS if job.late else 0.0

    def noise(attempt: SimulatedAttempt) -> float:
        is_slow = attempt.worker < job.slow and attempt.at >= begin
        return attempt.seconds * (job.factor if is_slow else 1.0)

    rests, works = (
        simulate(
            ax.Plan.map(abs, range(job.tasks)),
            Cluster(workers=job.workers),
            durations=Nature(job.nature),
            noise=noise,
            straggler=TwoPhase(rests_workers=rests),
            seed=job.seed,
            bars=True,
        )
        for rests in (True, False)
    )
    done = [sum(b.worker == w and b.end > begin for b in rests.bars) for w in range(job.slow)]
    return Pair(
        rests.slow_workers,
        statistics.fmean(done) if done else 0.0,
        rests.makespan_seconds / works.makespan_seconds,
    )


def alike(only: str) -> Iterator[Job]:
    for nature in NATURES:
        for workers, tasks in SIZES:
            if only in nature:
                yield Job(nature, workers, tasks, 0)


def slow(only: str) -> Iterator[Job]:
    for nature in ("even", "lognormal .15", "lognormal .6", "lognormal 1"):
        for workers, tasks, some in SLOW:
            for factor in FACTORS:
                for late in (False, True):
                    if only in nature:
                        yield Job(nature, workers, tasks, 0, some, factor, late)


def show(jobs: Iterable[Job], seeds: int, pool: ProcessPoolExecutor) -> None:
    for job in jobs:
        pairs = list(pool.map(measure, (job._replace(seed=seed) for seed in range(seeds))))
        ratios = [pair.ratio for pair in pairs]
        told = f"{job.nature:14} {job.tasks:5} tasks on {job.workers:4} workers"
        if job.slow:
            share = sum(pair.found for pair in pairs) / (job.slow * seeds)
            tasks = statistics.fmean(pair.tasks for pair in pairs)
            late = "late " if job.late else ""
            told += f", {job.slow} {late}{job.factor:g}x slow: {share:4.0%} found, {tasks:4.1f} tasks each"
        else:
            told += f": some found in {sum(pair.found > 0 for pair in pairs)} of {seeds} runs"
        print(f"{told}, time {statistics.fmean(ratios):.3f} (worst {max(ratios):.3f})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.stragglers.slow_workers", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--only", default="", help="durations whose name has this in it")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    asked = parser.parse_args()
    with ProcessPoolExecutor(asked.workers) as pool:
        show(alike(asked.only), asked.seeds, pool)
        show(slow(asked.only), asked.seeds, pool)


if __name__ == "__main__":
    main()
