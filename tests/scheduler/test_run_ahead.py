"""Workers go on with stages that read a task, and nothing else changes: no task runs twice, or before what it reads."""

import random

import pytest

import asyncexec as ax
from asyncexec.errors import TaskFailedError
from asyncexec.events.outcome import Status
from tests.scheduler.workbench import PERMANENT, Workbench


def chain(stages, tasks=1):
    plan = ax.Plan.map(abs, range(tasks))
    for _ in range(stages - 1):
        plan = plan.then(abs)
    return plan


def test_so_many_follow_as_are_short():
    bench = Workbench(chain(200), follows=True)
    sizes = []
    while not bench.run.finished:
        jobs = bench.send()
        sizes.append(len(jobs))
        for job in jobs:
            bench.end(job, value=job.task)
    assert sum(sizes) == 200
    assert sizes[:4] == [2, 3, 5, 9], sizes


def test_of_slow_tasks_one_follows():
    bench = Workbench(chain(20), follows=True)
    while not bench.run.finished:
        jobs = bench.send()
        assert len(jobs) <= 2
        bench.now += 1.0
        for job in jobs:
            bench.end(job, value=job.task)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": ax.Timeout(stage=10.0)},
        {"most_in_flight": 1},
        {"one_stage_at_a_time": True},
        {"barriers": True},
    ],
    ids=str,
)
def test_none_follow_where_the_order_of_stages_matters(options):
    bench = Workbench(chain(5), follows=True, **options)
    assert len(bench.send()) == 1


def test_a_task_whose_predecessor_failed_is_sent_after_its_retry():
    bench = Workbench(chain(2), follows=True)
    first, second = bench.send()
    bench.fail(first)
    bench.end(second, Status.CANCELLED, started_at=0.0)
    bench.pass_time(60.0)
    first, second = bench.send()
    assert (first.number, second.number) == (2, 1)
    bench.end(first, value=0)
    assert not bench.send()  # the second is with the backend already
    bench.end(second, value=0)
    assert bench.run.finished
    assert bench.run.error is None


def test_a_task_that_follows_is_sent_by_itself_if_it_was_stopped_before_it_started():
    bench = Workbench(chain(2), follows=True)
    first, second = bench.send()
    bench.end(first, value=0)
    bench.end(second, Status.CANCELLED, started_at=0.0)
    (again,) = bench.send()
    bench.end(again, value=0)
    assert bench.run.finished
    assert bench.run.stages[1].figures.completed == 1


def test_a_failure_of_one_that_follows_ends_the_run_as_any_other():
    bench = Workbench(chain(3), follows=True)
    first, second = bench.send()
    bench.end(first, value=0)
    bench.fail(second, PERMANENT)
    assert isinstance(bench.run.error, TaskFailedError)
    assert bench.run.finished
    assert bench.budget.slots_taken == 0


@pytest.mark.parametrize("seed", range(30))
def test_whatever_ends_how_each_task_is_complete_once_and_after_what_it_reads(seed):
    """Attempts that run fail at random, and what follows them is reported as not started."""
    draw = random.Random(seed)
    bench = Workbench(chain(6, tasks=3), follows=True, retry=ax.Retry(attempts=50))
    for _ in range(1_000):
        if bench.run.finished:
            break
        bench.batches.clear()
        bench.send()
        for batch in bench.batches:
            succeeded = {None}
            for each in (batch, *batch.following):
                for job in each.jobs:
                    before = None if each is batch else job.inputs[0]
                    if before not in succeeded:
                        bench.end(job, Status.CANCELLED, started_at=0.0)
                    elif draw.random() < 0.2:
                        bench.fail(job)
                    else:
                        succeeded.add(job.attempt)
                        bench.end(job, value=job.task)
        bench.pass_time(60.0)
    assert bench.run.error is None, f"seed {seed}"
    assert bench.run.finished, f"seed {seed}"
    assert [s.figures.completed for s in bench.run.stages] == [3] * 6, f"seed {seed}"
    assert bench.budget.slots_taken == 0, f"seed {seed}"
