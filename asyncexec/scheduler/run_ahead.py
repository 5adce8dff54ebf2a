"""The stages that a worker goes on with after a few tasks, without a turn of the event loop for each.

In a chain of stages with one task each, nothing but the value of a task decides when the next may run. Where the worker
has that value, it need not wait until the scheduler has heard of it: the scheduler sends the attempts of the next
stages with those of the first. Of a chain of short tasks, most of the cost of a task is that turn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from asyncexec.backends.contract import AttemptSpec, FollowingAttempts
from asyncexec.plan.stage import Read
from asyncexec.scheduler.stage import AttemptRecord, BatchLease

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncexec.backends.contract import Batch
    from asyncexec.scheduler.stage import StageState

new = tuple.__new__  # A named tuple's own constructor takes three times as long.

FEW = 4
"""The most tasks that a worker goes on with side by side: of more, a batch is worth its turn."""

TARGET_SECONDS = 0.02
"""The time after which the scheduler shall hear of a task, whatever follows it."""

MOST = 256
"""The most attempts in a batch that follow others."""


class RunAhead:
    """Finds the stages that follow a task in its batch, so many as take about ``TARGET_SECONDS``.

    Parameters
    ----------
    stages : list of StageState
        As they are at any time.
    running : dict of int to AttemptRecord
        The run's attempts that are with the backend, to which those are added that follow others.
    ids : iterator of int
        Gives the ids of attempts.
    """

    def __init__(
        self, stages: list[StageState], running: dict[int, AttemptRecord], ids: Iterator[int]
    ) -> None:
        self._stages = stages
        self._running = running
        self._ids = ids
        self._length = 1

    def followed(self, batch: Batch, first: StageState, now: float) -> Batch:
        """Return a batch of the stage ``first`` whose worker goes on with the same tasks of the stages that follow."""
        if len(batch.jobs) > FEW or first.running.batch.at_once > 1 or first.program.io is not None:
            return batch
        stages = self._behind(first, min(self._length, MOST // len(batch.jobs)))
        if not stages:
            return batch
        holder = self._running[batch.jobs[0].attempt].lease
        holder.left += len(batch.jobs) * len(stages)
        following: list[FollowingAttempts] = []
        before: Sequence[AttemptSpec] = batch.jobs
        for stage in stages:
            lease = BatchLease(stage, len(before), 0, exclusive=False, behind=holder)
            stage.readiness.queue.follow(spec.task for spec in before)
            jobs: list[AttemptSpec] = []
            for spec in before:
                attempt_id = next(self._ids)
                self._running[attempt_id] = AttemptRecord(attempt_id, spec.task, lease, now)
                jobs.append(new(AttemptSpec, (attempt_id, spec.task, (spec.attempt,), 1)))
            following.append(FollowingAttempts(stage.program, jobs))
            before = jobs
        return replace(batch, following=following)

    def _behind(self, first: StageState, most: int) -> list[StageState]:
        """Return up to ``most`` stages, each of which reads the one before it and nothing else."""
        found: list[StageState] = []
        stage = first
        while len(found) < most and (follower := self._follower(stage, first)) is not None:
            found.append(follower)
            stage = follower
        return found

    def ended(self, seconds: float) -> None:
        """Take in how long a batch with attempts that followed others has taken, from when it was sent."""
        if seconds < TARGET_SECONDS / 2:
            self._length = min(2 * self._length, MOST)
        elif seconds > TARGET_SECONDS:
            self._length = max(self._length // 2, 1)

    def _follower(self, stage: StageState, first: StageState) -> StageState | None:
        """Return the only reader of a stage, if each of its tasks needs that of the same number and nothing else."""
        if len(stage.readers) != 1 or not stage.keeps_values or stage.stage.late is not None:
            return None
        (edge,) = stage.readers
        follower = self._stages[edge.consumer]
        program, inputs = follower.program, follower.stage.inputs
        fits = (
            edge.identical
            and follower.readiness.follows
            and follower.keeps_values
            and follower.stage.late is None
            and program.io is None
            and program.concurrency == 1
            and not (follower.throttles or follower.stage.resources or follower.task_records)
            and follower.task_bytes <= first.task_bytes
            and follower.stage.priority == first.stage.priority
            and follower.policies.timeout.stage is None
            and len(inputs) == 1
        )
        if not fits:
            return None
        (read,) = inputs
        return follower if isinstance(read, Read) and not (read.many or read.item) else None
