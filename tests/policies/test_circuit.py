"""The circuit breaker: opens on a backend that fails everything, sees from time to time, never blocks for ever."""

import pytest
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from asyncexec.errors import CircuitOpenError, OptionError
from asyncexec.policies.circuit import COUNTED, CircuitBreaker, CircuitOptions, State
from asyncexec.policies.classification import FailureKind

SMALL = CircuitOptions(failures=5, tasks=3, pause_seconds=1.0, cap_seconds=4.0, openings=4)


def opened(options: CircuitOptions = SMALL, now: float = 0.0) -> CircuitBreaker:
    breaker = CircuitBreaker(options)
    for n in range(max(options.failures, options.tasks)):
        breaker.record(False, n, now)
    assert breaker.state is State.OPEN
    return breaker


def test_it_opens_at_the_failure_that_is_one_too_many_and_says_so_once():
    breaker = CircuitBreaker(SMALL)
    assert [breaker.record(False, n, 0.0) for n in range(7)] == [None] * 4 + [
        State.OPEN,
        None,
        None,
    ]
    assert not breaker.allows(0.5)
    assert breaker.resumes_at == 1.0


@given(st.integers(1, 19), st.integers(0, 5_000))
def test_a_few_bad_tasks_never_open_it(tasks, failures):
    """A plan of few tasks ends with its tasks' own errors, which say more."""
    breaker = CircuitBreaker()
    for n in range(failures):
        assert breaker.record(False, n % tasks, float(n)) is None
        assert breaker.allows(float(n))


@given(st.lists(st.booleans(), max_size=500))
def test_it_opens_only_after_so_many_failures_without_a_success_between(ends):
    breaker, in_a_row = CircuitBreaker(SMALL), 0
    for task, success in enumerate(ends):
        in_a_row = 0 if success else in_a_row + 1
        breaker.record(success, task, 0.0)
        assert (breaker.state is State.OPEN) == (in_a_row >= SMALL.failures)


def test_one_probe_at_a_time_goes_through_and_decides():
    breaker = opened()
    assert breaker.allows(1.0)
    assert breaker.state is State.HALF_OPEN
    assert not breaker.allows(1.0)
    assert breaker.record(True, 9, 1.1) is State.CLOSED
    assert all(breaker.allows(1.1) for _ in range(100))


def test_pauses_double_up_to_the_cap_until_it_gives_up():
    breaker, now, pauses = opened(), 0.0, []
    while not breaker.gave_up:
        pauses.append(breaker.pause_seconds)
        now = breaker.resumes_at
        assert breaker.allows(now)
        assert breaker.record(False, 0, now) is State.OPEN
    assert pauses == [1.0, 2.0, 4.0, 4.0]
    assert not breaker.allows(now + 1e9)


def test_a_success_starts_the_pauses_anew():
    breaker = opened()
    assert breaker.allows(1.0)
    breaker.record(False, 0, 1.0)
    assert breaker.pause_seconds == 2.0
    breaker.record(True, 0, 1.5)
    for n in range(5):
        breaker.record(False, n, 2.0)
    assert breaker.pause_seconds == 1.0
    assert breaker.resumes_at == 3.0


def test_what_was_under_way_when_it_opened_neither_lengthens_the_pause_nor_gives_up():
    breaker = opened()
    for n in range(1_000):
        assert breaker.record(False, n, 0.9) is None
    assert breaker.resumes_at == 1.0
    assert not breaker.gave_up


def test_a_success_of_what_was_under_way_closes_it():
    breaker = opened()
    assert breaker.record(True, 0, 0.5) is State.CLOSED
    assert breaker.allows(0.5)


def test_a_probe_that_never_reports_costs_a_pause():
    breaker = opened()
    assert breaker.allows(1.0)
    assert not breaker.allows(1.9)
    assert breaker.allows(2.0)


def test_with_the_defaults_it_bears_an_outage_of_a_minute():
    breaker, now = opened(CircuitOptions()), 0.0
    while not breaker.gave_up:
        now = breaker.resumes_at
        assert breaker.allows(now)
        breaker.record(False, 0, now)
    assert 60 <= now <= 90


def test_the_error_says_what_happened_and_what_to_do():
    breaker = opened()
    error = breaker.error("climate", last="task 7: no route")
    assert "(the last: task 7: no route)" in str(error)
    assert isinstance(error, CircuitOpenError)
    assert "'climate'" in str(error)
    assert "5 attempts" in str(error)
    assert "resume=True" in str(error)


def test_failures_of_the_code_itself_are_not_to_be_counted():
    assert {FailureKind.PERMANENT, FailureKind.OUT_OF_MEMORY, FailureKind.UNKNOWN}.isdisjoint(
        COUNTED
    )


def test_while_not_closed_what_may_be_the_backends_failure_is_an_outage():
    """A timeout is not: it may as well be too short, which the task's own error says."""
    breaker = CircuitBreaker(SMALL)
    assert not any(breaker.is_outage(kind) for kind in FailureKind)
    for n in range(5):
        breaker.record(False, n, 0.0)
    outages = {FailureKind.TRANSIENT, FailureKind.WORKER_LOST}
    assert {kind for kind in FailureKind if breaker.is_outage(kind)} == outages
    breaker.allows(1.0)
    assert {kind for kind in FailureKind if breaker.is_outage(kind)} == outages
    breaker.record(True, 0, 1.0)
    assert not any(breaker.is_outage(kind) for kind in FailureKind)


@pytest.mark.parametrize(
    "options",
    [
        dict(failures=0),
        dict(tasks=0),
        dict(openings=0),
        dict(pause_seconds=0.0),
        dict(pause_seconds=9, cap_seconds=3),
    ],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(OptionError, match="circuit breaker"):
        CircuitOptions(**options)


class AnyOrder(RuleBasedStateMachine):
    """Whatever comes in whatever order: something may always be sent after a pause, until it has given up."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.breaker = CircuitBreaker(SMALL)
        self.since_success = 0

    @rule(task=st.integers(0, 9))
    def fails(self, task):
        self.breaker.record(False, task, self.now)
        self.since_success += 1

    @rule()
    def succeeds(self):
        self.breaker.record(True, 0, self.now)
        self.since_success = 0
        assert self.breaker.state is State.CLOSED

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def something_is_sent(self):
        self.breaker.allows(self.now)

    @precondition(lambda self: not self.breaker.gave_up and self.breaker.state is not State.CLOSED)
    @rule()
    def after_the_pause_something_may_be_sent(self):
        assert self.breaker.resumes_at - self.now <= SMALL.cap_seconds + 1e-6
        self.now = max(self.now, self.breaker.resumes_at)
        assert self.breaker.allows(self.now)
        assert not self.breaker.allows(self.now)

    @invariant()
    def it_is_never_stricter_than_the_failures_allow(self):
        assert self.breaker.failures == self.since_success
        if self.since_success < SMALL.failures:
            assert self.breaker.state is State.CLOSED
        if self.since_success < SMALL.failures + SMALL.openings:
            assert not self.breaker.gave_up


TestAnyOrder = AnyOrder.TestCase
