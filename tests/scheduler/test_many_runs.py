"""What a run costs on an engine does not depend on how many others there are; operations are counted, not time."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
from asyncexec.scheduler.run import Run
from asyncexec.scheduler.run_order import Deadlines, SendOrder
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import run

COUNTED = ("next_batch", "next_deadline", "tick", "report")


@pytest.fixture
def calls(monkeypatch):
    """Count the calls of a run's methods."""
    counts = Counter()

    def counted(name, method):
        def call(self, *args):
            counts[name] += 1
            return method(self, *args)

        return call

    for name in COUNTED:
        monkeypatch.setattr(Run, name, counted(name, getattr(Run, name)))
    return counts


def calls_per_run(calls, runs, **options):
    async def main():
        async with ax.Engine(ModelBackend(1.0, slots=4)) as engine, asyncio.TaskGroup() as group:
            for _ in range(runs):
                group.create_task(engine.execute(ax.Plan.map(abs, range(8)), **options))

    calls.clear()
    run(main())
    return {name: calls[name] / runs for name in COUNTED}


@pytest.mark.parametrize("options", [{}, {"timeout": 60.0}, {"priority": 1}], ids=repr)
def test_the_calls_of_a_run_do_not_grow_with_the_runs_on_its_engine(calls, options):
    few = calls_per_run(calls, 10, **options)
    many = calls_per_run(calls, 200, **options)
    assert all(many[name] <= 1.2 * few[name] + 1 for name in COUNTED), (few, many)


def test_runs_of_equal_priority_get_their_slots_in_turns():
    ended = []

    async def one(engine, number, tasks):
        await engine.execute(ax.Plan.map(abs, range(tasks)))
        ended.append(number)

    async def main():
        async with ax.Engine(ModelBackend(1.0, slots=4)) as engine, asyncio.TaskGroup() as group:
            for number, tasks in enumerate((400, 4, 4)):
                group.create_task(one(engine, number, tasks))

    run(main())
    assert ended[-1] == 0


RUNS = st.integers(0, 5)
MOVES = st.lists(st.tuples(RUNS, st.integers(-1, 1), st.integers(0, 4)), max_size=200)


@given(MOVES)
def test_runs_are_taken_by_priority_and_then_by_what_is_in_flight(moves):
    order, places = SendOrder(), {}
    for number, priority, in_flight in moves:
        if in_flight == 4:
            order.remove(number)
            places.pop(number, None)
        else:
            order.offer(number, priority=priority, in_flight=in_flight)
            places[number] = (-priority, in_flight, number)
    expected = [place[2] for place in sorted(places.values())]
    assert [order.take() for _ in range(len(expected) + 1)] == [*expected, None]


@given(st.lists(st.tuples(RUNS, st.sampled_from([1.0, 2.0, 3.0, float("inf")])), max_size=300))
def test_the_earliest_deadline_is_that_of_all_runs_as_they_were_last_set(moves):
    deadlines, at = Deadlines(), {}
    for number, time in moves:
        deadlines.set(number, time)
        at[number] = time
        assert deadlines.first == min(at.values())
    due = sorted(number for number, time in at.items() if time <= 2.0)
    assert sorted(deadlines.take_due(2.0)) == due
