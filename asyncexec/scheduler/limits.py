"""Timeouts of a plan, of its stages and of single attempts, and the check for attempts that hang or are slow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from asyncexec.errors import ExecutionError, PlanTimeoutError, StageTimeoutError
from asyncexec.policies.timeout import HANG_FACTOR, UNPAID_HANG_FACTOR, hang_seconds
from asyncexec.scheduler.raised_by_user import policy_failed
from asyncexec.straggler.rule import EVIDENCE

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan
    from asyncexec.scheduler.run_policies import RunPolicies
    from asyncexec.scheduler.stage import AttemptRecord, StageState
    from asyncexec.straggler.statistics import DurationStatistics

HANG_CHECK_SECONDS = 10.0


class Limits:
    """The timeouts of a plan and its stages as a whole."""

    def __init__(self, plan: Plan, policies: RunPolicies) -> None:
        self._plan = plan.name
        self._limit = policies.timeout.plan
        self.plan_deadline = math.inf

    def begin(self, now: float) -> None:
        """Start the plan's clock; a stage's starts with its first task."""
        if self._limit is not None:
            self.plan_deadline = now + self._limit

    def exceeded(self, due: Iterable[StageState], now: float) -> ExecutionError | None:
        """Return the error of the plan, or of one of the stages ``due``, that exceeds its limit; None if none does."""
        name = self._plan
        if self._limit is not None and now >= self.plan_deadline:
            of_plan = PlanTimeoutError(
                f"plan {name!r} ran longer than its timeout of {self._limit:g} s; give it a longer "
                f"timeout=Timeout(plan=...), or run it again with resume=True",
                plan=name,
            )
            of_plan.limit_seconds = self._limit
            return of_plan
        for stage in due:
            limit = stage.policies.timeout.stage
            if limit is None or stage.first_at is None or not stage.readiness.left:
                continue
            if now >= stage.first_at + limit:
                of_stage = StageTimeoutError(
                    f"plan {name!r}, stage {stage.name!r} ran longer than its timeout of {limit:g} s; "
                    f"{stage.readiness.left} of {stage.tasks} tasks were left",
                    plan=name,
                    stage=stage.name,
                )
                of_stage.limit_seconds = limit
                return of_stage
        return None


def time_out(
    stage: StageState,
    now: float,
    idle_slots: int,
    *,
    others: Iterable[StageState] = (),
    stopping: bool = False,
) -> list[int]:
    """Mark the attempts of a stage that run for too long, and return their ids: they are to be stopped.

    A task that seems to hang first gets a backup, if a slot is idle, or one will be, as others of its stage or of the
    ``others`` go on: where it is only long, an attempt that is stopped has run in vain. None does while the run is
    ``stopping``.
    """
    too_old = list(overdue(stage, now))
    if too_old and stage.detects_hangs:
        goes_on = (
            idle_slots > 0
            or len(too_old) < len(stage.running.monitor.attempts)
            or any(other is not stage and _goes_on(other, now) for other in others)
        )
        if goes_on and not stopping:
            too_old = [
                each
                for each in too_old
                if not (_waits(stage, each, now, idle_slots) or _backed_up(stage, each))
            ]
        for attempt in too_old:
            # Counted by task: each time that it was taken for hung, its next attempt has longer.
            stage.record_of(attempt).hangs += 1
    for attempt in too_old:
        attempt.timed_out = True
    return [attempt.id for attempt in too_old]


def _goes_on(stage: StageState, now: float) -> bool:
    """Return whether the newest attempt of a stage that runs does not seem to hang."""
    newest = next(reversed(stage.running.monitor.attempts.values()), None)
    return newest is not None and now < newest.started + stage.hang_seconds


def _backed_up(stage: StageState, attempt: AttemptRecord) -> bool:
    """Queue a backup for the task of an attempt that seems to hang, if it may have one; return whether it may."""
    if possible := stage.running.monitor.may_try_another(attempt):
        _back_up(stage, attempt)
    return possible


def _waits(stage: StageState, attempt: AttemptRecord, now: float, idle_slots: int) -> bool:
    """Return whether an attempt that seems to hang goes on as it is, as another one is more than the stage can pay.

    Where other tasks wait for slots, a backup delays them: so there is one at a time, until one has won. Where attempts
    cannot be stopped, another is as long if the task is: so those that the work done so far does not pay for wait until
    hardly any task can be so long.
    """
    monitor, age = stage.running.monitor, now - attempt.started
    if not monitor.active:
        return False
    if idle_slots < 0 and monitor.may_try_another(attempt) and _tries_one(stage):
        return True
    if monitor.pays_for_another(age, now):
        return False
    limit = _hang_limit(stage, _tried_in_vain(stage, attempt), least_factor=UNPAID_HANG_FACTOR)
    return age < limit


def _tries_one(stage: StageState) -> bool:
    """Return whether a backup of a stage runs, or is to be sent, and none has won before."""
    monitor = stage.running.monitor
    return not monitor.won_backups and bool(monitor.backups or monitor.copies.sent)


def _back_up(stage: StageState, attempt: AttemptRecord) -> None:
    # By this record its backup is known, when it is sent, for a further attempt of the same task.
    stage.record_of(attempt)
    stage.back_up(attempt.task)


def back_up_slow(plan: str, stage: StageState, now: float, idle_slots: int) -> None:
    """Queue a backup for each task of a stage whose attempt is slow."""
    if stage.worker_watch is not None:
        stage.worker_watch.look(now)
    elapsed = 0.0 if stage.first_at is None else now - stage.first_at
    draining = _is_draining(stage, idle_slots)
    try:
        slow = stage.running.monitor.slow(
            now, elapsed_seconds=elapsed, draining=draining, idle_slots=idle_slots
        )
    except BaseException as error:
        raise policy_failed(plan, stage, "straggler", stage.running.monitor.rule, error) from error
    for attempt in slow:
        _back_up(stage, attempt)


def give_up_backups(stage: StageState, now: float, idle_slots: int) -> list[int]:
    """Mark the backups of a stage that are in vain or in the way, and return their ids: they are to be stopped."""
    in_vain = stage.running.monitor.in_vain(now, idle_slots=idle_slots)
    for attempt in in_vain:
        attempt.given_up = True
        record = stage.record_of(attempt)
        oldest = min(each.started for each in record.alive.values() if each.started >= 0)
        if now >= oldest + _hang_limit(stage):
            # It was for a task that seems to hang, of which as many may end so as may fail.
            record.hangs += 1
            record.failures += 1
        else:
            record.vain_backups += 1
    return [attempt.id for attempt in in_vain]


def next_check(stage: StageState, idle_slots: int) -> float:
    """Return the earliest time at which an attempt of a stage may be overdue or slow; infinity if none will be."""
    due = next_overdue(stage)
    if not stage.running.monitor.active:
        return due
    return min(
        due,
        stage.running.monitor.next_check(
            draining=_is_draining(stage, idle_slots), idle_slots=idle_slots
        ),
    )


def _is_draining(stage: StageState, idle_slots: int) -> bool:
    """Return whether slots are idle while nothing of a stage is queued.

    Where every slot is taken, a backup would take the next free slot from another stage, even if nothing of this one is
    queued (in the middle of a pipelined plan, say): so the stage is not draining.
    """
    return idle_slots >= 0 and not stage.launchable


def overdue(stage: StageState, now: float) -> Iterator[AttemptRecord]:
    """Yield the attempts of a stage that have run longer than they may, and are not being stopped yet."""
    limit = stage.policies.timeout.task
    if limit is None:
        yield from _hung(stage, now)
        return
    for attempt in stage.running.monitor.attempts.values():
        # The same sum as in `next_overdue`: rounded otherwise, an attempt might be due for ever and never overdue.
        if now < attempt.started + limit:
            return
        if not attempt.timed_out:
            yield attempt


def next_overdue(stage: StageState) -> float:
    """Return the earliest time at which an attempt of a stage may be overdue; infinity if none will be."""
    limit = stage.policies.timeout.task
    if limit is None:
        return _next_hung(stage) if stage.detects_hangs else math.inf
    return _oldest(stage) + limit


def _hung(stage: StageState, now: float) -> Iterator[AttemptRecord]:
    """Yield the attempts that have run so much longer than others that they are treated as hung."""
    if not stage.detects_hangs:
        return
    durations = stage.running.monitor.known_durations
    if durations.count < EVIDENCE:
        return
    quantile, tail_ratio = durations.quantile(0.99), _tail_ratio(durations)
    limit = stage.hang_seconds = hang_seconds(quantile, tail_ratio=tail_ratio)
    for attempt in stage.running.monitor.attempts.values():
        # In the order of their starts: all that follow are younger.
        if now < attempt.started + limit:
            return
        if attempt.timed_out or _is_kept(attempt):
            continue
        stopped = _tried_in_vain(stage, attempt)
        if now >= attempt.started + hang_seconds(quantile, stopped, tail_ratio=tail_ratio):
            yield attempt


def _tried_in_vain(stage: StageState, attempt: AttemptRecord) -> int:
    """Return how many other attempts of a task took as long, or may be about to.

    Those that were stopped as hung, one if backups were given up before, and one if another runs, or is queued: that
    two hang is far less likely than that their task is long.
    """
    record = attempt.task_record
    if record is None:
        return 0
    another = len(record.alive) > 1 or attempt.task in stage.running.monitor.backups
    return record.hangs + bool(record.vain_backups) + another


def _hang_limit(
    stage: StageState, tried_in_vain: int = 0, *, least_factor: float = HANG_FACTOR
) -> float:
    """Return the age at which attempts of a stage seem to hang; infinity while that is not known, or not wanted."""
    durations = stage.running.monitor.known_durations
    if not stage.detects_hangs or durations.count < EVIDENCE:
        return math.inf
    quantile, ratio = durations.quantile(0.99), _tail_ratio(durations)
    return hang_seconds(quantile, tried_in_vain, tail_ratio=ratio, least_factor=least_factor)


def _is_kept(attempt: AttemptRecord) -> bool:
    """Return whether an attempt is the oldest of several of its task: what is stopped first is what has done least."""
    record = attempt.task_record
    if record is None:
        return False
    # One that waits for a slot does not count: those that seem to hang may hold all slots.
    return any(
        other.id > attempt.id and other.started >= 0 and not (other.timed_out or other.given_up)
        for other in record.alive.values()
    )


def _tail_ratio(durations: DurationStatistics) -> float:
    """Return the 99th percentile divided by the 90th, or what it is by a power law from the median on."""
    longest = durations.quantile(0.99)
    if durations.count >= 100:
        typical, power = durations.quantile(0.9), 1.0
    else:
        # Too few lie between the two.
        typical, power = durations.quantile(0.5), math.log(10.0) / math.log(50.0)
    return math.pow(longest / typical, power) if typical > 0 else 1.0


def _next_hung(stage: StageState) -> float:
    monitor = stage.running.monitor
    if monitor.known_durations.count < EVIDENCE:
        return math.inf  # Too few durations are known, and only a report can add one.
    return max(_oldest(stage) + stage.hang_seconds, monitor.checked_at + HANG_CHECK_SECONDS)


def _oldest(stage: StageState) -> float:
    """Return the start of the oldest attempt that is not being stopped; infinity if there is none."""
    attempts = stage.running.monitor.attempts.values()
    return next((a.started for a in attempts if not a.timed_out), math.inf)
