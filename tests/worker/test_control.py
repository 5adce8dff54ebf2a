"""Attempts of a batch that runs are dropped or left behind, each by one decision under one lock."""

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from hypothesis import given, strategies as st

from asyncexec.worker.control import NOTHING_STOPPED, BatchControl


def test_what_has_not_started_is_dropped():
    control = BatchControl([1, 2, 3])
    assert control.begin(1)
    assert control.stop([2, 99]) == ([2], [])
    assert not control.begin(2)
    assert control.end()
    assert control.begin(3)


def test_an_attempt_that_runs_is_left_behind_unless_it_is_saving():
    control, left = BatchControl([1, 2, 3]), []
    control.on_left = lambda: left.append(True)
    assert control.begin(1)
    assert control.take()  # It saves.
    assert control.stop([1]) == NOTHING_STOPPED
    assert control.end()
    assert control.begin(2)
    assert control.stop([2], leave=False) == NOTHING_STOPPED
    assert control.stop([1, 2]) == ([], [2])
    assert left == [True]
    assert not control.take()
    assert not control.end()
    assert not control.begin(3)
    assert control.waiting == {3}


def test_an_attempt_is_left_behind_once():
    control = BatchControl([1])
    control.begin(1)
    assert control.stop([1]) == ([], [1])
    assert control.stop([1]) == NOTHING_STOPPED


def test_an_attempt_that_has_ended_is_not_left_behind():
    control = BatchControl([1, 2])
    control.begin(1)  # Fails, so that it never asks whether it may save.
    assert control.end()
    assert control.stop([1]) == NOTHING_STOPPED
    assert control.begin(2)


def test_an_attempt_starts_once():
    control = BatchControl([1])
    assert control.begin(1)
    assert control.end()
    assert not control.begin(1)


def test_a_held_batch_ends_with_the_attempt_that_runs():
    control = BatchControl([1, 2, 3])
    control.begin(1)
    assert not control.hold(2)
    control.end()
    control.begin(2)
    assert control.hold(2)
    assert control.end()
    assert not control.begin(3)


@given(st.lists(st.sets(st.integers(0, 5)), max_size=8))
def test_every_attempt_has_one_fate_however_it_is_stopped(stops):
    control = BatchControl(range(6))
    ended, dropped, left = [], [], []
    for attempt in range(6):
        if not control.begin(attempt):
            continue
        if stops:
            stopped = control.stop(stops.pop())
            dropped += stopped.not_started
            left += stopped.left
        if control.take():
            assert control.stop([attempt]).left == []
        if control.end():
            ended.append(attempt)
    assert sorted([*ended, *dropped, *left, *control.waiting]) == list(range(6))
    assert all(earlier < later for earlier, later in pairwise(ended))


def test_of_a_worker_and_a_canceller_one_has_the_attempt():
    for attempt in range(200):
        control = BatchControl([attempt])
        control.begin(attempt)
        with ThreadPoolExecutor(1) as other:
            stopped = other.submit(control.stop, [attempt])
            saves = control.take()
        assert saves is (stopped.result() == NOTHING_STOPPED)
