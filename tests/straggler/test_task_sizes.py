"""Tasks of a stage are compared as if each were a whole one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from asyncexec.plan.access_map import ReadRegion, of_blocks
from asyncexec.plan.box import unravel
from asyncexec.storage.chunks.block_io import BlockIO, InMemory, TaskInput
from asyncexec.straggler.task_drift import TaskDrift
from asyncexec.straggler.task_sizes import LEAST, MOST, SlowThreshold, TaskSizes, sizes_of


class Ragged:
    """Tasks 4, 9, 14 … read half as much as the others."""

    def nbytes(self, index):
        return 50 if index[0] % 5 == 4 else 100


def blocks_of(extents, block):
    data = InMemory(np.zeros(extents, np.float32))
    access = of_blocks(extents, (block,) * len(extents))
    return BlockIO(sources=(TaskInput(array=data, select=ReadRegion(access)),))


@pytest.mark.parametrize("extents", [(40, 40), (10,), (8, 7)])
def test_bytes_are_known_before_a_task_runs_as_it_will_count_them(extents):
    io = blocks_of(extents, 4)
    shape = tuple(math.ceil(n / 4) for n in extents)
    for task in range(math.prod(shape)):
        index = unravel(task, shape)
        assert io.nbytes(index) == io.load(index)[1]


def test_an_even_grid_has_no_sizes_to_look_at():
    assert sizes_of(blocks_of((40, 40), 4), (10, 10)) is None
    assert sizes_of(None, (10,)) is None
    assert sizes_of(blocks_of((0, 40), 4), (0, 10)) is None


def test_tasks_at_an_edge_are_smaller_and_never_below_half():
    sizes = sizes_of(blocks_of((43, 40), 4), (11, 10))
    assert sizes is not None
    assert sizes.of(0) == 1.0
    assert sizes.of(109) == 0.75
    tiny = sizes_of(blocks_of((41, 41), 4), (11, 11))
    assert tiny is not None
    assert tiny.of(120) == LEAST


def test_what_is_larger_than_what_was_probed_counts_for_no_more_than_twice():
    sizes = TaskSizes(Ragged(), (100,), whole_bytes=10)
    assert sizes.of(0) == MOST


def test_a_smaller_task_is_slow_sooner_but_not_below_the_floor():
    threshold = SlowThreshold(
        seconds=10.0,
        floor_seconds=6.0,
        sizes=TaskSizes(Ragged(), (10,), 100),
        drift=TaskDrift(10),
    )
    assert threshold.of_task(0) == 10.0
    assert threshold.of_task(4) == 6.0
    assert threshold.least == 6.0
