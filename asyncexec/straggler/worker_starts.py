"""The time that new workers take to start, which a backup that needs one has to wait first."""

from __future__ import annotations

from asyncexec.straggler.worker_hosts import WorkerHosts


class WorkerStarts:
    """The workers of a run, and the least delay of the first attempt on any of them.

    Attributes
    ----------
    cold_start_seconds : float
        The least delay; 0.0 before there was any.
    workers : dict of str to None
        In the order in which they were seen.
    hosts : WorkerHosts
        Their hosts.
    """

    __slots__ = ("cold_start_seconds", "hosts", "workers")

    def __init__(self) -> None:
        self.cold_start_seconds = 0.0
        self.workers: dict[str, None] = {}
        self.hosts = WorkerHosts()

    def add(self, worker: str, delay_seconds: float) -> None:
        """Add a worker whose first attempt started so long after it was sent."""
        # The least, as others may have waited for a slot as well as for their worker to start.
        known = self.cold_start_seconds if self.workers else delay_seconds
        self.cold_start_seconds = max(0.0, min(known, delay_seconds))
        self.workers[worker] = None
        self.hosts.add(worker)
