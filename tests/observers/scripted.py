"""Runs written down as events, for observers to watch."""

from collections.abc import Iterator

from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.events.records import (
    AnyEvent,
    Attempt,
    AttemptEnded,
    AttemptStarted,
    BackupStarted,
    PlanCancelled,
    PlanFailed,
    PlanStarted,
    PlanSucceeded,
    RetryScheduled,
    StageCompleted,
    StageFigures,
    StageStarted,
    TaskSucceeded,
)

START = 1_700_000_000.0
"""2023-11-14T22:13:20Z."""


def started(execution="climate-1", *, stages=(("load", 4), ("mean", 1)), at=START) -> PlanStarted:
    figures = tuple(
        StageFigures(name=name, operation="op", shape=(n,), tasks=n, projected_bytes=10**9)
        for name, n in stages
    )
    return PlanStarted(
        execution=execution,
        at=at,
        plan="climate",
        fingerprint="f00",
        executor="threads",
        slots=2,
        stages=figures,
    )


def stage_started(stage="load", *, execution="climate-1", at=START) -> StageStarted:
    return StageStarted(execution=execution, at=at, stage=stage)


def stage_completed(stage="load", *, execution="climate-1", at=START + 1) -> StageCompleted:
    return StageCompleted(execution=execution, at=at, stage=stage)


def attempt(task=0, *, stage="load", execution="climate-1", number=1, backup=False) -> Attempt:
    return Attempt(1000 * number + task, execution, stage, task, number, backup)


def succeeded(which: Attempt, *, at=START + 1, value=None) -> list[AnyEvent]:
    outcome = Outcome(
        which.id, Status.SUCCEEDED, "w-1", at - 0.5, 0.5, 2 * 10**8, 3_000, 4_000, value
    )
    return [
        AttemptStarted(which, "w-1", at - 0.5),
        AttemptEnded(which, outcome, at),
        TaskSucceeded(which, at),
    ]


def failed(which: Attempt, *, at=START + 1, message="no route") -> list[AnyEvent]:
    error = ErrorInfo("builtins.OSError", ("builtins.Exception",), message, "Traceback …")
    outcome = Outcome(which.id, Status.FAILED, "w-2", at - 0.25, 0.25, error=error)
    return [
        AttemptStarted(which, "w-2", at - 0.25),
        AttemptEnded(which, outcome, at),
        RetryScheduled(which, 0.125, f"transient: OSError: {message}", at),
    ]


def backed_up(which: Attempt, *, at=START + 1) -> list[AnyEvent]:
    return [BackupStarted(which, 3.5, at)]


def end(status="succeeded", *, execution="climate-1", at=START + 2) -> AnyEvent:
    if status == "failed":
        return PlanFailed(execution=execution, at=at, plan="climate", error="it broke\nand how")
    kind = {"succeeded": PlanSucceeded, "cancelled": PlanCancelled}[status]
    return kind(execution=execution, at=at, plan="climate")


def whole_run(execution="climate-1", status="succeeded") -> Iterator[list[AnyEvent]]:
    """Two stages, one retry, one backup, in the batches an engine would send."""
    again = attempt(1, number=2, execution=execution)
    yield [started(execution)]
    yield [stage_started(execution=execution), *succeeded(attempt(0, execution=execution))]
    yield failed(attempt(1, execution=execution))
    yield succeeded(attempt(2, execution=execution))
    yield backed_up(attempt(3, number=2, backup=True, execution=execution))
    yield [*succeeded(again), *succeeded(attempt(3, execution=execution))]
    yield [stage_completed(execution=execution), stage_started("mean", execution=execution)]
    if status == "succeeded":
        yield succeeded(attempt(0, stage="mean", execution=execution))
        yield [stage_completed("mean", execution=execution)]
    yield [end(status, execution=execution)]
