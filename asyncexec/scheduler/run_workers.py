"""The workers of one run."""

from __future__ import annotations

from asyncexec.scheduler.lazy_slots import lazy, lazy_slots, made
from asyncexec.straggler.slow_workers import SlowWorkers
from asyncexec.straggler.worker_starts import WorkerStarts


@lazy_slots
class RunWorkers:
    """The times that the workers of a run take to start, and the slow ones among them."""

    __slots__ = ()

    @lazy
    def starts(self) -> WorkerStarts:
        """The time that they take to start."""
        return WorkerStarts()

    @lazy
    def slow(self) -> SlowWorkers:
        """Those on which every task takes long."""
        return SlowWorkers(self.starts.hosts)

    @property
    def known_slow(self) -> SlowWorkers | None:
        """The same, if any worker was compared."""
        return made(self, RunWorkers.slow)
