"""What is taken for a drift of durations along a stage."""

import random

import pytest

from asyncexec.straggler.task_drift import LEAST, MOST, TaskDrift


def drift_of(durations, *, tasks=1000):
    drift = TaskDrift(tasks)
    for task, seconds in enumerate(durations):
        drift.add(task, seconds)
    return drift


def test_durations_that_grow_along_the_stage_make_a_factor_for_each_task():
    drift = drift_of([10.0 * 1.002**n for n in range(500)])
    assert drift.of(249) == pytest.approx(1.0, rel=0.01)
    assert drift.of(600) == pytest.approx(1.002**350, rel=0.02)
    assert drift.least == LEAST


def test_a_line_is_not_believed_far_beyond_what_was_seen():
    drift = drift_of([1.0 + n for n in range(30)])
    assert drift.of(999) == MOST
    assert drift.of(0) == LEAST


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_drift(seed):
    print("seed", seed)
    chance = random.Random(seed)
    for count in (20, 50, 500):
        drift = drift_of([chance.lognormvariate(2.0, 1.0) for _ in range(count)])
        assert [drift.of(task) for task in (0, 500, 999)] == [1.0, 1.0, 1.0]
        assert drift.least == 1.0


def test_few_durations_or_equal_ones_are_no_drift():
    assert drift_of([1.0 + n for n in range(19)]).of(999) == 1.0
    assert drift_of([3.0] * 100).of(999) == 1.0
    assert drift_of([0.0] * 100).of(999) == 1.0
