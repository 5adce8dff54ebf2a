"""The drift of durations along a stage: tasks that take longer the greater their index is are not slow for that.

A least-squares line of the logarithm of a duration over the task's index, kept as sums: O(1) for each report. It counts
only where it explains most of how durations differ, so that noise never makes one.
"""

from __future__ import annotations

import math

LEAST, MOST = 0.5, 4.0
"""The bounds of what the drift is taken for: beyond what was seen, a line is a guess."""

_LEAST_KNOWN = 20
_LEAST_EXPLAINED = 0.5


class TaskDrift:
    """The durations of a stage's tasks by their indices.

    >>> from asyncexec.straggler.task_drift import TaskDrift
    >>> drift = TaskDrift(tasks=100)
    >>> for task in range(50):
    ...     drift.add(task, 10.0 + 0.2 * task)
    >>> round(drift.of(60), 1), round(drift.of(25), 1), TaskDrift(tasks=100).of(60)
    (1.6, 1.0, 1.0)

    Parameters
    ----------
    tasks : int
        The tasks of the stage.
    """

    __slots__ = (
        "_count",
        "_known",
        "_mean_at",
        "_mean_log",
        "_scale",
        "_sum_at",
        "_sum_both",
        "_sum_log",
    )

    def __init__(self, tasks: int) -> None:
        self._scale = 1.0 / max(1, tasks)
        self._count = 0
        # Means, and sums of squares and products around them (B. P. Welford, 1962).
        self._mean_at = self._mean_log = 0.0
        self._sum_at = self._sum_log = self._sum_both = 0.0
        self._known = 0, 0.0

    def add(self, task: int, seconds: float) -> None:
        """Add the duration of a task, scaled to a whole one."""
        if seconds <= 0:
            return
        self._count += 1
        at, log = task * self._scale, math.log(seconds)
        by_at, by_log = at - self._mean_at, log - self._mean_log
        self._mean_at += by_at / self._count
        self._mean_log += by_log / self._count
        self._sum_at += by_at * (at - self._mean_at)
        self._sum_log += by_log * (log - self._mean_log)
        self._sum_both += by_at * (log - self._mean_log)

    def of(self, task: int) -> float:
        """Return the factor of a task's duration to those that are known, by its index."""
        slope = self._slope()
        if not slope:
            return 1.0
        height = slope * (task * self._scale - self._mean_at)
        return min(max(math.exp(min(height, 2.0)), LEAST), MOST)

    @property
    def least(self) -> float:
        """The least factor of any task."""
        return LEAST if self._slope() else 1.0

    def _slope(self) -> float:
        """Return the growth of the logarithm from one end of the stage to the other; 0 where it explains too little."""
        if self._known[0] != self._count:
            explained = self._sum_both**2
            enough = _LEAST_EXPLAINED * self._sum_at * self._sum_log
            drifts = self._count >= _LEAST_KNOWN and explained > enough
            self._known = self._count, self._sum_both / self._sum_at if drifts else 0.0
        return self._known[1]
