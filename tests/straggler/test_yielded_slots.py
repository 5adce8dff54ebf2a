"""Backups on trial took slots that were idle, and leave them to tasks of other stages that wait for some."""

import pytest

from asyncexec.events.outcome import Status
from asyncexec.plan.plan import Plan
from asyncexec.plan.relations import broadcast
from asyncexec.plan.stage import Read, Stage
from tests.scheduler.workbench import Workbench

WIDE = 30


def with_successors(*, tasks=20):
    """A run of a stage, of which all tasks but two have ended in 10 s, and one that has thirty readers for each."""
    first = Stage(name="first", kernel=max, shape=(tasks, 1))
    read = Read("first", broadcast((tasks, 1), (tasks, WIDE)))
    then = Stage(name="then", kernel=min, shape=(tasks, WIDE), inputs=(read,))
    bench = Workbench(Plan((first, then)), slots=tasks, straggler="two_phase")
    jobs = bench.send()
    for job in jobs:
        bench.start(job, worker=f"w{job.task}")
    bench.pass_time(10.0)
    for job in jobs[2:]:
        bench.end(job, seconds=10.0, worker=f"w{job.task}")
    work_off(bench)
    return bench, jobs[:2]


def work_off(bench):
    """End all that can be sent, each in a second."""
    while jobs := bench.send():
        for job in jobs:
            bench.start(job, worker=f"v{job.attempt}")
        for job in jobs:
            bench.end(job, seconds=1.0, worker=f"v{job.attempt}")


def wait_for_backups(bench, until):
    """Let time pass, start and stop backups as that is asked for, and return those that run."""
    found = {}
    while bench.now < until:
        bench.pass_time(1.0)
        for job in bench.send():
            bench.start(job, worker=f"b{job.attempt}")
            found[job.task] = job
        for attempt in bench.cancelled():
            task = bench.jobs[attempt][1]
            bench.end(found.pop(task), Status.CANCELLED, seconds=12.0)
    return found


def wanted_at(age):
    """A run with a backup, when another task of its stage ends and has successors for all slots."""
    bench, left = with_successors()
    backups = wait_for_backups(bench, age)
    goes_on, ends = sorted(left, key=lambda job: job.task not in backups)
    bench.end(ends, seconds=age)
    if ends.task in backups:
        assert bench.cancelled() == [backups[ends.task].attempt]
        bench.end(backups[ends.task], Status.CANCELLED, seconds=1.0)
    assert len(bench.send()) == WIDE
    bench.pass_time(1.0)
    return bench, backups[goes_on.task]


@pytest.mark.parametrize("age", [16.0, 31.0])
def test_a_backup_on_trial_leaves_its_slot_to_tasks_that_become_ready_after_it(age):
    bench, backup = wanted_at(age)
    assert bench.cancelled() == [backup.attempt]


def test_a_backup_of_a_task_that_is_hardly_so_long_by_nature_has_its_slot_for_an_ordinary_attempt():
    bench, backup = wanted_at(36.0)  # Since 31 s.
    bench.pass_time(6.0)
    assert bench.cancelled() == []
    bench.pass_time(5.0)
    assert bench.cancelled() == [backup.attempt]


def test_a_backup_keeps_its_slot_once_others_have_won():
    bench, (ends, _) = with_successors()
    backups = wait_for_backups(bench, 16.0)
    bench.pass_time(4.0)
    bench.end(backups[ends.task], seconds=8.0)
    assert bench.cancelled() == [ends.attempt]
    bench.end(ends, Status.CANCELLED, seconds=20.0)
    assert len(bench.send()) == WIDE
    bench.pass_time(1.0)
    assert bench.cancelled() == []
