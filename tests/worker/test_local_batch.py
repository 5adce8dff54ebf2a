"""A batch that shares the driver's memory is collected and cancelled while a thread runs it."""

import threading

from asyncexec.events.outcome import Status
from asyncexec.worker.local_batch import LocalBatch
from asyncexec.worker.programs import LoadedProgram
from asyncexec.worker.records import AttemptSpec, Started

SPECS = [AttemptSpec(attempt, attempt) for attempt in (1, 2, 3)]


def test_outcomes_are_collected_once():
    batch = LocalBatch(LoadedProgram(lambda index: index[0], None, (10,)), SPECS)
    batch()
    outcomes = batch.reports.outcomes()
    assert [o.value for o in outcomes] == [1, 2, 3]
    assert {o.worker for o in outcomes} == {threading.current_thread().name}
    assert (batch.reports.outcomes(), batch.reports.starts()) == ([], [])


def test_a_start_is_collected_once_while_its_attempt_runs():
    seen = []
    batch = LocalBatch(
        LoadedProgram(lambda index: seen.extend(batch.reports.starts()), None, (10,)), SPECS
    )
    batch.run("w")
    assert seen == [Started(1, "w"), Started(2, "w"), Started(3, "w")]

    def twice(index):
        return batch.reports.starts(), batch.reports.starts()

    batch = LocalBatch(LoadedProgram(twice, None, (10,)), SPECS[:1])
    batch.run("w")
    assert batch.reports.outcomes()[0].value == ([Started(1, "w")], [])


def test_an_attempt_that_is_given_up_leaves_the_rest_to_another_thread():
    cancelled = []

    def kernel(index):
        if index == (2,):
            cancelled.append(batch.cancel([1, 2]))
        return index[0]

    batch = LocalBatch(LoadedProgram(kernel, None, (10,)), SPECS)
    assert not batch.run("w")
    ((outcomes, rest),) = cancelled
    assert [(o.attempt, o.status) for o in outcomes] == [
        (1, Status.SUCCEEDED),
        (2, Status.CANCELLED),
    ]
    assert outcomes[1].started
    assert batch.reports.outcomes() == []
    assert rest.attempts == [3]
    assert rest.run("w")


def test_what_has_not_started_is_cancelled_without_a_start():
    batch = LocalBatch(LoadedProgram(abs, None, (10,)), SPECS)
    outcomes, rest = batch.cancel([2, 3])
    assert [(o.attempt, o.status, o.started) for o in outcomes] == [
        (2, Status.CANCELLED, False),
        (3, Status.CANCELLED, False),
    ]
    assert rest is None
