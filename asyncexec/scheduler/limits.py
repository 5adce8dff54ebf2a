"""How long a plan and its stages may take as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from asyncexec.errors import ExecutionError, PlanTimeoutError, StageTimeoutError

if TYPE_CHECKING:
    from asyncexec.plan.plan import Plan
    from asyncexec.scheduler.settings import Settings
    from asyncexec.scheduler.stage import StageState


class Limits:
    """The timeouts of a plan and its stages; those of tasks are the lookout's."""

    def __init__(self, plan: Plan, settings: Settings, stages: Sequence[StageState]) -> None:
        self._plan = plan
        self._plan_limit = settings.timeout.plan
        self._stages = [s for s in stages if s.settings.timeout.stage is not None]
        self._began = 0.0

    def begin(self, now: float) -> None:
        """Start the plan's clock; a stage's starts with its first task."""
        self._began = now

    def deadlines(self) -> Iterator[float]:
        """Iterate over the times at which something will be over its limit."""
        if self._plan_limit is not None:
            yield self._began + self._plan_limit
        for stage in self._stages:
            limit = stage.settings.timeout.stage
            if limit is not None and stage.first_at is not None and stage.readiness.left:
                yield stage.first_at + limit

    def exceeded(self, now: float) -> ExecutionError | None:
        """Return the error for what is over its limit now."""
        name = self._plan.name
        if self._plan_limit is not None and now >= self._began + self._plan_limit:
            return PlanTimeoutError(
                f"plan {name!r} ran longer than its timeout of {self._plan_limit:g} s; give it a longer "
                f"timeout=Timeout(plan=...), or run it again with resume=True"
            )
        for stage in self._stages:
            limit = stage.settings.timeout.stage
            if limit is None or stage.first_at is None or not stage.readiness.left:
                continue
            if now >= stage.first_at + limit:
                return StageTimeoutError(
                    f"plan {name!r}, stage {stage.name!r} ran longer than its timeout of {limit:g} s; "
                    f"{stage.readiness.left} of {stage.tasks} tasks were left"
                )
        return None
