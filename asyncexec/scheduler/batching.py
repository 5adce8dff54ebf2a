"""How many tasks travel in one message.

About 100 ms of work by measured duration, so that the cost of a message is small beside the work in it; fewer as a
stage runs out, so that no worker is left with a batch while others idle.
"""

from __future__ import annotations

TARGET_SECONDS = 0.1
_SMOOTHING = 0.05
_SHORTEST = 2e-6


class BatchSize:
    """Batch size of one stage, following its tasks' durations."""

    __slots__ = ("_mean", "limit", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = 1
        self._mean = 0.0

    def measured(self, seconds: float) -> None:
        """Take note of a task's duration on its worker."""
        mean = self._mean
        # Slower tasks count at once and faster ones bit by bit: too long a batch costs more than too short a one.
        if seconds > mean:
            mean += (seconds - mean) * (1.0 if mean == 0.0 else 0.25)
        else:
            mean += (seconds - mean) * _SMOOTHING
        self._mean = mean
        limit = int(TARGET_SECONDS / (mean + _SHORTEST))
        self.limit = limit if 0 < limit < self.most else max(1, min(limit, self.most))

    def size(self, ready: int, slots: int) -> int:
        """Return how many of ``ready`` tasks to send in one message."""
        share = -(-ready // (2 * slots))
        return min(self.limit, share)
