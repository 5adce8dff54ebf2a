"""Tasks of a stage are compared as if each were a whole one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from asyncexec.backends.contract import Program
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.box import unravel
from asyncexec.plan.plan import Plan
from asyncexec.scheduler.patience import Patience
from asyncexec.scheduler.task_sizes import LEAST, MOST, TaskSizes, sizes_of
from asyncexec.storage.block_io import BlockIO, InMemory, Source
from asyncexec.storage.selections import Axes, Block

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


def program(io, shape):
    return Program(key="k", plan="p", stage="s", kernel=abs, shape=shape, io=io)


def blocks_of(extents, block):
    data = InMemory(np.zeros(extents, np.float32))
    rules = tuple(Block(axis, block, extent) for axis, extent in enumerate(extents))
    return BlockIO(sources=(Source(array=data, select=Axes(rules)),))


@pytest.mark.parametrize("extents", [(40, 40), (10,), (8, 7)])
def test_bytes_are_known_before_a_task_runs_as_it_will_count_them(extents):
    io = blocks_of(extents, 4)
    shape = tuple(math.ceil(n / 4) for n in extents)
    for task in range(math.prod(shape)):
        index = unravel(task, shape)
        assert io.nbytes(index) == io.load(index)[1]


def test_an_even_grid_has_no_sizes_to_look_at():
    assert sizes_of(program(blocks_of((40, 40), 4), (10, 10))) is None
    assert sizes_of(program(None, (10,))) is None
    assert sizes_of(program(blocks_of((0, 40), 4), (0, 10))) is None


def test_tasks_at_an_edge_are_smaller_and_never_below_half():
    sizes = sizes_of(program(blocks_of((43, 40), 4), (11, 10)))
    assert sizes is not None
    assert sizes.of(0) == 1.0
    assert sizes.of(109) == 0.75
    tiny = sizes_of(program(blocks_of((41, 41), 4), (11, 11)))
    assert tiny is not None
    assert tiny.of(120) == LEAST


def test_what_is_larger_than_what_was_probed_counts_for_no_more_than_twice():
    sizes = TaskSizes(Ragged(), (100,), whole_bytes=10)
    assert sizes.of(0) == MOST


def test_a_smaller_task_is_slow_sooner_but_not_below_the_floor():
    patience = Patience(
        threshold_seconds=10.0, floor_seconds=6.0, sizes=TaskSizes(Ragged(), (10,), 100)
    )
    assert patience.with_task(0) == 10.0
    assert patience.with_task(4) == 6.0
    assert patience.least == 6.0


def test_a_small_task_is_slow_when_it_takes_as_long_as_a_large_one():
    """Wholes take 10 s and halves 5 s: a half is slow at 1.25 times five, a whole at 1.25 times ten."""
    bench = Workbench(Plan.map(abs, range(40)), slots=40, straggler=Quarter())
    bench.run.stages[0].sizes = TaskSizes(Ragged(), (40,), whole_bytes=100)
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
    bench.run.stages[0].sizes = TaskSizes(Ragged(), (100,), whole_bytes=50)
    for job in bench.send():
        read = 100 if job.task % 5 == 0 else 50
        worker = "large" if read == 100 else f"small-{job.task % 8}"
        bench.start(job, worker)
        bench.end(job, worker=worker, seconds=read / 10, read_bytes=read)
    assert bench.run.finished
    assert not bench.run.slow_workers.found
    statistics = bench.run.stages[0].statistics
    assert statistics.quantile(0.0) == pytest.approx(statistics.quantile(1.0))


def test_what_was_stopped_before_it_wrote_is_as_large_as_it_was_to_be():
    stage = Workbench(Plan.map(abs, range(10)), slots=2).run.stages[0]
    stage.sizes = TaskSizes(Ragged(), (10,), whole_bytes=100)
    stopped = Outcome(1, Status.CANCELLED, "w", 1.0, 8.0, read_bytes=50)
    assert stage.whole_seconds(stopped, 0) == 8.0
    assert stage.whole_seconds(stopped, 4) == 16.0
