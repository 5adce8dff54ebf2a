"""What the tasks are like is told from what happened to their attempts, where the run tells it."""

import numpy as np
import pytest

from asyncexec.simulation.recorded import Attempts
from asyncexec.simulation.separation import separate

RANDOM = np.random.default_rng


def attempts(*rows):
    """From rows of task, number, status, seconds."""
    task, number, status, seconds = zip(*rows, strict=True)
    return Attempts(
        task=np.array(task),
        number=np.array(number),
        backup=np.array(number) > 1,
        status=np.array(status),
        seconds=np.array(seconds, dtype=float),
    )


def quiet(tasks, seconds=1.0):
    return [(task, 1, "succeeded", seconds) for task in range(tasks)]


def slow_with_witnesses(second_seconds, slow=12, tasks=188):
    """Tasks whose first attempt was given up after 5 s, because another was done."""
    rows = quiet(tasks)
    for task in range(tasks, tasks + slow):
        rows += [(task, 1, "cancelled", 5.0), (task, 2, "succeeded", second_seconds)]
    return attempts(*rows)


def drawn(durations, count=20_000):
    return durations.sample(RANDOM(0), count)


def test_equal_durations_are_all_nature():
    told = separate(attempts(*quiet(50, 3.0)))
    assert set(drawn(told.durations)) == {3.0}
    assert told.noise.tail is None
    assert (told.slow_share, told.witnesses) == (0.0, 0)


def test_a_slow_attempt_whose_task_was_quick_the_second_time_is_noise():
    told = separate(slow_with_witnesses(1.0))
    assert (told.witnesses, told.blamed_on_attempts) == (12, 1.0)
    assert drawn(told.durations).max() == 1.0
    run, _ = told.noise.sample(RANDOM(0), np.full(20_000, 1.0))
    assert np.mean(run > 1) == pytest.approx(0.06, abs=0.01)
    assert run.max() == pytest.approx(5.0)


def test_a_task_that_was_slow_the_second_time_as_well_is_slow_by_nature():
    told = separate(slow_with_witnesses(4.5))
    assert (told.witnesses, told.blamed_on_attempts) == (12, 0.0)
    assert told.noise.tail is None
    assert np.mean(drawn(told.durations) > 2) == pytest.approx(0.06, abs=0.01)


@pytest.mark.parametrize(
    "slowness, share_by_nature", [("auto", 0.0), ("attempts", 0.0), ("tasks", 0.1)]
)
def test_without_witnesses_the_slow_end_is_laid_on_attempts_unless_the_caller_says_tasks(
    slowness, share_by_nature
):
    rows = quiet(90) + [(task, 1, "succeeded", 8.0) for task in range(90, 100)]
    told = separate(attempts(*rows), slowness)
    assert told.witnesses == 0
    assert told.slow_share == pytest.approx(0.1)
    assert np.mean(drawn(told.durations) > 2) == pytest.approx(share_by_nature, abs=0.01)
    assert (told.noise.tail is None) == (slowness == "tasks")


def test_few_witnesses_are_not_asked():
    told = separate(slow_with_witnesses(4.5, slow=9, tasks=91))
    assert (told.witnesses, told.witnessed, told.blamed_on_attempts) == (9, False, 1.0)


def test_what_was_stopped_counts_as_what_ran_longer():
    """Half of the slow ones were stopped at 3 s; those that were not took 10 s."""
    rows = quiet(80)
    rows += [(task, 1, "succeeded", 10.0) for task in range(80, 90)]
    rows += [(task, 1, "cancelled", 3.0) for task in range(90, 100)]
    told = separate(attempts(*rows), "tasks")
    seconds = drawn(told.durations)
    assert np.mean(seconds == 10.0) == pytest.approx(0.2, abs=0.01)
    assert not np.any(seconds == 3.0)


def test_hangs_and_failures_are_shares_of_attempts():
    rows = quiet(95) + [(task, 1, "timed out", 600.0) for task in range(3)]
    rows += [(task, 1, "failed", 0.1) for task in range(2)]
    told = separate(attempts(*rows))
    assert told.noise.hang_share == pytest.approx(0.03)
    assert told.noise.failure_share == pytest.approx(0.02)
    assert drawn(told.durations).max() == 1.0


def test_a_stage_none_of_whose_first_attempts_succeeded_is_known_from_the_others():
    told = separate(attempts((0, 1, "failed", 0.1), (0, 2, "succeeded", 2.0)))
    assert set(drawn(told.durations, 5)) == {2.0}


def test_a_slow_attempt_of_a_slow_task_is_no_slower_than_either():
    rows = quiet(80)
    for task in range(80, 90):
        second = 1.0 if task % 2 else 6.0
        rows += [(task, 1, "succeeded", 6.0), (task, 2, "succeeded", second)]
    told = separate(attempts(*rows))
    assert told.blamed_on_attempts == 0.5
    run, _ = told.noise.sample(RANDOM(1), drawn(told.durations))
    assert run.max() == 6.0
    assert np.mean(run > 2) == pytest.approx(0.11, abs=0.01)
