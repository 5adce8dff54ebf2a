"""Slow workers under the real scheduler, on virtual time: none is found where all are alike, and slow ones soon are."""

from dataclasses import dataclass

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.simulation import Cluster, Constant, Lognormal, Mixture, simulate
from asyncexec.straggler import Off, TwoPhase
from tests.sampling import sampled

SECONDS = 10.0


@dataclass(frozen=True)
class Weibull:
    """Weibull durations, of shape 0.7 by default."""

    shape: float = 0.7

    def sample(self, random, count):
        return 0.1 + SECONDS * random.weibull(self.shape, count)


@dataclass(frozen=True)
class Along:
    """Durations that grow tenfold along the stage, or that are longer at every tenth task."""

    growing: bool

    def sample(self, random, count):
        place = np.arange(count)
        course = 1.0 + 9.0 * place / 500 if self.growing else np.where(place % 10, 1.0, 5.0)
        return course * random.lognormal(1.0, 0.1, count)


NATURES = {
    "even": Constant(SECONDS),
    "lognormal .6": Lognormal(mean_seconds=SECONDS, sigma=0.6),
    "lognormal 1": Lognormal(mean_seconds=SECONDS, sigma=1.0),
    "Weibull .7": Weibull(),
    "bimodal": Mixture(((0.9, Lognormal(mean_seconds=5.0)), (0.1, Lognormal(mean_seconds=50.0)))),
    "growing": Along(growing=True),
    "periodic": Along(growing=False),
}
SIZES = [(2, 60), (8, 64), (8, 400), (100, 500)]


def run(durations, workers, tasks, seed, rule=None, **options):
    plan = ax.Plan.map(abs, range(tasks), name="s")
    cluster = options.pop("cluster", Cluster(workers=workers))
    rule = rule or TwoPhase()
    return simulate(plan, cluster, durations=durations, straggler=rule, seed=seed, **options)


def innocents(nature, sizes, seeds):
    """Run paired seeds; return the runs in which a worker was found slow, and the slowest by makespan ratio."""
    found, worst = 0, 0.0
    for workers, tasks in sizes:
        for seed in seeds:
            resting = run(NATURES[nature], workers, tasks, seed)
            without = run(NATURES[nature], workers, tasks, seed, TwoPhase(rests_workers=False))
            found += resting.slow_workers > 0
            worst = max(worst, resting.makespan_seconds / without.makespan_seconds)
    return found, worst


@pytest.mark.parametrize("nature", sampled(NATURES, "growing", "bimodal"))
def test_where_all_workers_are_alike_none_is_found_and_nothing_takes_longer(nature):
    seeds = range(2)
    print("seeds", seeds)
    assert innocents(nature, SIZES, seeds) == (0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("workers, tasks", [(8, 240), (32, 320)])
@pytest.mark.parametrize("nature", NATURES)
def test_in_a_hundred_runs_of_workers_that_are_alike_one_at_most_finds_any(nature, workers, tasks):
    seeds = range(100, 200)
    print("seeds", seeds)
    found = [run(NATURES[nature], workers, tasks, seed).slow_workers for seed in seeds]
    assert sum(map(bool, found)) <= 1


def slowed(factor, workers, *, begin=0.0, end=np.inf):
    """Return noise that makes the first workers slower for a while."""

    def noise(attempt):
        is_slow = attempt.worker < workers and begin <= attempt.at < end
        return attempt.seconds * (factor if is_slow else 1.0)

    return noise


@pytest.mark.parametrize("factor", sampled([2.0, 3.0, 5.0, 10.0], 2.0, 5.0))
@pytest.mark.parametrize("workers, slow", [(8, 1), (100, 5)])
def test_slow_workers_are_found_and_cost_nothing(factor, workers, slow):
    seed = 4
    print("seed", seed)
    durations = Lognormal(mean_seconds=SECONDS, sigma=0.15)
    noise = slowed(factor, slow)
    tasks = 25 * workers
    with_rest = run(durations, workers, tasks, seed, noise=noise)
    without = run(durations, workers, tasks, seed, TwoPhase(rests_workers=False), noise=noise)
    assert with_rest.slow_workers == slow
    # The order of tasks differs, so that one or the other may be lucky.
    assert with_rest.makespan_seconds <= 1.03 * without.makespan_seconds


def test_without_backups_a_slow_worker_that_is_left_idle_at_the_end_holds_nothing_up():
    seed = 4
    print("seed", seed)
    durations, noise = Lognormal(mean_seconds=SECONDS, sigma=0.15), slowed(8.0, 1)
    off, rests = (
        run(durations, 20, 800, seed, Off(rests_workers=r), noise=noise) for r in (False, True)
    )
    assert off.slow_workers == 0
    assert rests.slow_workers == 1
    assert rests.makespan_seconds < off.makespan_seconds - 2 * SECONDS


def test_a_worker_that_becomes_slow_late_is_found_and_one_that_recovers_is_let_back():
    seed = 4
    print("seed", seed)
    durations = Lognormal(mean_seconds=SECONDS, sigma=0.15)
    late = run(durations, 8, 480, seed, noise=slowed(5.0, 1, begin=200.0))
    assert late.slow_workers == 1
    noise = slowed(10.0, 1, begin=100.0, end=300.0)
    for_a_while = run(durations, 8, 480, seed, noise=noise, bars=True)
    assert for_a_while.slow_workers == 1
    tasks = [bar for bar in for_a_while.bars if bar.worker == 0 and bar.begin > 500.0]
    assert len(tasks) > 1


def test_a_host_that_slows_down_is_found_as_one():
    seed = 4
    print("seed", seed)
    cluster = Cluster(workers=32, workers_per_host=4)

    def noise(attempt):
        return attempt.seconds * (6.0 if attempt.host == 2 and attempt.at >= 60.0 else 1.0)

    durations = Lognormal(mean_seconds=SECONDS, sigma=0.3)
    found = run(durations, 32, 900, seed, noise=noise, cluster=cluster, bars=True)
    assert found.slow_workers == 4
    # Each of its workers alone would have taken three tasks and more to be found. They are tried again later.
    begun = [b.begin for b in found.bars if 8 <= b.worker < 12 and 60.0 <= b.begin < 200.0]
    assert len(begun) < 3 * 4


def test_backups_go_to_other_hosts_than_that_of_the_attempt_they_are_for():
    seed = 4
    print("seed", seed)
    cluster = Cluster(workers=16, workers_per_host=4)

    def noise(attempt):
        return attempt.seconds * (30.0 if attempt.host == 1 and attempt.number == 1 else 1.0)

    found = run(Constant(SECONDS), 16, 16, seed, noise=noise, cluster=cluster, bars=True)
    attempts = {}
    for bar in found.bars:
        attempts.setdefault(bar.task, []).append(bar)
    copied = [sorted(each, key=lambda b: b.begin) for each in attempts.values() if len(each) > 1]
    assert len(copied) == 4
    assert all(backup.worker // 4 != first.worker // 4 for first, backup, *_ in copied)
