"""Values under handles: each is deleted once, when nothing needs it any more, and opened where it is needed here."""

import pytest

from asyncexec.events.outcome import Status, ValueHandle
from asyncexec.plan.plan import Plan
from tests.scheduler.workbench import Workbench


class Store:
    """Values by their keys; to delete one twice is an error here."""

    def __init__(self):
        self.values = {}
        self.opened = []

    def keep(self, key, value=0):
        self.values[str(key)] = value
        return ValueHandle("here", str(key), 100)

    def put(self, attempt, value):
        return self.keep(attempt, value)

    def get(self, handle):
        self.opened.append(handle.key)
        return self.values[handle.key]

    def delete(self, handles):
        for handle in handles:
            del self.values[handle.key]


@pytest.fixture
def store():
    return Store()


def one(x):
    return x


def end_all(bench, store, jobs):
    for job in jobs:
        bench.end(job, value=store.keep(job.attempt))


def test_a_value_is_passed_on_by_its_handle_and_deleted_after_its_last_reader(store):
    bench = Workbench(Plan.map(one, range(2)).then(one), value_store=store)
    first = bench.send()
    end_all(bench, store, first)
    second = bench.send()
    assert [job.inputs for job in second] == [
        (ValueHandle("here", str(job.attempt), 100),) for job in first
    ]
    bench.end(second[0], value=1)
    assert set(store.values) == {str(first[1].attempt)}
    bench.end(second[1], value=1)
    assert not store.values
    assert not store.opened
    assert bench.run.finished


def test_values_that_a_barrier_reads_go_together(store):
    bench = Workbench(Plan.map(one, range(3)).reduce(one), value_store=store, slots=4)
    end_all(bench, store, bench.send())
    assert len(store.values) == 3
    (last,) = bench.send()
    bench.end(last, value=7)
    assert not store.values
    assert bench.state.values.results() == {last_stage(bench): [7]}


def last_stage(bench):
    return bench.run.stages[-1].name


def test_a_value_that_nothing_needs_is_deleted_at_once(store):
    plan = Plan.map(one, range(2))
    bench = Workbench(Plan(plan.stages, plan.name, ()), value_store=store)
    end_all(bench, store, bench.send())
    assert not store.values


def test_returned_values_are_opened_for_the_result_and_deleted_with_the_run(store):
    bench = Workbench(Plan.map(one, range(2)), value_store=store)
    for job in bench.send():
        bench.end(job, value=store.keep(job.attempt, job.task * 10))
    assert list(bench.state.values.results().values()) == [[0, 10]]
    assert len(store.values) == 2
    bench.state.values.close()
    bench.state.values.close()
    assert not store.values


def test_what_a_run_had_when_it_was_stopped_is_deleted_at_its_end(store):
    bench = Workbench(Plan.map(one, range(3)).reduce(one), value_store=store, slots=4)
    first = bench.send()
    bench.end(first[0], value=store.keep("early"))
    bench.run.stop()
    bench.end(first[1], value=store.keep("late"))
    assert set(store.values) == {"early"}
    bench.end(first[2], Status.CANCELLED)
    assert bench.run.finished
    bench.state.values.close()
    assert not store.values


def test_the_value_of_an_attempt_that_lost_the_race_is_deleted(store):
    bench = Workbench(Plan.map(one, range(1)).then(one), value_store=store)
    (job,) = bench.send()
    stage = bench.run.stages[0]
    bench.start(job)
    stage.record_of(bench.run._running[job.attempt])
    stage.back_up(job.task)
    (backup,) = bench.send()
    bench.end(backup, value=store.keep("winner"))
    bench.end(job, value=store.keep("loser"))
    assert set(store.values) == {"winner"}


def test_a_report_that_comes_twice_deletes_nothing(store):
    bench = Workbench(Plan.map(one, range(1)).then(one), value_store=store)
    (job,) = bench.send()
    bench.end(job, value=store.keep("value"))
    bench.end(job, value=ValueHandle("here", "value", 100))
    assert set(store.values) == {"value"}


def test_a_size_that_a_kept_value_gives_is_read_here(store):
    plan = Plan.call(lambda: [1, 2, 3]).then_each(one)
    bench = Workbench(plan, value_store=store)
    (job,) = bench.send()
    bench.end(job, value=store.keep("items", [5, 6, 7]))
    assert bench.state.values.value(0) == [5, 6, 7]
    assert store.opened == ["items"]


class Discarding(Store):
    """Notes the attempts that may have left something."""

    def __init__(self):
        super().__init__()
        self.discarded = []

    def discard(self, attempts):
        self.discarded += attempts


def test_what_a_lost_attempt_may_have_left_is_deleted():
    store = Discarding()
    bench = Workbench(Plan.map(one, range(4)), value_store=store, slots=4, retry=2)
    ran, waited, failed, made = bench.send()
    bench.end(ran, Status.LOST, started_at=1.0)
    bench.end(waited, Status.LOST, started_at=0.0)
    bench.fail(failed)
    bench.end(made, value=store.keep(made.attempt))
    assert store.discarded == [ran.attempt]
