"""Workers that make everything slow are found, avoided for a while, and tried again."""

import pytest

from asyncexec.straggler.slow_workers import AVOID_SECONDS, LEAST_TASKS, SlowWorkers


def watched(ratios, *, rounds=LEAST_TASKS, now=0.0):
    watch = SlowWorkers()
    for _ in range(rounds):
        for worker, ratio in ratios.items():
            watch.ran(worker, 10.0 * ratio, 10.0, now)
    return watch


def crew(size=10, **slow):
    return {f"w{n}": 1.0 for n in range(size)} | slow


def test_a_worker_that_takes_several_times_as_long_is_avoided():
    watch = watched(crew(w3=4.0))
    assert watch.changed
    assert watch.avoided(1.0) == {"w3"}
    assert watch.found == {"w3": pytest.approx(4.0)}
    assert not watch.changed


def test_a_slow_task_does_not_make_a_slow_worker():
    watch = watched(crew(), rounds=20)
    watch.ran("w1", 40.0, 10.0, 0.0)
    assert watch.avoided(1.0) == frozenset()


def test_a_few_tasks_say_nothing():
    assert watched(crew(w3=4.0), rounds=LEAST_TASKS - 1).avoided(1.0) == frozenset()


def test_where_many_are_slow_most_are_used_all_the_same():
    watch = watched(crew(w0=4.0, w1=4.0, w2=4.0, w3=4.0, w4=4.0))
    assert len(watch.avoided(1.0)) == 2


def test_a_worker_is_tried_again_after_a_while_and_avoided_again_if_it_is_still_slow():
    watch = watched(crew(w3=4.0))
    assert watch.next_change == AVOID_SECONDS
    assert watch.avoided(AVOID_SECONDS) == frozenset()
    for _ in range(LEAST_TASKS):
        watch.ran("w3", 40.0, 10.0, AVOID_SECONDS)
    assert watch.avoided(AVOID_SECONDS + 1) == {"w3"}


def test_durations_of_milliseconds_say_nothing_of_workers():
    watch = SlowWorkers()
    for _ in range(10):
        for worker, seconds in {"a": 0.001, "b": 0.001, "c": 0.001, "d": 0.01}.items():
            watch.ran(worker, seconds, 0.001, 0.0)
    assert watch.avoided(1.0) == frozenset()
