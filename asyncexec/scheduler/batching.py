"""The number of tasks in one message.

About 100 ms of work by measured duration, or more where a message is dear, so that its cost is small beside the work in
it; fewer as a stage runs out, so that no worker is left with a batch while others idle. But no fewer than are worth a
message: where one costs half a second, ten tasks of a millisecond go together.
"""

from __future__ import annotations

TARGET_SECONDS = 0.1
CALL_SHARE = 0.1
"""The cost of a message is to be no more than this share of the work in it."""

_SMOOTHING = 0.05
_SHORTEST = 2e-6


class BatchSize:
    """Batch size of one stage, following its tasks' durations.

    ``_worth`` is how many tasks do as much work as one message costs.
    """

    __slots__ = ("_call_seconds", "_mean", "_target", "_worth", "limit", "most")

    def __init__(self, most: int, call_seconds: float = 0.0) -> None:
        self.most = most
        self._call_seconds = call_seconds
        self._target = max(TARGET_SECONDS, call_seconds / CALL_SHARE)
        self.limit = 1
        self._worth = 0
        self._mean = 0.0

    def measured(self, seconds: float) -> None:
        """Record a task's duration on its worker."""
        mean = self._mean
        # Slower tasks count at once and faster ones bit by bit: too long a batch costs more than too short a one.
        if seconds > mean:
            mean += (seconds - mean) * (1.0 if mean == 0.0 else 0.25)
        else:
            mean += (seconds - mean) * _SMOOTHING
        self._mean = mean
        limit = int(self._target / (mean + _SHORTEST))
        self.limit = limit if 0 < limit < self.most else max(1, min(limit, self.most))
        if self._call_seconds:
            self._worth = int(self._call_seconds / (mean + _SHORTEST))

    def size(self, ready: int, slots: int) -> int:
        """Return how many of ``ready`` tasks to send in one message."""
        share = -(-ready // (2 * slots))
        return min(self.limit, max(share, self._worth))
