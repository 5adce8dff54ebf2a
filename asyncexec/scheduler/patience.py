"""From a rule's threshold, which is for whole tasks, to the age at which a given task counts as slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncexec.scheduler.task_sizes import LEAST

if TYPE_CHECKING:
    from asyncexec.scheduler.task_sizes import TaskSizes


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long attempts of a stage may run before they count as slow.

    Attributes
    ----------
    threshold_seconds : float
        For a whole task.
    floor_seconds : float
        No task counts as slow before this age, however small, unless whole ones do.
    sizes : TaskSizes or None
        Which tasks are smaller; None where all are the same.
    """

    threshold_seconds: float
    floor_seconds: float
    sizes: TaskSizes | None

    @property
    def least(self) -> float:
        """Return the seconds below which no task of the stage counts as slow."""
        return self.threshold_seconds if self.sizes is None else self._scaled(LEAST)

    def with_task(self, task: int) -> float:
        """Return the seconds for one task."""
        return self.threshold_seconds if self.sizes is None else self._scaled(self.sizes.of(task))

    def _scaled(self, share: float) -> float:
        floor = min(self.floor_seconds, self.threshold_seconds)
        return max(floor, self.threshold_seconds * share)
