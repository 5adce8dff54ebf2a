"""The decision about a task whose attempt failed."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from asyncexec.errors import TaskFailedError, TaskMemoryError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.plan import Plan
from asyncexec.policies import retry as retry_module
from asyncexec.policies.classification import FailureKind
from asyncexec.policies.retry import Retry
from asyncexec.scheduler.failures import FailDecision, RetryDecision, decide_retry
from asyncexec.scheduler.stage import AttemptRecord, BatchLease, TaskRecord

from .workbench import MEMORY, PERMANENT, TRANSIENT, Workbench

LOST = Outcome(1, Status.LOST, "w", 1.0)
UNSTARTED = Outcome(1, Status.LOST)


def failed(error: Any, **fields: Any) -> Outcome:
    return Outcome(1, Status.FAILED, "w", 1.0, error=error, **fields)


def decide(
    outcome: Outcome,
    record: TaskRecord | None = None,
    *,
    exclusive: bool = False,
    is_outage: bool = False,
    tasks_left: int = 1,
    retry: Retry | None = None,
    overlaps: bool = False,
) -> RetryDecision | FailDecision:
    bench = Workbench(Plan.map(abs, range(4)), retry=retry or Retry(base_seconds=1.0))
    stage = bench.run.stages[0]
    if overlaps:
        stage.program = replace(stage.program, concurrency=8, overlaps=True)
    attempt = AttemptRecord(1, 0, BatchLease(stage, 1, 0, exclusive=exclusive), 0.0)
    return decide_retry(
        attempt,
        record or TaskRecord(),
        outcome,
        stage.policies.retry.kind(outcome),
        plan="p",
        tasks_left=tasks_left,
        is_outage=is_outage,
        rng=random.Random(0),
    )


def again(*arguments: Any, **keywords: Any) -> RetryDecision:
    decision = decide(*arguments, **keywords)
    assert isinstance(decision, RetryDecision)
    return decision


def test_a_failure_that_may_pass_is_tried_again_after_a_while_and_counted() -> None:
    record = TaskRecord()
    decision = again(failed(TRANSIENT), record)
    assert 0 < decision.delay_seconds <= 1.0
    assert decision.counts_as_failure
    assert not decision.exclusive
    assert (decision.reason, decision.info) == ("transient: ConnectionError: reset", TRANSIENT)
    assert record.failures == 1


@pytest.mark.parametrize(
    "outcome, error", [(failed(PERMANENT), TaskFailedError), (failed(MEMORY), TaskMemoryError)]
)
def test_a_failure_that_will_not_pass_fails_the_task(
    outcome: Outcome, error: type[Exception]
) -> None:
    decision = decide(outcome, exclusive=True)
    assert isinstance(decision, FailDecision)
    assert isinstance(decision.error, error)


def test_out_of_memory_is_tried_again_at_once_with_nothing_beside_it() -> None:
    decision = again(failed(MEMORY))
    assert decision.exclusive
    assert decision.delay_seconds == 0.0


def test_a_task_that_had_nothing_beside_it_goes_on_so() -> None:
    assert again(failed(TRANSIENT), exclusive=True).exclusive


def test_a_task_lost_by_an_unknown_worker_is_tried_with_nothing_beside_it() -> None:
    """Any of those that ran there may have ended the worker."""
    assert again(LOST._replace(worker="")).exclusive
    assert not again(LOST).exclusive


def test_losses_before_the_start_are_forgiven_while_other_tasks_are_completed() -> None:
    record = TaskRecord()
    for _ in range(20):
        decision = again(UNSTARTED, record)
        assert (decision.failed, decision.counts_as_failure) == (False, False)
    assert again(UNSTARTED, record).counts_as_failure
    assert not again(UNSTARTED, record, tasks_left=0).counts_as_failure


@pytest.mark.parametrize("outcome, losses", [(UNSTARTED, 8), (LOST._replace(worker=""), 2)])
def test_a_task_that_shared_lost_workers_is_not_charged_and_runs_alone_after_some(
    outcome: Outcome, losses: int
) -> None:
    record = TaskRecord()
    decisions = [again(outcome, record, overlaps=True) for _ in range(losses)]
    assert [d.exclusive for d in decisions] == [False] * (losses - 1) + [True]
    assert record.failures == 0


def test_of_tasks_that_overlap_the_one_charged_is_poison_when_it_has_killed_two_by_itself() -> None:
    watch = {"record": TaskRecord(), "overlaps": True}
    assert again(LOST, **watch).exclusive
    assert again(LOST, exclusive=True, **watch).exclusive
    assert watch["record"].killed == {"w"}


def test_a_loss_of_a_task_that_ran_alone_is_its_own_though_nobody_knows_the_worker() -> None:
    record = TaskRecord()
    assert again(LOST._replace(worker=""), record, overlaps=True, exclusive=True).counts_as_failure
    assert record.failures == 1


def test_in_an_outage_only_the_first_failure_of_a_task_is_counted() -> None:
    record = TaskRecord()
    for _ in range(9):
        assert not again(failed(TRANSIENT), record, is_outage=True).counts_as_failure
    assert record.failures == 1


def test_the_number_of_attempts_counts_them_all() -> None:
    record, retry = TaskRecord(), Retry(attempts=3)
    assert isinstance(decide(failed(TRANSIENT), record, retry=retry), RetryDecision)
    assert isinstance(decide(failed(TRANSIENT), record, retry=retry), RetryDecision)
    assert isinstance(decide(failed(TRANSIENT), record, retry=retry), FailDecision)


def test_a_failure_is_classified_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds: list[FailureKind] = []
    classify = retry_module.classify

    def noting(*arguments: Any) -> FailureKind:
        kinds.append(classify(*arguments))
        return kinds[-1]

    monkeypatch.setattr(retry_module, "classify", noting)
    bench = Workbench(Plan.map(abs, [1]))
    (job,) = bench.send()
    bench.fail(job)
    bench.finish()
    assert kinds == [FailureKind.TRANSIENT]
