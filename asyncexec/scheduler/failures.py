"""The decision about a task whose attempt failed: another attempt, or the error that ends the plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from asyncexec.errors import (
    ExecutionError,
    PoisonTaskError,
    RemoteError,
    TaskError,
    TaskFailedError,
    TaskMemoryError,
    TaskTimeoutError,
    WorkerInitializerError,
    WorkerLostError,
)
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.exception_data.recording import message_of, qualified_name
from asyncexec.plan.box import unravel
from asyncexec.plan.memory import format_bytes
from asyncexec.policies.classification import FailureKind
from asyncexec.scheduler.causes import cause_of

if TYPE_CHECKING:
    import random

    from asyncexec.scheduler.stage import AttemptRecord, StageState, TaskRecord

_HANG_ADVICE = " If tasks may take so long, give timeout=Timeout(task=...), or Timeout(hangs=False) for no limit."
_LOSS_ADVICE = (
    " See what ended the workers (their logs, memory, preemption), or give retry= more attempts."
)

# The losses of a task before it started that do not count, while no other task is completed. A backend that does
# nothing but lose attempts is as bad as one that fails them; while it completes others it is only busy: a service that
# refuses calls over its limit may refuse the same task many times.
_UNSTARTED_LOSSES = 20

# Of the losses of a worker whose slot tasks shared: one while another's kernel ran weighs 1, as that most likely ended
# the worker, and one while no kernel ran weighs more, as any of those that loaded and saved may have done it.
_UNKNOWN_CAUSE = 4
# From this sum on a task runs alone, where a loss is its own.
_SUSPICIOUS = 8
_DEATHS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDecision:
    """The task gets another attempt.

    Attributes
    ----------
    delay_seconds : float
        The wait before it.
    exclusive : bool
        Whether nothing else may run at the same time.
    counts_as_failure : bool
        Whether the failure counts against the task and the plan's retry budget.
    failed : bool
        Whether the attempt failed at all, as opposed to being lost before it started.
    reason : str
    info : ErrorInfo or None
        The error that the attempt failed with.
    exception_type : str
        The name of its class, also where there is no ``info``.
    """

    delay_seconds: float = 0.0
    exclusive: bool = False
    counts_as_failure: bool = True
    failed: bool = True
    reason: str = ""
    info: ErrorInfo | None = None
    exception_type: str = ""


@dataclass(frozen=True, slots=True)
class FailDecision:
    """The task has failed for good."""

    error: TaskError


_INITIALIZER_FAILED = qualified_name(WorkerInitializerError)
_LOST_UNSTARTED = RetryDecision(
    counts_as_failure=False, failed=False, reason="the attempt was lost before it started"
)


def decide_retry(
    attempt: AttemptRecord,
    record: TaskRecord,
    outcome: Outcome,
    kind: FailureKind,
    *,
    plan: str,
    tasks_left: int,
    is_outage: bool,
    rng: random.Random,
) -> RetryDecision | FailDecision:
    """Decide about a task whose last attempt in flight has ended, and update its record.

    Parameters
    ----------
    attempt : AttemptRecord
    record : TaskRecord
    outcome : Outcome
    kind : FailureKind
        The kind of failure that the outcome is.
    plan : str
        The plan's name, for messages.
    tasks_left : int
        The tasks of the run that are not complete, or any number that changes whenever one is completed.
    is_outage : bool
        Whether the backend fails everything now, which does not count against the task.
    rng : random.Random
        Source of the jitter of delays.
    """
    stage = attempt.lease.stage
    if is_initializer_failure(outcome):
        return FailDecision(task_error(plan, attempt, outcome=outcome, kind=kind))
    charged = charge(
        attempt, record, outcome, kind, tasks_left=tasks_left, is_outage=is_outage, is_last=True
    )
    alone = attempt.lease.exclusive
    if charged is None:
        # Forgiven, but not trusted: alone, a further loss tells whether this task is the cause.
        suspicious = alone or record.shared_losses >= _SUSPICIOUS
        return replace(_LOST_UNSTARTED, exclusive=True) if suspicious else _LOST_UNSTARTED
    poisonous = is_proven_poison(charged, attempt, record)
    if not poisonous and (stage.stage.idempotent or not outcome.started):
        retry = stage.policies.retry
        delay = retry.delay_seconds(kind, record.failures, rng, exclusive=alone)
        # None where the policy has no attempt left for it.
        if delay is not None:
            return RetryDecision(
                delay_seconds=delay,
                # A task that once had to run while nothing else does keeps doing so; one that may be poison has to.
                exclusive=alone
                or charged.poisonous
                or _must_be_exclusive(kind, outcome, overlaps=stage.program.overlaps),
                counts_as_failure=charged.counts,
                reason=_reason(kind, outcome),
                info=outcome.error,
                exception_type=outcome.exception_type,
            )
    return FailDecision(task_error(plan, attempt, outcome=outcome, kind=kind, poisonous=poisonous))


class Charge(NamedTuple):
    """The account of a failure: whether it counts against its task, and whether the task has killed two workers."""

    counts: bool
    poisonous: bool


def is_proven_poison(charged: Charge | None, attempt: AttemptRecord, record: TaskRecord) -> bool:
    """Return whether the task of a charged attempt is poison.

    Where a slot runs several tasks at once, any of them may be the one, whichever was charged: it must have killed as
    many workers by itself.
    """
    if charged is None or not charged.poisonous:
        return False
    return attempt.lease.stage.program.concurrency == 1 or len(record.killed) >= _DEATHS


def charge(
    attempt: AttemptRecord,
    record: TaskRecord,
    outcome: Outcome,
    kind: FailureKind,
    *,
    tasks_left: int,
    is_outage: bool,
    is_last: bool = False,
) -> Charge | None:
    """Add a failed attempt to its task's record; return None for a loss before the start, which is forgiven.

    Each is added as it ends, whether others of its task still run or it was the last of them (``is_last``).
    """
    stage = attempt.lease.stage
    lost, overlaps = kind is FailureKind.WORKER_LOST, stage.program.overlaps
    alone = attempt.lease.exclusive
    # Several ran there and no kernel did: the backend cannot tell which of them it was.
    is_unknown = lost and overlaps and outcome.started and not outcome.worker and not alone
    if lost and overlaps and not outcome.worker:
        record.shared_losses += _UNKNOWN_CAUSE if is_unknown else 1
    counts_by_policy = stage.policies.retry.counts_as_failure(outcome) and not is_unknown
    if not counts_by_policy and _is_forgiven(record, tasks_left):
        return None
    # Only then is it certain that nothing else on the worker was the cause.
    if lost and outcome.worker and alone:
        record.killed |= {outcome.worker}
    poisonous = lost and stage.poison.lost(attempt.task, outcome.worker)
    counts = poisonous or not is_outage
    # At least the first failure counts, or "no retries" would not mean none.
    record.failures += counts or (is_last and not record.failures)
    return Charge(counts, poisonous)


def is_initializer_failure(outcome: Outcome) -> bool:
    """Return whether the worker's initializer raised, which no policy retries or keeps."""
    return outcome.error is not None and outcome.error.type == _INITIALIZER_FAILED


def _is_forgiven(record: TaskRecord, tasks_left: int) -> bool:
    """Return whether one more loss before the start does not count as a failure."""
    # Some task of the run was completed since: the backend works.
    if record.tasks_left != tasks_left:
        record.tasks_left, record.unstarted_losses = tasks_left, 0
    record.unstarted_losses += 1
    return record.unstarted_losses <= _UNSTARTED_LOSSES


def _must_be_exclusive(kind: FailureKind, outcome: Outcome, *, overlaps: bool) -> bool:
    """Return whether the next attempt must run while nothing else does: for memory, or to find a poison task.

    Of the tasks that shared a worker when it was lost, one may have killed it: the one that is lost again when it runs
    by itself. Of those that overlap one is charged at most, the one whose kernel ran: it does so at once.
    """
    lost_among_others = (
        kind is FailureKind.WORKER_LOST and outcome.started and (overlaps or not outcome.worker)
    )
    return kind is FailureKind.OUT_OF_MEMORY or lost_among_others


def caused_by[E: ExecutionError](error: E, info: ErrorInfo | None) -> E:
    """Attach to ``error`` its cause on the worker, and a note with the traceback of one made again here."""
    if info is None:
        return error
    error.__cause__ = cause_of(info)
    if info.exception is None and info.traceback:
        error.add_note(f"On the worker:\n{info.traceback.rstrip()}")
    return error


def _reason(kind: FailureKind, outcome: Outcome) -> str:
    if outcome.error is None:
        return str(kind)
    return f"{kind}: {_as_python_prints(outcome.error, outcome.error.type.rpartition('.')[2])}"


def with_reason(outcome: Outcome, reason: str) -> Outcome:
    """Return a failed outcome with a reason added to the message of its error."""
    if outcome.error is None:
        return outcome
    message = f"{outcome.error.message}; {reason}"
    return outcome._replace(error=outcome.error._replace(message=message))


def _as_python_prints(info: ErrorInfo, name: str) -> str:
    """Return an exception as Python prints it, without a colon where there is no message."""
    return f"{name}: {info.message}" if info.message else name


def task_error(
    plan: str,
    attempt: AttemptRecord,
    *,
    outcome: Outcome,
    kind: FailureKind,
    poisonous: bool = False,
) -> TaskError:
    """Return the error of a task whose last attempt ended with ``outcome``, and that is not tried again."""
    stage = attempt.lease.stage
    index = unravel(attempt.task, stage.program.shape)
    what, cls, advice = _explain(stage, outcome, kind, poisonous=poisonous)
    info = outcome.error or _unsaid(outcome.status, what)
    operation = stage.stage.operation
    operation = f" ({operation})" if operation not in ("", stage.name) else ""
    chunk = f", chunk {index}" if stage.stage.outputs else ""
    worker = f", worker {outcome.worker}" if outcome.worker else ""
    repeats = "" if stage.stage.idempotent else " It is not idempotent, so it was not repeated."
    error = cls(
        f"plan {plan!r}, stage {stage.name!r}{operation}, task {index}{chunk}, attempt {attempt.number}{worker}: "
        f"{what}.{repeats}{advice}",
        plan=plan,
        stage=stage.name,
        index=index,
        task=attempt.task,
        attempt=attempt.number,
        worker=outcome.worker,
        exception_type=info.type,
        exception_message=info.message,
        seconds=outcome.seconds,
        limit_seconds=stage.policies.timeout.task,
        peak_bytes=outcome.peak_bytes,
        remote_traceback=info.traceback,
    )
    return _without_wrapper(caused_by(error, info))


def _unsaid(status: Status, what: str) -> ErrorInfo:
    """Return the error of an attempt whose outcome has none: it was stopped, or its worker went away."""
    name = Outcome(0, status).exception_type or qualified_name(RemoteError)
    return ErrorInfo(name, message=what)


def _without_wrapper(error: TaskError) -> TaskError:
    """Return ``error`` caused by the exception that an initializer raised, in place of the error around it."""
    told = error.__cause__
    if isinstance(told, WorkerInitializerError) and told.__cause__ is not None:
        raised = error.__cause__ = told.__cause__
        if isinstance(raised, RemoteError):
            error.exception_type = raised.exception_type
            error.exception_message = raised.exception_message
        else:
            error.exception_type = qualified_name(type(raised))
            error.exception_message = message_of(raised)
    return error


def _explain(
    stage: StageState, outcome: Outcome, kind: FailureKind, *, poisonous: bool
) -> tuple[str, type[TaskError], str]:
    """Return the failure in words, the class of the error, and advice on what to do next."""
    info = outcome.error
    message = _as_python_prints(info, info.type.removeprefix("builtins.")) if info else ""
    memory = stage.stage.memory
    if poisonous:
        advice = " It probably crashes the interpreter or runs out of memory; run it on executor='serial' to see."
        return (
            f"two different workers died while running it ({message or 'no reason given'})",
            PoisonTaskError,
            advice,
        )
    if kind is FailureKind.OUT_OF_MEMORY:
        projected = (
            f" (projected {format_bytes(memory.projected_bytes)})" if memory.projected_bytes else ""
        )
        what = f"out of memory, also when run alone{projected}: {message}"
        return what, TaskMemoryError, " Use smaller chunks or items."
    if outcome.status is Status.TIMED_OUT:
        return _explain_timeout(stage, outcome, message)
    if outcome.status is Status.FAILED:
        if info is not None and is_initializer_failure(outcome):
            return info.message, WorkerInitializerError, ""
        return message or "failed", TaskFailedError, ""
    return f"its worker was lost ({message or 'no reason given'})", WorkerLostError, _LOSS_ADVICE


def _explain_timeout(
    stage: StageState, outcome: Outcome, message: str
) -> tuple[str, type[TaskError], str]:
    limit = stage.policies.timeout.task
    if message:  # The service that ran it has a time limit of its own.
        return message, TaskTimeoutError, ""
    if limit is None:
        what = (
            f"was taken for hung after {outcome.seconds:.0f} s, far longer than others of its stage"
        )
        return what, TaskTimeoutError, _HANG_ADVICE
    advice = " Give it a longer timeout=, or less work."
    return f"ran longer than its timeout of {limit:g} s", TaskTimeoutError, advice
