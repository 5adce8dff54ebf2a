"""A lost value is computed again, with what that needs; nothing else runs twice, and nothing counts twice."""

import pytest

from asyncexec.errors import TaskFailedError, ValueLostError
from asyncexec.events.outcome import ErrorInfo, ItemOf, Status, ValueHandle
from asyncexec.plan.plan import Plan
from asyncexec.worker.attempt import decode
from tests.scheduler.test_result_store import Store
from tests.scheduler.workbench import Workbench

LOST = ErrorInfo("asyncexec.errors.ValueLostError", ("builtins.Exception",), "gone")


def one(x):
    return x


@pytest.fixture
def store():
    return ForgetfulStore()


class ForgetfulStore(Store):
    """Deletes what is there, and does not mind what is not; what is not there is lost."""

    def get(self, handle):
        if handle.key not in self.values:
            raise ValueLostError("gone", handle)
        return super().get(handle)

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
    assert "it is not computed again: tasks of stage 'make' must not run twice" in str(
        bench.run.error
    )


def test_a_value_that_is_lost_when_it_is_to_be_returned_is_computed_again(store):
    bench = Workbench(Plan.map(one, range(2), name="make"), value_store=store)
    end_all(bench, store, bench.send())
    assert bench.run.finished
    lost = bench.state.values.get(0, 1)
    store.values.pop(lost.key)
    assert bench.run.recovery.reopen(ValueLostError("gone", lost))
    assert not bench.run.finished
    again = sent(bench)
    assert list(again) == [("make", 1)]
    end_all(bench, store, again.values())
    assert bench.run.finished
    assert bench.state.values.results() == {"make": [0, 0]}


def test_the_run_fails_with_the_reason_where_that_cannot_be(store):
    bench = Workbench(Plan.map(one, [0], name="make", idempotent=False), value_store=store)
    end_all(bench, store, bench.send())
    error = ValueLostError("gone", bench.state.values.get(0, 0))
    assert not bench.run.recovery.reopen(error)
    assert error.__notes__ == [
        "It is not computed again: tasks of stage 'make' must not run twice."
    ]


def size_late(bench):
    """Find the sizes that are due, as the dispatch has it done; return whether that was possible."""
    find = bench.run.take_sizing()
    try:
        found = find()
    except ValueLostError as error:
        found = error
    bench.run.sized(found, bench.now)
    return not isinstance(found, Exception)


def late(items=None):
    plan = Plan.call(one, items, name="items").then_each(one, name="each")
    return plan.then(one, name="after").reduce(one, name="all")


def test_a_value_that_is_lost_when_it_is_to_give_a_size_is_computed_again(store):
    bench = Workbench(late(), value_store=store, slots=4)
    (job,) = bench.send()
    handle = store.keep(job.attempt, [1, 2])
    bench.end(job, value=handle)
    store.values.clear()
    assert bench.run.late.due
    assert not size_late(bench)
    assert not bench.run.late.due
    assert not bench.run.finished
    assert not bench.run.stalled
    (job,) = bench.send()
    bench.end(job, value=store.keep(job.attempt, [1, 2]))
    assert bench.run.late.due
    assert size_late(bench)
    assert list(sent(bench)) == [("each", 0), ("each", 1)]


def test_the_item_that_a_task_has_read_comes_from_a_value_that_is_computed_again(store):
    bench = Workbench(late(), value_store=store, slots=4)
    (job,) = bench.send()
    bench.end(job, value=store.keep(job.attempt, [1, 2]))
    assert size_late(bench)
    each = sent(bench)
    assert [job.inputs for job in each.values()] == [(1,), (2,)]
    end_all(bench, store, each.values())
    readers = sent(bench)
    assert len(store.values) == 2  # The items are not needed any more.
    lose(bench, store, readers["after", 1], readers["after", 1].inputs[0])
    bench.end(readers["after", 0], value=5)
    again = sent(bench)
    assert list(again) == [("items", 0)]
    (job,) = again.values()
    handle = store.keep(job.attempt, [1, 2])
    bench.end(job, value=handle)
    again = sent(bench)
    assert list(again) == [("each", 1)]
    (job,) = again.values()
    assert job.inputs == (ItemOf(handle, 1),)
    assert decode(job.inputs[0], store) == 2
    bench.end(job, value=store.keep(job.attempt))
    (job,) = sent(bench).values()
    bench.end(job, value=6)
    (job,) = sent(bench).values()
    bench.end(job, value=7)
    assert bench.run.finished
    assert bench.run.error is None
    assert not store.values


def test_items_without_an_order_are_not_read_again(store):
    bench = Workbench(late(), value_store=store, slots=4, retry=1)
    (job,) = bench.send()
    bench.end(job, value=store.keep(job.attempt, {1, 2}))
    assert size_late(bench)
    end_all(bench, store, bench.send())
    reader = sent(bench)["after", 0]
    lose(bench, store, reader, reader.inputs[0])
    assert "'each' reads items of a value without an order" in str(bench.run.error)


def test_cancelling_ends_a_run_that_was_reopened(store):
    bench = Workbench(Plan.map(one, [0], name="make"), value_store=store)
    end_all(bench, store, bench.send())
    bench.run.recovery.reopen(ValueLostError("gone", bench.state.values.get(0, 0)))
    (job,) = bench.send()
    bench.run.stop()
    bench.end(job, Status.CANCELLED)
    assert bench.run.finished
    assert bench.run.incomplete
