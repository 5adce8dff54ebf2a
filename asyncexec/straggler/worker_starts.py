"""The time that new workers take to start: a backup that needs one waits for so long before it gains anything."""

from __future__ import annotations


class WorkerStarts:
    """The workers that a run has seen, and how long the first attempt on each took to start.

    Attributes
    ----------
    cold_start_seconds : float
        The least of these; 0.0 before there was any.
    workers : set of str
    """

    def __init__(self) -> None:
        self.cold_start_seconds = 0.0
        self.workers: set[str] = set()

    def add(self, worker: str, delay_seconds: float) -> None:
        """Add a worker whose first attempt started so long after it was sent."""
        # The least: others may have waited for a slot as well as for their worker to come up.
        known = self.cold_start_seconds if self.workers else delay_seconds
        self.cold_start_seconds = max(0.0, min(known, delay_seconds))
        self.workers.add(worker)
