"""Whether and when a failed task is tried again."""

import math
import random

import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import OptionError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.policies.classification import FailureKind
from asyncexec.policies.retry import Retry, as_retry
from asyncexec.worker.attempt import describe

REPEATED = [
    FailureKind.TRANSIENT,
    FailureKind.UNKNOWN,
    FailureKind.WORKER_LOST,
    FailureKind.TIMED_OUT,
]

retries = st.builds(
    Retry,
    attempts=st.integers(1, 200),
    base_seconds=st.floats(0, 1e3),
    cap_seconds=st.floats(0, 1e3),
)


class DoomedError(RuntimeError):
    pass


class LuckyDoomedError(DoomedError):
    pass


@given(retries, st.sampled_from(REPEATED), st.integers(0, 300), st.integers(0))
def test_a_wait_is_within_full_jitter_and_the_attempts_are_counted(retry, kind, failures, seed):
    delay = retry.delay_seconds(kind, failures, random.Random(seed))
    if failures >= retry.attempts:
        assert delay is None
    else:
        bound = min(retry.cap_seconds, retry.base_seconds * 2.0 ** max(failures - 1, 0))
        assert delay is not None
        assert 0 <= delay <= bound


def test_waits_are_spread_over_the_whole_range(seed):
    """Full jitter: not only the bound is random, short waits are as likely as long ones."""
    rng = random.Random(seed)
    waits = [Retry().delay_seconds(FailureKind.TRANSIENT, 3, rng) for _ in range(4_000)]
    quarters = [sum(q / 2 <= w < (q + 1) / 2 for w in waits) for q in range(4)]
    assert sum(quarters) == 4_000
    assert min(quarters) > 800


@given(retries, st.integers(0, 300), st.booleans())
def test_a_permanent_failure_is_never_repeated(retry, failures, exclusive):
    rng = random.Random(0)
    assert retry.delay_seconds(FailureKind.PERMANENT, failures, rng, exclusive=exclusive) is None


def test_out_of_memory_is_tried_once_more_at_once_unless_nothing_ran_beside_it():
    retry, rng = Retry(), random.Random(0)
    assert retry.delay_seconds(FailureKind.OUT_OF_MEMORY, 1, rng) == 0.0
    assert retry.delay_seconds(FailureKind.OUT_OF_MEMORY, 2, rng) == 0.0
    assert retry.delay_seconds(FailureKind.OUT_OF_MEMORY, 2, rng, exclusive=True) is None
    assert Retry.off().delay_seconds(FailureKind.OUT_OF_MEMORY, 1, rng) is None


def test_the_same_seed_gives_the_same_waits(seed):
    def waits():
        rng = random.Random(seed)
        return [Retry(attempts=9).delay_seconds(FailureKind.TRANSIENT, n, rng) for n in range(9)]

    assert waits() == waits()


@pytest.mark.parametrize(
    "outcome, counts",
    [
        (Outcome(1, Status.LOST), False),
        (Outcome(1, Status.CANCELLED), False),
        (Outcome(1, Status.LOST, "w", 5.0), True),
        (Outcome(1, Status.TIMED_OUT, "w", 5.0), True),
        (Outcome(1, Status.FAILED), True),
    ],
)
def test_a_loss_before_the_start_is_not_counted(outcome, counts):
    assert Retry.counts_as_failure(outcome) is counts


def test_classes_and_names_overrule_what_is_thought_of_exceptions():
    retry = Retry(
        permanent=(DoomedError, "OSError"), transient=("builtins.ValueError", LuckyDoomedError)
    )

    def kind(error):
        return retry.kind(Outcome(1, Status.FAILED, "w", 1.0, error=describe(error)))

    assert kind(DoomedError("x")) is FailureKind.PERMANENT
    assert kind(LuckyDoomedError("x")) is FailureKind.TRANSIENT
    assert kind(ConnectionError("x")) is FailureKind.PERMANENT
    assert kind(UnicodeError("x")) is FailureKind.TRANSIENT
    assert kind(TypeError("x")) is FailureKind.PERMANENT
    assert kind(RuntimeError("x")) is FailureKind.UNKNOWN


@given(st.integers(0, 10**9), st.floats(0, 100))
def test_the_budget_grows_with_the_plan_and_never_rules_small_plans(tasks, budget):
    allowed = Retry(budget=budget).retries_allowed(tasks)
    assert allowed >= 100
    assert allowed in (100, math.floor(budget * tasks))


def test_without_a_budget_there_is_no_limit():
    assert Retry(budget=None).retries_allowed(5) == math.inf


@pytest.mark.parametrize(
    "value, retry",
    [
        (None, Retry()),
        (True, Retry()),
        (False, Retry(attempts=1)),
        (6, Retry(attempts=6)),
        (1, Retry.off()),
        (Retry(cap_seconds=1.0), Retry(cap_seconds=1.0)),
    ],
)
def test_what_users_write_for_a_retry_policy(value, retry):
    assert as_retry(value) == retry


@pytest.mark.parametrize("value", ["4", 2.5, 0, -1, object(), [4], Retry])
def test_what_stands_for_no_retry_policy_is_refused(value):
    with pytest.raises(OptionError, match="retry"):
        as_retry(value)


@pytest.mark.parametrize(
    "options, said",
    [
        (dict(attempts=0), "attempts must be an integer of at least 1"),
        (dict(attempts=True), "attempts"),
        (dict(attempts=2.0), "attempts"),
        (dict(base_seconds=-1), "base_seconds"),
        (dict(cap_seconds=math.inf), "cap_seconds"),
        (dict(cap_seconds="30"), "cap_seconds"),
        (dict(budget=math.nan), "budget"),
        (dict(permanent=5), "permanent holds exception classes"),
        (dict(permanent=(int,)), "permanent holds exception classes"),
        (dict(transient=("",)), "transient holds"),
        (dict(permanent=(OSError,), transient=("OSError",)), "builtins.OSError cannot be both"),
    ],
)
def test_values_out_of_range_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        Retry(**options)


def test_a_policy_is_a_value():
    """Equal policies are equal and hashable, whatever they derive inside, and show only what users set."""
    retry = Retry(permanent=(DoomedError,))
    assert retry == Retry(permanent=(DoomedError,))
    assert hash(retry) == hash(Retry(permanent=(DoomedError,)))
    assert "_overrides" not in repr(retry)
