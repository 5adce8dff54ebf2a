"""Tasks that take less time than the message that brings them go together, through all stages of a plan."""

import random

import pytest

import asyncexec as ax
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.scheduler.batching import BatchSize
from asyncexec.straggler.statistics import DurationStatistics
from tests.scheduler.workbench import Workbench

MESSAGE = 50e-6


def batches_of(bench, seconds, seed):
    """Run a plan, of which one batch after another ends, in any order; return how many there were."""
    order, open_batches = random.Random(seed), []
    while not bench.run.finished:
        before = len(bench.batches)
        bench.send()
        open_batches += bench.batches[before:]
        for job in open_batches.pop(order.randrange(len(open_batches))).jobs:
            bench.end(job, value=job.task, seconds=seconds)
    return len(bench.batches)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_short_tasks_of_a_long_chain_are_not_split_into_ever_smaller_batches(seed):
    plan = ax.Plan.map(abs, range(100))
    for _ in range(29):
        plan = plan.then(abs)
    bench = Workbench(plan, call_seconds=MESSAGE, batch=256)
    assert batches_of(bench, 1e-6, seed) <= 30 * 9


def measured(size, seconds, times=50):
    for _ in range(times):
        size.measured(seconds)
    return size


def test_what_is_worth_no_second_message_goes_in_one():
    size = measured(BatchSize(512, MESSAGE), 1e-6)
    assert size.size(ready=20, slots=4) == 20
    assert 12 <= size.size(ready=40, slots=4) <= 20


def test_tasks_longer_than_a_message_are_spread_over_the_slots():
    size = measured(BatchSize(512, MESSAGE), 1e-3)
    assert size.size(ready=20, slots=4) == 3


def test_a_task_that_had_to_wait_for_its_core_does_not_split_the_others():
    size = measured(BatchSize(512, MESSAGE), 1e-6)
    before = size.size(ready=20, slots=4)
    size.measured(0.005)
    assert size.size(ready=20, slots=4) == before


def test_a_stage_begins_with_what_is_known_of_tasks_like_its_own():
    short = DurationStatistics([1e-6] * 100)
    assert BatchSize(512, MESSAGE).size(ready=100, slots=4) == 1
    assert 13 <= BatchSize(512, MESSAGE, history=short).size(ready=100, slots=4) <= 25


def test_a_stage_some_of_whose_tasks_may_be_long_begins_with_one():
    mixed = DurationStatistics([1e-6] * 90 + [3.0] * 10)
    assert BatchSize(512, MESSAGE, history=mixed).size(ready=100, slots=4) == 1


@pytest.mark.parametrize("call_seconds, first", [(0.4, 2), (MESSAGE, 4)])
def test_where_a_message_is_dear_none_is_sent_ahead_before_a_task_has_ended(call_seconds, first):
    bench = Workbench(ax.Plan.map(abs, range(100)), call_seconds=call_seconds, batch=1_000)
    jobs = bench.send()
    assert (len(jobs), len(bench.batches)) == (first, first)
    bench.end(jobs[0], value=0, seconds=1e-6)
    rest = bench.send()
    assert len(jobs) + len(rest) == 100 or call_seconds == MESSAGE


def test_two_runs_at_once_take_few_dear_messages_each():
    budget = AdmissionBudget()
    benches = [
        Workbench(ax.Plan.map(abs, range(100)), call_seconds=0.4, batch=1_000, budget=budget)
        for _ in range(2)
    ]
    open_jobs = []
    while not all(bench.run.finished for bench in benches):
        for bench in benches:
            open_jobs += [(bench, job) for job in bench.send()]
        bench, job = open_jobs.pop(0)
        bench.end(job, value=job.task, seconds=1e-6)
    assert sum(len(bench.batches) for bench in benches) <= 6
