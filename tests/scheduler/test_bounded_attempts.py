"""Failures of a task are counted whatever else of it runs, so that backups never add attempts without end."""

import math
import random
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
from asyncexec.errors import ExecutionError
from asyncexec.events.outcome import Status
from asyncexec.straggler import TwoPhase
from asyncexec.straggler.cubed import Cubed
from asyncexec.straggler.late import Late
from asyncexec.straggler.off import Off
from asyncexec.straggler.spark import Spark
from asyncexec.testing.fates import Fate
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import run

RULES = {
    Off(): 1,
    Spark(quantile=0.5): 2,
    Late(floor_seconds=0.1): 2,
    Cubed(): 2,
    TwoPhase(floor_seconds=0.1): 4,
}
"""Each rule with the most attempts of a task that it has run at once."""

TIMEOUT = ax.Timeout(task=20.0, plan=10_000.0)
FAILURE = ConnectionError("reset")


def starts_of(fate, *, rule, attempts, tasks=12, slots=4):
    """Run a plan, and return how often each task has started, and the error that the plan ended with."""

    async def main():
        backend = ModelBackend(fate, slots=slots, computes=False)
        retry = ax.Retry(attempts=attempts, base_seconds=0.1, budget=None)
        error = None
        async with ax.Engine(backend) as engine:
            try:
                await engine.execute(
                    ax.Plan.map(str, range(tasks)), retry=retry, timeout=TIMEOUT, straggler=rule
                )
            except ExecutionError as raised:
                error = raised
        return Counter(visit.task for visit in backend.ledger.visits), error

    return run(main())


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_task_that_always_hangs_fails_after_its_attempts_and_one_round_of_backups(rule):
    starts, error = starts_of(
        lambda visit: Fate(seconds=math.inf if visit.task == 3 else 1.0), rule=rule, attempts=3
    )
    assert isinstance(error, ax.errors.TaskTimeoutError)
    assert 3 <= starts[3] <= 3 + RULES[rule] - 1


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_task_without_retries_may_still_have_backups(rule):
    starts, error = starts_of(
        lambda visit: Fate(seconds=math.inf if visit.task == 3 else 1.0), rule=rule, attempts=1
    )
    assert isinstance(error, ax.errors.TaskTimeoutError)
    assert starts[3] <= RULES[rule]


FATES = st.sampled_from(["quick", "slow", "hang", "fail late", "fail", "lose"])


def fate_of(kind, number):
    """Return what a kind of attempt comes to; seconds differ a little, as ties would."""
    seconds = {"slow": 8.0, "hang": math.inf, "fail late": 6.0}.get(kind, 1.0) + number / 64
    if kind.startswith("fail"):
        return Fate(seconds=seconds, status=Status.FAILED, error=FAILURE)
    if kind == "lose":
        return Fate(seconds=seconds, status=Status.LOST)
    return Fate(seconds=seconds)


@settings(deadline=None)
@given(
    odds=st.lists(FATES, min_size=1, max_size=8),
    rule=st.sampled_from(list(RULES)),
    attempts=st.integers(1, 4),
    slots=st.integers(1, 8),
    seed=st.integers(0, 1 << 16),
)
def test_no_task_starts_more_often_than_it_has_attempts_and_copies(
    odds, rule, attempts, slots, seed
):
    def fate(visit):
        source = random.Random(f"{seed}/{visit.task}/{visit.number}")
        # Half of the tasks are good, so that rules have durations to decide from.
        return fate_of("quick" if visit.task % 2 else source.choice(odds), visit.number)

    starts, _ = starts_of(fate, rule=rule, attempts=attempts, slots=slots)
    assert max(starts.values()) <= attempts + RULES[rule] - 1
