"""What is taken for a drift of durations along a stage."""

import random

import pytest

from asyncexec.straggler.task_drift import LEAST, MOST, TaskDrift
from asyncexec.straggler.task_sizes import TaskSizes


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


class Spread:
    """Tasks that read from 1 to 64 MB, in no order along the stage."""

    def nbytes(self, index):
        return 1_000_000 * 2 ** (index[0] * 5 % 7)


def sized(seconds_of, *, tasks=200):
    sizes = TaskSizes(Spread(), (tasks,), 8_000_000)
    drift = TaskDrift(tasks, sizes.bytes_of)
    for task in range(tasks // 2):
        drift.add(task, seconds_of(sizes.bytes_of(task)) / sizes.of(task))
    return lambda task: sizes.of(task) * drift.of(task)


def test_what_the_sizes_of_tasks_miss_is_found_where_they_lie_far_apart():
    factor = sized(lambda nbytes: nbytes / 1e6)
    least, most = (factor(task) for task in (105, 102))  # 1 and 64 MB
    assert most / least > 10, "sizes alone are taken for four times at most"


def test_durations_that_do_not_follow_bytes_are_not_scaled_by_them():
    factor = sized(lambda nbytes: 10.0)
    least, most = (factor(task) for task in (105, 102))
    assert most / least < 1.6, "sizes alone would say four times"
