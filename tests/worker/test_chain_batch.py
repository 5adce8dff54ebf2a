"""A worker goes on with what reads a batch, attempt by attempt, where there is a value to go on with."""

from asyncexec.events.outcome import Status
from asyncexec.worker.chain_batch import ChainBatch
from asyncexec.worker.programs import LoadedProgram
from asyncexec.worker.records import AttemptSpec


def program(function):
    return LoadedProgram(lambda _index, value: function(value), None, (3,))


def odd(value):
    if value % 2 == 0:
        raise ValueError(value)
    return value


def chain(*functions):
    """Three tasks of the values 1 to 3, which go through as many stages; attempt 10 * stage + task."""
    first = [AttemptSpec(task, task, (task + 1,)) for task in range(3)]
    following = [
        (
            lambda function=function: program(function),
            [AttemptSpec(10 * n + task, task, (10 * (n - 1) + task,)) for task in range(3)],
        )
        for n, function in enumerate(functions[1:], 1)
    ]
    return ChainBatch(program(functions[0]), first, following)


def test_each_attempt_takes_the_value_of_the_one_before_it():
    batch = chain(lambda x: x, lambda x: 10 * x, lambda x: -x)
    assert batch.run("w")
    outcomes = batch.reports.outcomes()
    assert [o.attempt for o in outcomes] == [0, 1, 2, 10, 11, 12, 20, 21, 22]
    assert [o.value for o in outcomes] == [1, 2, 3, 10, 20, 30, -10, -20, -30]


def test_what_follows_a_failure_does_not_start():
    batch = chain(odd, lambda x: 10 * x)
    assert batch.run("w")
    by_id = {o.attempt: o for o in batch.reports.outcomes()}
    assert sorted(by_id) == batch.attempts == [0, 1, 2, 10, 11, 12]
    assert by_id[1].status is Status.FAILED
    assert by_id[11].status is Status.CANCELLED
    assert not by_id[11].started
    assert [by_id[n].value for n in (10, 12)] == [10, 30]


def test_what_is_cancelled_has_one_outcome_and_so_has_all_that_follows_it():
    batch = chain(lambda x: x, lambda x: x, lambda x: x)
    outcomes, rest = batch.cancel({11})
    assert rest is None
    assert batch.run("w")
    outcomes += batch.reports.outcomes()
    assert sorted(o.attempt for o in outcomes) == batch.attempts
    assert {o.attempt for o in outcomes if o.status is Status.CANCELLED} == {11, 21}


def test_a_batch_left_behind_goes_on_elsewhere_with_the_values_it_has():
    batches, rests = [], []

    def left_at_two(value):
        if value == 2 and not rests:
            outcomes, rest = batches[0].cancel({11})
            rests.append((outcomes, rest))
        return 10 * value

    batches.append(batch := chain(lambda x: x, left_at_two, lambda x: -x))
    assert not batch.run("w")  # this thread must end
    ((outcomes, rest),) = rests
    assert rest is not None
    assert rest.run("other")
    outcomes = [*outcomes, *rest.reports.outcomes()]
    assert sorted(o.attempt for o in outcomes) == batch.attempts
    values = {o.attempt: o.value for o in outcomes if o.status is Status.SUCCEEDED}
    assert values == {0: 1, 1: 2, 2: 3, 10: 10, 12: 30, 20: -10, 22: -30}
