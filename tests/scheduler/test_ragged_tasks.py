"""Tasks of a stage are compared as if each were a whole one, as a run goes on."""

import pytest

from asyncexec.plan.plan import Plan
from asyncexec.straggler.task_sizes import TaskSizes

from .workbench import Workbench


class Ragged:
    """Tasks 4, 9, 14 … read half as much as the others."""

    def nbytes(self, index):
        return 50 if index[0] % 5 == 4 else 100


class Quarter:
    """A rule: a backup for what takes a quarter longer than the median."""

    name = "quarter"
    floor_seconds = 1.0
    steady = True

    def threshold(self, view):
        return 1.25 * view.statistics.quantile(0.5)

    def copies(self, view):
        return 2

    def backups(self, view):
        return view.slots


def test_a_small_task_is_slow_when_it_takes_as_long_as_a_large_one():
    """Wholes take 10 s and halves 5 s: a half is slow at 1.25 times five, a whole at 1.25 times ten."""
    bench = Workbench(Plan.map(abs, range(40)), slots=40, straggler=Quarter())
    bench.run.stages[0].running.monitor.sizes = TaskSizes(Ragged(), (40,), whole_bytes=100)
    *ending, whole, half = bench.send()
    for job in (*ending, whole, half):
        bench.start(job)
    for job in ending:
        read = Ragged().nbytes((job.task,))
        bench.end(job, seconds=read / 10, read_bytes=read)
    bench.pass_time(6.0)
    assert not bench.send()
    bench.pass_time(0.5)
    assert [job.task for job in bench.send()] == [half.task]
    bench.pass_time(5.5)
    assert not bench.send()
    bench.pass_time(1.0)
    assert whole.task in {job.task for job in bench.send()}


def test_a_worker_that_gets_the_large_tasks_is_not_taken_for_slow():
    """A fifth of the tasks are whole ones, take twice as long, and all go to one worker."""
    bench = Workbench(Plan.map(abs, range(100)), slots=100)
    monitor = bench.run.stages[0].running.monitor
    monitor.sizes = TaskSizes(Ragged(), (100,), whole_bytes=50)
    for job in bench.send():
        read = 100 if job.task % 5 == 0 else 50
        worker = "large" if read == 100 else f"small-{job.task % 8}"
        bench.start(job, worker)
        bench.end(job, worker=worker, seconds=read / 10, read_bytes=read)
    assert bench.run.finished
    assert not bench.run.slow_workers.found
    statistics = monitor.statistics
    assert statistics.quantile(0.0) == pytest.approx(statistics.quantile(1.0))
