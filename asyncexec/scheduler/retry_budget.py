"""The budget of retries of a whole plan: where more are needed, something is wrong with most tasks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from asyncexec.errors import RetryBudgetError
from asyncexec.scheduler.failures import caused_by

if TYPE_CHECKING:
    from collections.abc import Collection

    from asyncexec.scheduler.failures import RetryDecision
    from asyncexec.scheduler.stage import AttemptRecord, StageState


class RetryBudget:
    """The retries that are left to a run, by the policies and the number of tasks of its stages."""

    def __init__(self, plan: str, stages: Collection[StageState]) -> None:
        self._plan = plan
        self._tasks = sum([stage.readiness.tasks for stage in stages])
        self._policies = tuple({id(s.policies.retry): s.policies.retry for s in stages}.values())
        self.allowed = self._allowed()
        self._used = 0

    def grow(self, tasks: int) -> None:
        """Compute the budget again, for so many more tasks; it never shrinks."""
        self._tasks += tasks
        self.allowed = max(self.allowed, self._allowed())

    def _allowed(self) -> float:
        allowed = (policy.retries_allowed(self._tasks) for policy in self._policies)
        return max(allowed, default=math.inf)

    def take(self, attempt: AttemptRecord, decision: RetryDecision) -> RetryBudgetError | None:
        """Take one retry for the task of ``attempt``; return the error if there is none left."""
        self._used += 1
        if self._used <= self.allowed:
            return None
        error = RetryBudgetError(
            f"plan {self._plan!r}: more than {self.allowed:g} retries, the plan's budget; the last was to be of stage "
            f"{attempt.lease.stage.name!r}, task {attempt.task} ({decision.reason}). Something is wrong with most "
            f"tasks; see the events, or raise Retry(budget=...)",
            plan=self._plan,
            stage=attempt.lease.stage.name,
        )
        return caused_by(error, decision.info)
