"""The drift of durations along a stage, and with the bytes of its tasks: what they explain does not make a task slow.

A least-squares line of the logarithm of a duration over the task's index, and another over the logarithm of its bytes,
kept as sums: O(1) for each report. The one that explains more counts, and only if it explains most of how durations
differ, so that noise never makes one. Durations are scaled to whole tasks before: what is left over bytes is what that
misses, as where durations hardly follow bytes, or sizes lie far apart.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST, MOST = 0.5, 4.0
"""The bounds of what a line is taken for: beyond what was seen, it is a guess."""

_LEAST_KNOWN = 20
_LEAST_EXPLAINED = 0.5


class TaskDrift:
    """The durations of a stage's tasks by their indices and bytes.

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
    bytes_of : callable, optional
        Returns the bytes that a task reads and writes, where they differ.
    """

    __slots__ = ("_by_bytes", "_by_index", "_bytes_of", "_known", "_scale")

    def __init__(self, tasks: int, bytes_of: Callable[[int], int] | None = None) -> None:
        self._scale = 1.0 / max(1, tasks)
        self._bytes_of = bytes_of
        self._by_index = _Line()
        self._by_bytes = None if bytes_of is None else _Line()
        self._known: tuple[int, _Line | None] = 0, None

    def add(self, task: int, seconds: float) -> None:
        """Add the duration of a task, scaled to a whole one."""
        if seconds <= 0:
            return
        log = math.log(seconds)
        self._by_index.add(self._at(task, self._by_index), log)
        if self._by_bytes is not None:
            self._by_bytes.add(self._at(task, self._by_bytes), log)

    def of(self, task: int) -> float:
        """Return the factor of a task's duration to those that are known, by its index or its bytes."""
        line = self._line()
        if line is None:
            return 1.0
        return min(max(math.exp(min(line.height(self._at(task, line)), 2.0)), LEAST), MOST)

    @property
    def least(self) -> float:
        """The least factor of any task."""
        return 1.0 if self._line() is None else LEAST

    def _at(self, task: int, line: _Line) -> float:
        if self._bytes_of is None or line is self._by_index:
            return task * self._scale
        return math.log(max(1, self._bytes_of(task)))

    def _line(self) -> _Line | None:
        """Return the line that explains more; None where neither explains enough."""
        count = self._by_index.count
        if self._known[0] != count:
            better = self._by_index
            if self._by_bytes is not None and self._by_bytes.explained > better.explained:
                better = self._by_bytes
            drifts = count >= _LEAST_KNOWN and better.explained > _LEAST_EXPLAINED
            self._known = count, better if drifts else None
        return self._known[1]


class _Line:
    """A least-squares line; means, and sums of squares and products around them (B. P. Welford, 1962)."""

    __slots__ = ("_mean_at", "_mean_log", "_sum_at", "_sum_both", "_sum_log", "count")

    def __init__(self) -> None:
        self.count = 0
        self._mean_at = self._mean_log = 0.0
        self._sum_at = self._sum_log = self._sum_both = 0.0

    def add(self, at: float, log: float) -> None:
        self.count += 1
        by_at, by_log = at - self._mean_at, log - self._mean_log
        self._mean_at += by_at / self.count
        self._mean_log += by_log / self.count
        self._sum_at += by_at * (at - self._mean_at)
        self._sum_log += by_log * (log - self._mean_log)
        self._sum_both += by_at * (log - self._mean_log)

    @property
    def explained(self) -> float:
        """The share of the variance that the line explains."""
        whole = self._sum_at * self._sum_log
        return self._sum_both**2 / whole if whole > 0 else 0.0

    def height(self, at: float) -> float:
        """Return the height of the line at a place, above the mean."""
        return self._sum_both / self._sum_at * (at - self._mean_at)
