"""What a task costs does not depend on how many stages its plan has; operations are counted, not time."""

import gc
from collections import Counter

import pytest

import asyncexec as ax
from asyncexec.plan.plan import Plan
from asyncexec.plan.relations import All, identity
from asyncexec.plan.stage import Read, Stage
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.scheduler.stage import StageState
from asyncexec.simulation import Cluster, Lognormal, Noise, simulate
from asyncexec.simulation.plans import staged
from tests.counting import calls_of
from tests.sampling import sampled
from tests.scheduler.workbench import Workbench


def kernel(*_):
    return None


def chain(stages):
    plan = Plan.map(abs, range(4))
    for _ in range(stages - 1):
        plan = plan.then(abs)
    return plan


def fan(stages):
    """One stage that so many read, and one that reads them all."""
    middle = [
        Stage(name=f"s{i}", kernel=kernel, shape=(4,), inputs=(Read("root", identity((4,))),))
        for i in range(stages)
    ]
    root = Stage(name="root", kernel=kernel, shape=(4,))
    reads = tuple(Read(stage.name, All((4,), ()), many=True) for stage in middle)
    return Plan([root, *middle, Stage(name="end", kernel=kernel, shape=(), inputs=reads)])


def separate(stages):
    return Plan([Stage(name=f"s{i}", kernel=kernel, shape=(4,)) for i in range(stages)])


PLANS = {"chain": chain, "fan": fan, "separate": separate}
POLICIES = {
    "plain": {},
    "backups": {"straggler": "two_phase"},
    "timeouts": {"timeout": 60.0},
    "stage by stage": {"one_stage_at_a_time": True},
    "barriers": {"barriers": True},
}


@pytest.fixture
def looks(monkeypatch):
    """Count how often stages are looked at."""
    counts = Counter()
    launchable = StageState.launchable.fget

    def counted(stage):
        counts["looks"] += 1
        return launchable(stage)

    monkeypatch.setattr(StageState, "launchable", property(counted))
    return counts


@pytest.mark.parametrize("policies", POLICIES.values(), ids=POLICIES)
@pytest.mark.parametrize("make", PLANS.values(), ids=PLANS)
def test_the_stages_looked_at_for_a_task_do_not_grow_with_those_of_its_plan(looks, make, policies):
    def for_a_task(stages):
        bench = Workbench(make(stages), **policies)
        looks.clear()
        while not bench.run.finished:
            for job in bench.send():
                bench.start(job)
                bench.end(job)
                bench.run.next_deadline(bench.now)
        return looks["looks"] / sum(stage.tasks for stage in bench.run.stages)

    few, many = for_a_task(20), for_a_task(300)
    assert many <= 1.2 * few + 1, (few, many)


def test_stages_that_wait_for_the_same_are_looked_at_only_as_it_comes(looks):
    """A limit of their own each, and one at a time of what all need."""

    def for_a_task(stages):
        made = [
            Stage(name=f"s{i}", kernel=kernel, shape=(4,), resources={"gpus": 1.0})
            for i in range(stages)
        ]
        bench = Workbench(Plan(made), budget=AdmissionBudget(resources={"gpus": 1.0}))
        looks.clear()
        while not bench.run.finished:
            (job,) = bench.send()
            bench.end(job)
        return looks["looks"] / (4 * stages)

    few, many = for_a_task(20), for_a_task(300)
    assert many <= 1.2 * few + 1, (few, many)


def test_a_stage_that_waits_holds_few_objects():
    def objects(stages):
        plan = chain(stages)
        gc.collect()
        before = len(gc.get_objects())
        bench = Workbench(plan)
        gc.collect()
        held = len(gc.get_objects()) - before
        assert not bench.run.finished
        return held

    few, many = objects(50), objects(250)
    assert (many - few) / 200 <= 60, (few, many)


TIMEOUTS = [None, ax.Timeout(stage=1e6), ax.Timeout(task=1e6)]


@pytest.mark.parametrize("timeout", sampled(TIMEOUTS, *TIMEOUTS[:2]))
def test_the_calls_of_a_task_of_uneven_length_do_not_grow_with_the_stages_that_run_at_once(timeout):
    """Simulated, as there stages run beside each other for long, and thresholds move with every duration."""

    def for_a_task(stages):
        plan, uneven = staged(stages, tasks=30), Lognormal(mean_seconds=1.0, sigma=0.6)
        noise = Noise(slow_share=0.05, slow_factors=(8.0, 12.0))
        how = {"durations": uneven, "noise": noise, "timeout": timeout}
        return calls_of(lambda: simulate(plan, Cluster(workers=30), **how)) / plan.tasks

    few, many = for_a_task(6), for_a_task(36)
    # What rules learn from like stages before is looked up once for each stage.
    assert many <= 1.35 * few, (few, many)
