"""Keep the jobs that have nothing to do, choose among them, and let them expire."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection

from asyncexec.backends.placement import idle_one, resting
from asyncexec.backends.slurm.client import SlurmJob


class IdleJobs:
    """The jobs that have nothing to do.

    Parameters
    ----------
    create : callable
        Creates a job, not submitted yet.
    linger_seconds : float
        The time that an idle job is kept.
    max_age_seconds : float
        The age after which a job gets no other batch, so that SLURM does not end it in the middle of one.
    """

    def __init__(
        self, create: Callable[[], SlurmJob], *, linger_seconds: float, max_age_seconds: float
    ) -> None:
        self._create = create
        self._linger_seconds = linger_seconds
        self._max_age_seconds = max_age_seconds
        self._idle: deque[tuple[float, SlurmJob]] = deque()
        self._since: dict[SlurmJob, float] = {}
        self._workers: dict[SlurmJob, str] = {}
        self._avoided: frozenset[str] = frozenset()

    @property
    def resting(self) -> int:
        """The number of idle jobs that are avoided."""
        rests = self._resting
        return sum(self._name((since, job)) in rests for since, job in self._idle) if rests else 0

    def avoid(self, workers: Collection[str]) -> None:
        """Choose none of these workers, by the names they have in reports, until the next call."""
        self._avoided = frozenset(workers)

    def take(self, apart_from: Collection[str] = ()) -> SlurmJob:
        """Return the job that has been idle for the shortest time, or a new one; preferably not in ``apart_from``."""
        chosen = idle_one(self._idle, self._name, rests=self._resting, apart_from=apart_from)
        if chosen is None:
            return self._create()
        self._idle.remove(chosen)
        return chosen[1]

    def mark_running(self, job: SlurmJob, worker: str) -> None:
        """Note that a job runs, and its name in reports."""
        self._since.setdefault(job, time.monotonic())
        self._workers[job] = worker

    def add(self, job: SlurmJob) -> None:
        """Add a job that has nothing to do."""
        self._idle.append((time.monotonic(), job))

    def remove(self, job: SlurmJob) -> None:
        """Forget a job that has ended."""
        self._since.pop(job, None)
        self._workers.pop(job, None)

    def take_expired(self) -> list[SlurmJob]:
        """Remove and return the jobs that have been idle for too long, or are too old."""
        now = time.monotonic()
        to_end = [job for since, job in self._idle if self._is_expired(job, since, now)]
        self._idle = deque((s, j) for s, j in self._idle if not self._is_expired(j, s, now))
        for job in to_end:
            self.remove(job)
        return to_end

    @property
    def _resting(self) -> Collection[str]:
        return resting(self._workers.values(), self._avoided)

    def _name(self, idle: tuple[float, SlurmJob]) -> str:
        return self._workers.get(idle[1], "")

    def _is_expired(self, job: SlurmJob, idle_since: float, now: float) -> bool:
        too_old = now - self._since.get(job, now) > self._max_age_seconds
        return too_old or now - idle_since >= self._linger_seconds

    @property
    def next_expiry(self) -> float | None:
        """The seconds until the next job expires; None if none is idle."""
        if not self._idle:
            return None
        return max(0.0, self._idle[0][0] + self._linger_seconds - time.monotonic())
