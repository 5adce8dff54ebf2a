"""The ready queue gives out each task once, in order, whatever was pushed and however it is taken."""

from __future__ import annotations

from hypothesis import given, strategies as st

from asyncexec.scheduler.ready import ReadyQueue

RUNS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=12)


@given(runs=RUNS, sizes=st.lists(st.integers(1, 7), min_size=1))
def test_tasks_come_out_as_they_went_in(runs: list[tuple[int, int]], sizes: list[int]) -> None:
    queue = ReadyQueue()
    expected: list[int] = []
    for start, length in runs:
        queue.push_run(start, start + length)
        queue.push(start)
        expected += [*range(start, start + length), start]
    assert queue.count == len(expected)
    taken: list[int] = []
    turn = 0
    while queue.count:
        most = sizes[turn % len(sizes)]
        got = queue.take(most)
        assert 1 <= len(got) <= most
        taken += got
        turn += 1
    assert taken == expected
    assert not queue.take(3)


def test_a_task_pushed_first_comes_out_first() -> None:
    queue = ReadyQueue()
    queue.push_run(0, 3)
    queue.push_first(9)
    assert [*queue.take(1), *queue.take(9)] == [9, 0, 1, 2]


def test_a_long_run_costs_one_entry() -> None:
    queue = ReadyQueue()
    queue.push_run(0, 10**9)
    for task in range(10**9, 10**9 + 1000):
        queue.push(task)
    assert len(queue._runs) == 1
    assert queue.take(5) == range(5)
    queue.clear()
    assert queue.count == 0
