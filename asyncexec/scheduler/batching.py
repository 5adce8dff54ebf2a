"""The number of tasks in one batch, which is one message.

About 100 ms of work by measured duration, or more where a message is expensive, so that its cost is small compared with
the work in it; fewer as a stage runs out, so that no worker is left with a batch while others are idle. But never so
few that a message costs more than the work in it: where it costs half a second, 500 tasks of a millisecond go together.
"""

from __future__ import annotations

TARGET_SECONDS = 0.1
CALL_SHARE = 0.1
"""The cost of a message is to be no more than this share of the work in it."""

_SMOOTHING = 0.05
_SHORTEST = 2e-6


class BatchSize:
    """The batch size of one stage, which follows its tasks' durations.

    ``_worth`` is the number of tasks whose work takes as long as one message.
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
        # Slower tasks count faster than quicker ones: too long a batch costs more than too short a one.
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
        """Return the number of tasks to send in one batch, of ``ready`` ones."""
        # Two batches for each slot: one runs while the next is on its way.
        share = -(-ready // (2 * slots))
        return min(self.limit, max(share, self._worth))
