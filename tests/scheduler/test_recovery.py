"""A lost value is computed again, with what that needs; nothing else runs twice, and nothing counts twice."""

import pytest

from asyncexec.errors import TaskFailedError
from asyncexec.events.outcome import ErrorInfo, ValueHandle
from asyncexec.plan.plan import Plan
from tests.scheduler.test_result_store import Store
from tests.scheduler.workbench import Workbench

LOST = ErrorInfo("asyncexec.errors.ValueLostError", ("builtins.Exception",), "gone")


def one(x):
    return x


@pytest.fixture
def store():
    return ForgetfulStore()


class ForgetfulStore(Store):
    """Deletes what is there, and does not mind what is not."""

    def delete(self, handles):
        for handle in handles:
            self.values.pop(handle.key, None)


def end_all(bench, store, jobs):
    for job in jobs:
        bench.end(job, value=store.keep(job.attempt))


def lose(bench, store, reader, handle):
    store.values.pop(handle.key)
    bench.fail(reader, LOST, value=handle)


def sent(bench):
    """Send what can be sent, and return it by stage and task."""
    return {bench.jobs[job.attempt]: job for job in bench.send()}


def test_the_task_that_made_it_runs_again_and_then_its_reader(store):
    bench = Workbench(
        Plan.map(one, range(2), name="make").then(one, name="read"), value_store=store
    )
    end_all(bench, store, bench.send())
    readers = sent(bench)
    lost = readers["read", 1].inputs[0]
    lose(bench, store, readers["read", 1], lost)
    again = sent(bench)
    assert list(again) == [("make", 1)]
    assert again["make", 1].attempt != int(lost.key)
    end_all(bench, store, again.values())
    (reader,) = bench.send()
    assert reader.inputs == (ValueHandle("here", str(again["make", 1].attempt), 100),)
    bench.end(readers["read", 0], value=1)
    bench.end(reader, value=2)
    assert bench.run.finished
    assert bench.run.error is None
    assert not store.values
    assert [s.figures.completed for s in bench.run.stages] == [2, 2]
    assert [s.figures.attempts for s in bench.run.stages] == [3, 3]


def test_what_it_reads_and_was_deleted_is_computed_again_too_and_deleted_again(store):
    plan = Plan.map(one, range(2), name="a").then(one, name="b").reduce(one, name="c")
    bench = Workbench(plan, value_store=store, slots=4)
    end_all(bench, store, bench.send())
    end_all(bench, store, bench.send())
    (last,) = bench.send()
    assert len(store.values) == 2
    lose(bench, store, last, last.inputs[0].values[0])
    again = sent(bench)
    assert list(again) == [("a", 0)]
    end_all(bench, store, again.values())
    again = sent(bench)
    assert list(again) == [("b", 0)]
    assert len(store.values) == 2
    end_all(bench, store, again.values())
    assert len(store.values) == 2
    (last,) = bench.send()
    bench.end(last, value=3)
    assert bench.run.finished
    assert not store.values
    assert [s.figures.completed for s in bench.run.stages] == [2, 2, 1]


def test_several_readers_wait_for_one_run(store):
    plan = Plan.map(one, range(1), name="make")
    bench = Workbench(fan_out(plan), value_store=store, slots=4)
    end_all(bench, store, bench.send())
    readers = sent(bench)
    lost = readers["left", 0].inputs[0]
    lose(bench, store, readers["left", 0], lost)
    bench.fail(readers["right", 0], LOST, value=lost)
    again = sent(bench)
    assert list(again) == [("make", 0)]
    end_all(bench, store, again.values())
    readers = sent(bench)
    assert sorted(readers) == [("left", 0), ("right", 0)]
    for reader in readers.values():
        bench.end(reader, value=1)
    assert bench.run.finished
    assert not store.values


def fan_out(plan):
    left = plan.then(one, name="left")
    right = plan.then(one, name="right")
    return Plan((*left.stages, right.stages[-1]), "fan", ("left", "right"))


def test_a_loss_that_is_found_after_the_value_has_come_back_runs_nothing_again(store):
    plan = Plan.map(one, range(1), name="make")
    bench = Workbench(fan_out(plan), value_store=store, slots=4)
    end_all(bench, store, bench.send())
    readers = sent(bench)
    lost = readers["left", 0].inputs[0]
    lose(bench, store, readers["left", 0], lost)
    end_all(bench, store, bench.send())
    bench.fail(readers["right", 0], LOST, value=lost)
    assert sorted(sent(bench)) == [("left", 0), ("right", 0)]


def test_a_value_that_is_lost_again_and_again_fails_its_reader(store):
    bench = Workbench(
        Plan.map(one, range(1), name="make").then(one, name="read"), value_store=store, retry=1
    )
    end_all(bench, store, bench.send())
    for _ in range(3):
        (reader,) = bench.send()
        lose(bench, store, reader, reader.inputs[0])
        end_all(bench, store, bench.send())
    (reader,) = bench.send()
    lose(bench, store, reader, reader.inputs[0])
    assert isinstance(bench.run.error, TaskFailedError)
    assert "gone" in str(bench.run.error)


def test_a_task_that_is_not_idempotent_does_not_run_again(store):
    plan = Plan.map(one, range(1), name="make", idempotent=False).then(one, name="read")
    bench = Workbench(plan, value_store=store, retry=1)
    end_all(bench, store, bench.send())
    (reader,) = bench.send()
    lose(bench, store, reader, reader.inputs[0])
    assert isinstance(bench.run.error, TaskFailedError)
