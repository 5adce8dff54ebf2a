"""What a run costs on an engine does not depend on how many others there are; operations are counted, not time."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
from asyncexec.events.records import TaskSucceeded
from asyncexec.scheduler.deadlines import Deadlines
from asyncexec.scheduler.run import Run
from asyncexec.scheduler.run_order import SendOrder
from asyncexec.scheduler.wait_queues import WaitQueues
from asyncexec.scheduler.waits import MemoryWait
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


def calls_per_run(calls, runs, *, engine_options=None, stage_options=None, **options):
    plan = ax.Plan.map(abs, range(8), **(stage_options or {}))

    async def main():
        backend = ModelBackend(1.0, slots=4)
        async with (
            ax.Engine(backend, **(engine_options or {})) as engine,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(runs):
                group.create_task(engine.execute(plan, **options))

    calls.clear()
    run(main())
    return {name: calls[name] / runs for name in COUNTED}


@pytest.mark.parametrize("options", [{}, {"timeout": 60.0}, {"priority": 1}], ids=repr)
def test_the_calls_of_a_run_do_not_grow_with_the_runs_on_its_engine(calls, options):
    few = calls_per_run(calls, 10, **options)
    many = calls_per_run(calls, 200, **options)
    assert all(many[name] <= 1.2 * few[name] + 1 for name in COUNTED), (few, many)


WAITS = {
    "memory": ({"memory": "3GB"}, {"memory": "2GB"}),
    "resource": ({"resources": {"gpus": 1}}, {"resources": {"gpus": 1}}),
    "limit at once": ({"limits": {"api": ax.Limit(max_at_once=1)}}, {"labels": ["api"]}),
    "limit a second": ({"limits": {"api": ax.Limit(max_per_second=2)}}, {"labels": ["api"]}),
    "limit of its own": ({}, {"max_at_once": 1}),
}


@pytest.mark.parametrize("engine_options, stage_options", WAITS.values(), ids=WAITS)
def test_runs_that_wait_for_what_another_has_are_not_looked_at_meanwhile(
    calls, engine_options, stage_options
):
    options = {"engine_options": engine_options, "stage_options": stage_options}
    few = calls_per_run(calls, 10, **options)
    many = calls_per_run(calls, 200, **options)
    assert all(many[name] <= 1.2 * few[name] + 2 for name in COUNTED), (few, many)


def test_runs_of_which_each_has_something_in_flight_are_not_looked_at_at_every_report(calls):
    """On a backend with many slots, all runs have attempts in flight."""

    def per_run(runs):
        async def main():
            backend = ModelBackend(1.0, slots=8 * runs)
            async with ax.Engine(backend) as engine, asyncio.TaskGroup() as group:
                for _ in range(runs):
                    group.create_task(engine.execute(ax.Plan.map(abs, range(8))))

        calls.clear()
        run(main())
        return {name: calls[name] / runs for name in COUNTED}

    few, many = per_run(20), per_run(200)
    assert all(many[name] <= 1.2 * few[name] + 2 for name in COUNTED), (few, many)


def test_a_run_that_waits_keeps_what_it_waits_for_from_runs_of_lower_priority():
    """Of four GPUs, the first run takes three, and the second needs two; the third would take the fourth."""
    order = []

    def plan(name, gpus):
        return ax.Plan.map(abs, range(2), resources={"gpus": gpus}, name=name)

    def observe(event):
        if isinstance(event, TaskSucceeded):
            order.append(event.attempt.stage)

    async def main():
        options = {"resources": {"gpus": 4}, "observers": [observe]}
        async with ax.Engine(ModelBackend(1.0, slots=4), **options) as engine:
            first = engine.start(plan("first", 3), priority=2)
            await asyncio.sleep(0.5)
            others = [
                engine.start(plan("second", 2), priority=1),
                engine.start(plan("third", 1)),
            ]
            await asyncio.gather(first, *others)

    run(main())
    assert order == ["first", "first", "second", "second", "third", "third"]


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
        assert deadlines.earliest == min(at.values())
    due = sorted(number for number, time in at.items() if time <= 2.0)
    assert sorted(deadlines.take_due(2.0)) == due


WAITING = st.lists(
    st.tuples(
        RUNS, st.sampled_from(["put", "remove", "take"]), st.sets(st.sampled_from([1, 8, 64]))
    ),
    max_size=200,
)


@given(WAITING)
def test_the_first_of_each_queue_whose_wait_is_over_is_taken_out_of_all_queues(moves):
    queues, model = WaitQueues(), {}
    for entry, move, needs in moves:
        waits = {MemoryWait(n) for n in needs}
        if move == "put" and waits:
            queues.put(entry, (-entry,), waits)
            model[entry] = waits
        elif move == "remove":
            queues.remove(entry)
            model.pop(entry, None)
        elif move == "take":
            for taken, _ in queues.take_ready(waits.__contains__):
                mine = model.pop(taken)
                assert mine & waits
                assert not any(
                    other > taken and mine & waits & model[other] == mine & waits for other in model
                )
        assert queues.waiting.keys() == model.keys()
        for wait in queues.waits:
            assert queues.first(wait) == (-max(e for e, w in model.items() if wait in w),)


@given(st.integers(0, 2**50), st.integers(0, 2**50))
def test_needs_of_memory_wait_together_if_they_are_about_the_same(one, other):
    wait = MemoryWait.of(one)
    assert wait.least_bytes <= one < wait.least_bytes * 1.125 + 1
    if MemoryWait.of(other) == wait:
        assert max(one, other) <= 1.125 * min(one, other) + 1
