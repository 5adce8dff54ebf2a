"""A run's figures, added up from its events."""

import pytest

from asyncexec.events.outcome import Outcome, Status
from asyncexec.events.records import (
    Attempt,
    AttemptAbandoned,
    AttemptEnded,
    AttemptStarted,
    BackupStarted,
    CircuitClosed,
    CircuitOpened,
    PlanCancelled,
    PlanFailed,
    PlanStarted,
    PlanSucceeded,
    RetryScheduled,
    StageCompleted,
    StageFigures,
    StageResumed,
    StageStarted,
    TaskFailed,
    TaskSkipped,
    TaskSucceeded,
)
from asyncexec.events.stage_result import StageResult
from asyncexec.events.tally import Tallies, Tally


def started(execution="run-1", at=100.0) -> PlanStarted:
    stages = (
        StageFigures(
            name="load",
            operation="from_zarr",
            shape=(2, 2),
            tasks=4,
            projected_bytes=500,
            allowed_bytes=900,
        ),
        StageFigures(name="mean", operation="mean", shape=(), tasks=1),
    )
    return PlanStarted(
        execution=execution,
        at=at,
        plan="climate",
        fingerprint="f00",
        executor="threads",
        slots=2,
        stages=stages,
    )


def attempt(number=1, *, task=0, stage="load", execution="run-1", backup=False) -> Attempt:
    return Attempt(number, execution, stage, task, number, backup)


def ended(which: Attempt, status=Status.SUCCEEDED, *, at=101.0, **measured) -> AttemptEnded:
    return AttemptEnded(which, Outcome(which.id, status, "w", 100.5, **measured), at)


def test_every_kind_of_event_counts_where_it_belongs():
    tally = Tally.of(started())
    first, second, backup = attempt(1), attempt(2), attempt(3, backup=True)
    for event in (
        StageResumed(execution="run-1", at=100.0, stage="load", tasks=1),
        StageStarted(execution="run-1", at=100.5, stage="load"),
        AttemptStarted(first, "w", 100.5),
        ended(first, Status.FAILED, seconds=0.25, read_bytes=10),
        RetryScheduled(first, 0.1, "transient", 101.0),
        CircuitOpened(execution="run-1", at=101.0, failures=50, pause_seconds=1.0),
        CircuitClosed(execution="run-1", at=102.0),
        AttemptStarted(second, "w", 102.0),
        BackupStarted(backup, 1.5, 103.0),
        ended(second, seconds=1.5, peak_bytes=400, read_bytes=10, written_bytes=7, at=103.5),
        TaskSucceeded(second, 103.5),
        AttemptAbandoned(attempt=backup, at=103.5),
        ended(backup, Status.CANCELLED, seconds=0.5, peak_bytes=300),
        ended(attempt(4, task=1), Status.LOST),
        ended(attempt(5, task=1), Status.TIMED_OUT, seconds=2.0),
        StageCompleted(execution="run-1", at=110.0, stage="load"),
        PlanSucceeded(execution="run-1", at=111.0, plan="climate"),
    ):
        tally.add(event)
    load = tally.stages["load"]
    assert load == StageResult(
        name="load",
        operation="from_zarr",
        tasks=4,
        projected_bytes=500,
        allowed_bytes=900,
        completed=2,
        resumed=1,
        attempts=5,
        failed=1,
        lost=1,
        timed_out=1,
        cancelled=1,
        abandoned=1,
        retries=1,
        backups=1,
        read_bytes=20,
        written_bytes=7,
        peak_bytes=400,
        busy_seconds=4.25,
        started_at=100.5,
        ended_at=110.0,
    )
    assert load.wall_seconds == 9.5
    assert load.failures == 3
    assert tally.stages["mean"].wall_seconds == 0.0
    assert tally.circuit_openings == 1
    assert (tally.status, tally.error, tally.wall_seconds) == ("succeeded", "", 11.0)


@pytest.mark.parametrize(
    "end, status, error",
    [
        (PlanFailed(execution="run-1", at=130.0, plan="climate", error="boom"), "failed", "boom"),
        (PlanCancelled(execution="run-1", at=130.0, plan="climate"), "cancelled", ""),
    ],
)
def test_a_plan_that_ends_early_ends_its_stages(end, status, error):
    tally = Tally.of(started())
    assert (tally.status, tally.wall_seconds) == ("running", 0.0)
    tally.add(StageStarted(execution="run-1", at=120.0, stage="load"))
    tally.add(TaskFailed(attempt(), "boom", 125.0))
    tally.add(end)
    assert (tally.status, tally.error) == (status, error)
    assert tally.stages["load"].wall_seconds == 10.0
    assert tally.stages["mean"].ended_at == 0.0


def test_tasks_without_a_value_are_complete_and_counted_apart():
    tally = Tally.of(started())
    tally.add(TaskFailed(attempt(), "boom", 125.0, kept=True))
    tally.add(TaskSkipped(execution="run-1", at=126.0, stage="load", task=1, reason="boom"))
    load = tally.stages["load"]
    assert (load.completed, load.failed_tasks, load.skipped_tasks) == (2, 1, 1)


def test_runs_are_kept_apart():
    tallies = Tallies()
    tallies.add([started("a"), started("b")])
    tallies.add(
        [
            TaskSucceeded(attempt(execution="b"), 1.0),
            PlanSucceeded(execution="a", at=2.0, plan="climate"),
        ]
    )
    assert [t.stages["load"].completed for t in tallies.runs.values()] == [0, 1]
    assert [t.status for t in tallies.runs.values()] == ["succeeded", "running"]


def test_of_the_runs_that_ended_only_the_latest_are_kept():
    tallies = Tallies(kept=3)
    tallies.add([started("still running")])
    for n in range(10):
        tallies.add([started(f"{n}"), PlanSucceeded(execution=f"{n}", at=2.0, plan="climate")])
    assert list(tallies.runs) == ["still running", "7", "8", "9"]
