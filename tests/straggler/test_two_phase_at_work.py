"""The two-phase rule on the real scheduler and model workers: its gains and its costs."""

import asyncio
import statistics

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.backends.contract import Capabilities
from asyncexec.events.outcome import Status
from asyncexec.plan.locality import Locality
from asyncexec.plan.relations import identity
from asyncexec.plan.stage import Read, Stage
from asyncexec.simulation import Cluster, Noise, Pareto, simulate
from asyncexec.straggler import Ground, TwoPhase
from asyncexec.testing.fates import RandomFates
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import run

SEEDS = range(3)


async def measure(rule, *, tasks, slots, kills, fate):
    capabilities = Capabilities(
        name="model", kills=kills, isolated=True, locality=Locality.SAME_PROCESS
    )
    backend = ModelBackend(fate, slots=slots, capabilities=capabilities, computes=False)
    async with ax.Engine(executor=backend) as engine:
        result = await engine.execute(
            ax.Plan.map(str, range(tasks)), straggler=rule, timeout=3600.0
        )
    assert result.tasks == tasks
    work = sum(stage.busy_seconds for stage in result.stages)
    return asyncio.get_running_loop().time(), work, result.backups


def compare(**setting):
    """The speed-up over no backups, and the extra work, by seed."""
    gains, costs = [], []
    for seed in SEEDS:
        fate = RandomFates(seconds=10.0, sigma=0.15, seed=seed, **setting.get("noise", {}))
        options = dict(tasks=setting["tasks"], slots=setting["slots"], kills=setting["kills"])
        without, work, none = run(measure("off", fate=fate, **options))
        with_it, more_work, _ = run(measure("two_phase", fate=fate, **options))
        assert none == 0
        gains.append(without / with_it)
        costs.append(more_work / work - 1)
    return gains, costs


@pytest.mark.parametrize("kills", [True, False])
def test_a_few_slow_attempts_no_longer_hold_up_a_stage(kills):
    """2% of attempts 2 to 10 times as slow: twice as fast or better, for less than 5% more work."""
    gains, costs = compare(tasks=1_000, slots=1_000, kills=kills, noise=dict(slow=0.02))
    assert statistics.geometric_mean(gains) >= 2
    assert max(costs) < 0.05


def test_a_hang_costs_a_little_instead_of_its_timeout():
    gains, _ = compare(tasks=1_000, slots=100, kills=True, noise=dict(hanging=0.002))
    assert min(gains) > 10


@pytest.mark.parametrize("slots", [4, 100])
def test_where_nothing_is_slow_it_costs_nothing(slots):
    gains, costs = compare(tasks=200, slots=slots, kills=True)
    assert min(gains) >= 0.99
    assert max(costs) < 0.02


class ByNature:
    """Weibull with a heavy tail: a task is as long in every attempt."""

    def sample(self, random, count):
        return 5.0 * random.weibull(0.7, count) + 0.01


def pipeline(*, tasks, stages):
    made = [Stage(name="s0", kernel=max, shape=(tasks,))]
    for number in range(1, stages):
        read = (Read(made[-1].name, identity((tasks,))),)
        made.append(Stage(name=f"s{number}", kernel=max, shape=(tasks,), inputs=read))
    return ax.Plan(tuple(made))


def pairs(plan, cluster, *, seeds=range(6), **given):
    for seed in seeds:
        yield tuple(
            simulate(plan, cluster, straggler=rule, seed=seed, **given)
            for rule in ("off", "two_phase")
        )


@pytest.mark.parametrize(
    "tasks, slots, stages", [(50, 50, 1), (100, 20, 1), (8, 8, 6), (30, 30, 4)]
)
def test_where_tasks_are_long_by_nature_it_is_never_slower_and_costs_little(tasks, slots, stages):
    plan, cluster = pipeline(tasks=tasks, stages=stages), Cluster(workers=slots)
    found = list(pairs(plan, cluster, durations=ByNature()))
    assert min(off.makespan_seconds / on.makespan_seconds for off, on in found) >= 0.98
    work = [on.slot_seconds / off.slot_seconds for off, on in found]
    assert statistics.geometric_mean(work) < 1.15


def test_where_losers_run_on_and_tasks_are_long_by_nature_it_costs_little():
    cluster = Cluster(workers=50, kills=False)
    found = list(pairs(pipeline(tasks=50, stages=1), cluster, durations=ByNature()))
    work = [on.slot_seconds / off.slot_seconds for off, on in found]
    assert statistics.geometric_mean(work) < 1.15


class FarLonger:
    """Some of 50 tasks take so many times as long in every attempt."""

    def __init__(self, factor, places, tasks=50):
        self.factor, self.places, self.tasks = factor, places, tasks

    def sample(self, random, count):
        far = np.isin(np.arange(count) % self.tasks, self.places)
        return random.uniform(9.0, 10.0, count) * np.where(far, self.factor, 1.0)


@pytest.mark.parametrize(
    "tasks, slots, factor, far",
    [(50, 50, 25.0, (7, 30)), (50, 50, 13.0, (3, 9, 40)), (100, 50, 30.0, (10, 60, 90))],
)
def test_where_losers_run_on_one_backup_at_most_is_lost_to_tasks_that_are_far_longer_by_nature(
    tasks, slots, factor, far
):
    plan, cluster = pipeline(tasks=tasks, stages=1), Cluster(workers=slots, kills=False)
    durations = FarLonger(factor, far, tasks)
    for off, on in pairs(plan, cluster, durations=durations, seeds=range(3)):
        assert on.backups == 1
        assert on.makespan_seconds <= off.makespan_seconds


@pytest.mark.parametrize("factor", [2.0, 4.0, 5.0])
def test_where_losers_run_on_the_last_of_a_few_tasks_has_no_backup_that_they_cannot_pay(factor):
    plan, cluster = pipeline(tasks=8, stages=1), Cluster(workers=8, kills=False)
    for off, on in pairs(plan, cluster, durations=FarLonger(factor, (5,), 8), seeds=range(3)):
        assert on.backups == 0
        assert on.makespan_seconds == off.makespan_seconds


@pytest.mark.parametrize("kills", [True, False])
def test_where_many_are_hit_at_once_the_whole_tail_has_backups(kills):
    def paused(attempt):
        # A tenth of the workers, which stop for 200 seconds.
        hit = attempt.worker % 10 == 0 and attempt.at < 5
        return attempt.seconds + 200.0 * hit

    plan, cluster = pipeline(tasks=200, stages=1), Cluster(workers=200, kills=kills)
    for off, on in pairs(plan, cluster, durations=10.0, noise=paused, seeds=range(2)):
        assert on.makespan_seconds < off.makespan_seconds / 2
        assert on.slot_seconds < 1.08 * off.slot_seconds


def test_the_backups_of_one_stage_tell_the_next_of_the_same_function():
    """Once backups have won, there is no trial any more."""
    noise, cluster = Noise(slow_share=0.1, slow_factors=(5.0, 10.0)), Cluster(workers=40)
    grounds = {}

    def decide(rule, view):
        decision = original(rule, view)
        grounds.setdefault(view.completed > 0 and view.like.won > 0, set()).add(decision.ground)
        return decision

    original = TwoPhase.decide
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TwoPhase, "decide", decide)
        simulate(
            pipeline(tasks=40, stages=3),
            cluster,
            durations=10.0,
            noise=noise,
            barriers=True,
            seed=1,
        )
    assert Ground.TRIAL in grounds[False]
    assert Ground.TRIAL not in grounds[True]


class Growing:
    """Tasks that grow to three times the size along the stage."""

    def sample(self, random, count):
        place = np.arange(count) % 200 / 200
        return 10.0 * (1.0 + 2.0 * place) * random.lognormal(0.0, 0.1, count)


@pytest.mark.parametrize("kills", [True, False])
@pytest.mark.parametrize("slots", [20, 200])
def test_tasks_that_grow_along_the_stage_are_hardly_backed_up(kills, slots):
    cluster = Cluster(workers=slots, kills=kills)
    plan = pipeline(tasks=200, stages=1)
    for off, on in pairs(plan, cluster, durations=Growing(), seeds=range(2)):
        assert on.slot_seconds < 1.03 * off.slot_seconds


def test_the_longest_of_a_heavy_tail_is_not_taken_to_hang():
    """Without backups, so that nothing else would end it; a hang still ends."""
    durations = Pareto(least_seconds=10.0, exponent=1.5)
    plan, cluster = pipeline(tasks=50, stages=1), Cluster(workers=50)
    for seed in range(10):
        run = simulate(plan, cluster, durations=durations, straggler="off", seed=seed)
        assert run.retries == 0, seed
    noise = Noise(hang_share=0.02)
    hangs = [
        simulate(plan, cluster, durations=durations, noise=noise, straggler="off", seed=seed)
        for seed in range(3)
    ]
    assert sum(run.retries for run in hangs) > 0


class TwoFarLonger:
    """Two of the tasks take thirteen times as long in every attempt, beyond the limit for hangs."""

    def sample(self, random, count):
        return np.where(np.arange(count) % 50 < 2, 130.0, random.uniform(9.0, 10.0, count))


def test_a_task_whose_backup_takes_as_long_is_not_taken_to_hang():
    plan, cluster = pipeline(tasks=50, stages=1), Cluster(workers=50)
    off, on = (
        simulate(plan, cluster, durations=TwoFarLonger(), straggler=rule)
        for rule in ("off", "two_phase")
    )
    assert off.retries > 0
    assert on.retries == 0
    assert on.makespan_seconds == 130.0


def test_a_backup_that_is_given_up_leaves_its_task_to_the_first_attempt():
    plan, cluster = pipeline(tasks=20, stages=1), Cluster(workers=20)

    class OneLong:
        def sample(self, random, count):
            return np.where(np.arange(count) == 3, 45.0, 10.0)

    on = simulate(plan, cluster, durations=OneLong(), bars=True)
    cancelled = [bar for bar in on.bars if bar.status is Status.CANCELLED]
    assert on.makespan_seconds == 45.0
    assert cancelled
    assert all(bar.end < 45.0 for bar in cancelled)
    assert on.retries == 0


def test_a_trial_costs_little_for_each_task_that_is_far_longer_by_nature():
    """Until most ordinary attempts have ended, or for half the age of its task."""
    plan, cluster = pipeline(tasks=100, stages=1), Cluster(workers=100)
    durations = FarLonger(25.0, (7, 40, 80), 100)
    on = simulate(plan, cluster, durations=durations, bars=True, seed=1)
    backups = [bar for bar in on.bars if bar.status is Status.CANCELLED]
    assert len(backups) >= 3
    assert max(bar.begin for bar in backups) > 100.0
    for bar in backups:
        assert bar.end - bar.begin <= max(1.3 * 10.0, 0.51 * bar.begin)


class Uneven:
    """Tasks of 1, 2, 4, 8 and 16 MB, in no order along the stage."""

    def nbytes(self, index):
        return 1_000_000 * 2 ** (index[0] * 7 % 5)


class ByBytes:
    """As long as what is read, with some spread."""

    def sample(self, random, count):
        nbytes = np.array([Uneven().nbytes((n,)) for n in range(100)])
        return np.resize(nbytes, count) * 2e-6 * random.lognormal(0.0, 0.1, count)


@pytest.mark.parametrize("kills", [True, False])
def test_what_a_task_reads_explains_how_long_it_takes_also_where_sizes_lie_far_apart(kills):
    cluster = Cluster(workers=100, kills=kills)
    plan = pipeline(tasks=100, stages=1)
    known, unknown = (
        [
            on.slot_seconds / off.slot_seconds - 1.0
            for off, on in pairs(plan, cluster, durations=ByBytes(), sizes=sizes, seeds=range(2))
        ]
        for sizes in ({"s0": Uneven()}, {})
    )
    assert max(known) < 0.02
    assert statistics.fmean(known) < statistics.fmean(unknown) / 2
