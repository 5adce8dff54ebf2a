"""Stages of which a slot runs many tasks at once: sizes of batches, and the account of slots, memory and resources."""

import asyncio

import pytest

import asyncexec as ax
from asyncexec.errors import OptionError, PoisonTaskError
from asyncexec.events.outcome import Status
from asyncexec.plan import Plan
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.scheduler.batching import MANY_ROUNDS, BatchSize
from tests.scheduler.workbench import Workbench


async def nap(x):
    await asyncio.sleep(1)
    return x


def sizes(bench):
    return [len(batch.jobs) for batch in bench.batches]


def test_a_batch_fills_its_slot_before_any_duration_is_known():
    assert BatchSize(512, at_once=20).size(ready=1000, slots=4) == 20
    assert BatchSize(512, at_once=20, rounds=MANY_ROUNDS).size(ready=10_000, slots=4) == 160
    assert BatchSize(8, at_once=20).size(ready=1000, slots=4) == 8


def test_tasks_that_could_run_at_once_are_spread_over_all_slots():
    size = BatchSize(512, at_once=100)
    assert size.size(ready=100, slots=4) == 25
    assert size.size(ready=3, slots=4) == 1


def test_short_tasks_still_go_together():
    size = BatchSize(512, at_once=4)
    for _ in range(50):
        size.measured(0.001)
    assert size.size(ready=100_000, slots=1) == 399


def test_memory_is_taken_for_as_many_as_run_at_once_and_given_back_one_by_one():
    budget = AdmissionBudget(memory_bytes=1000)
    plan = Plan.map(nap, range(10), memory=100, concurrency=4)
    bench = Workbench(plan, slots=1, budget=budget, batch=6)
    jobs = bench.send()
    assert sizes(bench) == [5, 4]
    assert budget.used_bytes == 800
    used = []
    for job in jobs[:5]:
        bench.end(job)
        used.append(budget.used_bytes)
    assert used == [800, 700, 600, 500, 400]
    for job in jobs[5:]:
        bench.end(job)
    bench.finish()
    assert (budget.used_bytes, budget.batches, budget.slots_taken) == (0, 0, 0)


def test_a_batch_is_no_larger_than_the_memory_that_is_left():
    budget = AdmissionBudget(memory_bytes=350)
    bench = Workbench(
        Plan.map(nap, range(20), memory=100, concurrency=10), slots=1, budget=budget, batch=64
    )
    bench.send()
    assert sizes(bench) == [3]
    assert budget.used_bytes == 300


def test_each_of_many_takes_its_resources():
    budget = AdmissionBudget(resources={"licences": 5})
    plan = Plan.map(nap, range(20), resources={"licences": 1}, concurrency=10)
    bench = Workbench(plan, slots=2, budget=budget, batch=64)
    jobs = bench.send()
    assert sizes(bench) == [5]
    bench.end(jobs[0])
    bench.send()
    assert sizes(bench) == [5, 1]


def test_small_batches_share_a_slot_until_it_is_full_twice():
    plan = Plan.map(nap, range(1000), concurrency=100)
    bench = Workbench(plan, slots=1, batch=30, shares_slots=True)
    jobs = bench.send()
    assert sizes(bench) == [30] * 7
    bench.end(jobs[0])
    assert bench.send() == []
    for job in jobs[1:11]:
        bench.end(job)
    assert len(bench.send()) == 30


def test_a_task_whose_workers_died_twice_among_others_kills_two_by_itself_before_it_is_blamed():
    plan = Plan.map(nap, range(4), concurrency=4)
    bench = Workbench(plan, slots=1, batch=4, retry=ax.Retry(base_seconds=0.0, attempts=9))
    for worker in ("one", "two"):
        jobs = [*bench.send()]
        while len(jobs) < 4:
            bench.pass_time(1.0)
            jobs += bench.send()
        for job in jobs:
            bench.end(job, Status.LOST, worker=worker)
    bench.batches.clear()
    alone = []
    while bench.run.error is None:
        bench.pass_time(5.0)
        (job,) = bench.send()
        alone.append(job.task)
        bench.end(job, Status.LOST, worker=f"alone-{job.attempt}")
    assert alone.count(alone[-1]) == 2
    assert isinstance(bench.run.error, PoisonTaskError)


@pytest.mark.parametrize("concurrency", [0, -1, 1.5, True, "many"])
def test_a_concurrency_that_is_no_number_of_tasks_is_refused(concurrency):
    with pytest.raises(OptionError, match=r"concurrency=.*whole number from 1"):
        Plan.map(nap, [1], concurrency=concurrency)


def test_a_plain_function_with_concurrency_is_refused_with_the_way_out():
    with pytest.raises(OptionError, match=r"stage 'abs'.*async def"):
        Plan.map(abs, [1], concurrency=2)
    assert Plan.map(abs, [1], concurrency=1).stages[0].concurrency == 1
