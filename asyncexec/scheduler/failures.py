"""What to do about an attempt that failed, and the error when nothing more can be done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncexec.errors import (
    ExecutionError,
    PoisonTaskError,
    TaskError,
    TaskFailedError,
    TaskMemoryError,
    TaskTimeoutError,
    WorkerLostError,
)
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.plan.box import unravel
from asyncexec.plan.memory import format_bytes
from asyncexec.policies.classification import Kind

if TYPE_CHECKING:
    import random

    from asyncexec.scheduler.attempts import Running, Trouble
    from asyncexec.scheduler.stage import StageState

_HANG_ADVICE = " If tasks may take so long, give timeout=Timeout(task=...), or Timeout(hangs=False) for no limit."
_LOSS_ADVICE = (
    " See what ended the workers (their logs, memory, preemption), or give retry= more attempts."
)

# A backend that does nothing but lose attempts before they start is no better than one that fails them. While it gets
# other work done, it is only busy: a service that refuses calls over its limit refuses some tasks again and again.
_FREE_LOSSES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """The task gets another attempt.

    Attributes
    ----------
    delay_seconds : float
        How long to wait before.
    alone : bool
        Whether nothing else may run meanwhile.
    charged : bool
        Whether the failure counts against the task and the plan's retry budget.
    failed : bool
        Whether the attempt failed at all, as opposed to being lost before it started.
    reason : str
    info : ErrorInfo or None
        What the attempt failed with.
    """

    delay_seconds: float = 0.0
    alone: bool = False
    charged: bool = True
    failed: bool = True
    reason: str = ""
    info: ErrorInfo | None = None


@dataclass(frozen=True, slots=True)
class Hopeless:
    """The task, and with it the plan, has failed."""

    error: TaskError


def judge(
    plan: str,
    stage: StageState,
    running: Running,
    *,
    trouble: Trouble,
    outcome: Outcome,
    rng: random.Random,
    left: int,
    excused: bool = False,
) -> Again | Hopeless:
    """Decide about a task whose last living attempt ended with ``outcome``, and keep count in ``trouble``.

    ``left`` is how many tasks of the run are not complete; ``excused`` says that everything fails just now, which is
    not the task's fault.
    """
    retry = stage.settings.retry
    if not retry.charged(outcome) and _is_free(trouble, left):
        return Again(charged=False, failed=False, reason="the attempt was lost before it started")
    kind = retry.kind(outcome)
    poisonous = kind is Kind.WORKER_LOST and stage.poison.lost(running.task, outcome.worker)
    charged = poisonous or not excused
    # At least the first failure counts, or "no retries" would not mean none.
    trouble.failures += charged or not trouble.failures
    if not poisonous and (stage.stage.idempotent or not outcome.started):
        alone = running.consignment.exclusive
        verdict = retry.verdict(kind, trouble.failures, rng, alone=alone)
        if verdict is not None:
            return Again(
                delay_seconds=verdict.delay_seconds,
                alone=verdict.alone or _is_unclear(kind, outcome),
                charged=charged,
                reason=_reason(kind, outcome),
                info=outcome.error,
            )
    return Hopeless(_error(plan, stage, running, outcome=outcome, kind=kind, poisonous=poisonous))


def _is_free(trouble: Trouble, left: int) -> bool:
    """Whether one more loss before the start is charged to nobody."""
    if trouble.left != left:
        trouble.left, trouble.free_losses = left, 0
    trouble.free_losses += 1
    return trouble.free_losses <= _FREE_LOSSES


def caused_by[E: ExecutionError](error: E, info: ErrorInfo | None) -> E:
    """Attach to ``error`` what happened on the worker: the exception itself, or its traceback as a note."""
    if info is not None and info.exception is not None:
        error.__cause__ = info.exception
    elif info is not None and info.traceback:
        error.add_note(f"On the worker:\n{info.traceback.rstrip()}")
    return error


def _is_unclear(kind: Kind, outcome: Outcome) -> bool:
    """Whether a task was lost beside others, and any of them may have been what ended the worker.

    Tried again with nothing beside it, it is to blame if it is lost again.
    """
    return kind is Kind.WORKER_LOST and outcome.started and not outcome.worker


def _reason(kind: Kind, outcome: Outcome) -> str:
    if outcome.error is None:
        return str(kind)
    return f"{kind}: {_said(outcome.error, outcome.error.type.rpartition('.')[2])}"


def _said(info: ErrorInfo, name: str) -> str:
    """Return an exception as Python prints it: one without a message is its name alone."""
    return f"{name}: {info.message}" if info.message else name


def _error(
    plan: str,
    stage: StageState,
    running: Running,
    *,
    outcome: Outcome,
    kind: Kind,
    poisonous: bool,
) -> TaskError:
    index = unravel(running.task, stage.stage.shape)
    info = outcome.error or ErrorInfo("")
    what, cls, advice = _explain(stage, outcome, kind, poisonous=poisonous)
    operation = stage.stage.operation
    operation = f" ({operation})" if operation not in ("", stage.name) else ""
    chunk = f", chunk {index}" if stage.stage.outputs else ""
    worker = f", worker {outcome.worker}" if outcome.worker else ""
    repeats = "" if stage.stage.idempotent else " It is not idempotent, so it was not repeated."
    error = cls(
        f"plan {plan!r}, stage {stage.name!r}{operation}, task {index}{chunk}, attempt {running.number}{worker}: "
        f"{what}.{repeats}{advice}",
        plan=plan,
        stage=stage.name,
        index=index,
        attempt=running.number,
        worker=outcome.worker,
        remote_traceback=info.traceback,
    )
    return caused_by(error, info)


def _explain(
    stage: StageState, outcome: Outcome, kind: Kind, *, poisonous: bool
) -> tuple[str, type[TaskError], str]:
    """Return what happened, the class of the error, and what to do next."""
    info = outcome.error
    said = _said(info, info.type.removeprefix("builtins.")) if info else ""
    memory = stage.stage.memory
    if poisonous:
        advice = " It probably crashes the interpreter or runs out of memory; run it on executor='serial' to see."
        return (
            f"two different workers died while running it ({said or 'no reason given'})",
            PoisonTaskError,
            advice,
        )
    if kind is Kind.OUT_OF_MEMORY:
        projected = (
            f" (projected {format_bytes(memory.projected_bytes)})" if memory.projected_bytes else ""
        )
        what = f"out of memory, also when run alone{projected}: {said}"
        return what, TaskMemoryError, " Use smaller chunks or items."
    if outcome.status is Status.TIMED_OUT:
        return _explain_timeout(stage, outcome, said)
    if outcome.status is Status.FAILED:
        return said or "failed", TaskFailedError, ""
    return f"its worker was lost ({said or 'no reason given'})", WorkerLostError, _LOSS_ADVICE


def _explain_timeout(
    stage: StageState, outcome: Outcome, said: str
) -> tuple[str, type[TaskError], str]:
    limit = stage.settings.timeout.task
    if said:  # Where it runs has a limit of its own.
        return said, TaskTimeoutError, ""
    if limit is None:
        what = (
            f"was taken for hung after {outcome.seconds:.0f} s, far longer than others of its stage"
        )
        return what, TaskTimeoutError, _HANG_ADVICE
    advice = " Give it a longer timeout=, or less work."
    return f"ran longer than its timeout of {limit:g} s", TaskTimeoutError, advice
