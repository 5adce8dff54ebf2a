"""Jobs in the hands of a worker: each leaves exactly once, whatever arrives twice, late or never."""

import hypothesis.strategies as st
from hypothesis import given

from asyncexec.backends.contract import AttemptSpec, StageProgram
from asyncexec.backends.processes.assignment import Assignment, WorkerExit
from asyncexec.backends.processes.frames import CANCELLED, SUCCEEDED, Row
from asyncexec.events.outcome import ErrorInfo, Outcome, Status

PROGRAM = StageProgram(key="k", plan="p", stage="s", kernel=print, shape=(100,))
RAN = Row(SUCCEEDED, 5.0, 0.1, 0, 0, 0, None, None)
PASSED_OVER = Row(CANCELLED, 0.0, 0.0, 0, 0, 0, None, None)
ERROR = ErrorInfo("asyncexec.errors.WorkerLostError", (), "gone")
LOST = Outcome(0, Status.LOST, "w", 5.0, 0.1, error=ERROR)


def assignment(jobs=4):
    return Assignment(PROGRAM, [AttemptSpec(100 + n, n) for n in range(jobs)])


def statuses(released):
    return {o.attempt - 100: o.status for o in released.outcomes}


def returned(released):
    return [job.task for job in released.requeued]


def test_outcomes_that_arrive_twice_are_reported_once():
    held = assignment()
    assert statuses(held.take(0, [RAN, RAN], "w")) == {0: Status.SUCCEEDED, 1: Status.SUCCEEDED}
    assert statuses(held.take(1, [RAN, RAN, RAN], "w")) == {
        2: Status.SUCCEEDED,
        3: Status.SUCCEEDED,
    }
    assert held.complete


def test_outcomes_ahead_of_others_are_left_until_those_have_come():
    held = assignment()
    assert held.take(2, [RAN], "w").outcomes == []
    assert statuses(held.take(0, [RAN, RAN], "w")).keys() == {0, 1}
    assert statuses(held.take(2, [RAN], "w")).keys() == {2}


def test_a_start_is_told_once_and_not_of_a_job_that_has_left():
    held = assignment()
    assert held.start(1).task == 1
    assert held.start(1) is None
    assert held.start(0) is None
    held.drop({102})
    held.resolve_cancelled(1)
    assert held.start(2) is None
    held.take(0, [RAN, RAN, PASSED_OVER, RAN], "w")
    assert held.start(3) is None


def test_a_cancelled_job_that_waits_is_reported_before_its_row_comes():
    held = assignment()
    assert held.drop({102}) == [2]
    assert statuses(held.resolve_cancelled(0)) == {2: Status.CANCELLED}
    assert not held.unsettled
    assert statuses(held.take(0, [RAN, RAN, PASSED_OVER, RAN], "w")).keys() == {0, 1, 3}
    assert held.complete


def test_a_cancelled_job_that_had_started_keeps_its_outcome():
    held = assignment()
    held.drop({100})
    assert held.resolve_cancelled(0).outcomes == []
    assert held.is_cancelled(0)
    assert statuses(held.take(0, [RAN], "w")) == {0: Status.SUCCEEDED}
    assert held.drop({100}) == []


def test_what_is_taken_away_goes_back_but_for_what_has_begun():
    held = assignment()
    held.revoked = True
    held.drop({103})
    released = held.resolve_cancelled(0)
    assert returned(released) == [1, 2]
    assert statuses(released) == {3: Status.CANCELLED}
    assert returned(held.take(0, [PASSED_OVER, PASSED_OVER, PASSED_OVER, PASSED_OVER], "w")) == [0]


def test_a_worker_that_dies_loses_what_it_ran_and_what_waited():
    held = assignment()
    held.take(0, [RAN], "w")
    held.drop({103})
    released = held.end(WorkerExit.DIED, 1, LOST, ERROR)
    assert statuses(released) == {1: Status.LOST, 2: Status.LOST, 3: Status.CANCELLED}
    assert [o.started for o in released.outcomes] == [True, False, False]


def test_a_worker_that_is_killed_gives_back_what_waited():
    held = assignment()
    held.drop({101})
    held.take(0, [RAN], "w")
    released = held.end(WorkerExit.KILLED, 1, LOST, ERROR)
    assert released.outcomes == [LOST._replace(attempt=101, status=Status.CANCELLED, error=None)]
    assert returned(released) == [2, 3]


def test_a_bystander_that_had_just_started_is_lost():
    held = assignment()
    released = held.end(WorkerExit.KILLED, 2, LOST, ERROR)
    assert statuses(released) == {2: Status.LOST}
    assert returned(released) == [0, 1, 3]


def test_a_worker_that_was_never_ready_gives_everything_back():
    assert returned(assignment().end(WorkerExit.NEVER_READY, None, LOST, ERROR)) == [0, 1, 2, 3]


@given(data=st.data(), jobs=st.integers(1, 6))
def test_every_job_leaves_exactly_once(data, jobs):
    """A worker runs in order what is not forbidden; the driver hears of it late, twice, or never."""
    held = assignment(jobs)
    rows, forbidden, left = [], set(), []

    def note(released):
        left.extend([o.attempt - 100 for o in released.outcomes] + returned(released))

    for _ in range(data.draw(st.integers(0, 12))):
        match data.draw(st.sampled_from(["run", "hear", "drop", "revoke", "settle"])):
            case "run" if len(rows) < jobs:
                rows.append(PASSED_OVER if len(rows) in forbidden else RAN)
            case "hear" if not held.complete and rows:
                first = data.draw(st.integers(0, len(rows) - 1))
                note(held.take(first, rows[first:], "w"))
            case "drop":
                forbidden.update(held.drop(data.draw(st.sets(st.integers(100, 99 + jobs)))))
            case "revoke":
                held.revoked = True
                forbidden.update(range(jobs))
            case "settle":
                note(held.resolve_cancelled(len(rows) - 1))
    if not held.complete:
        exit_kind = data.draw(st.sampled_from(WorkerExit))
        running = held.done if len(rows) > held.done else None
        note(held.end(exit_kind, running, LOST, ERROR))
    assert sorted(left) == list(range(jobs))
