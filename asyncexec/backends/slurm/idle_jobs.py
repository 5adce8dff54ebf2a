"""Which jobs there are: those with a batch, those that have nothing to do, and those that are to go."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection

from asyncexec.backends.placement import idle_one, resting
from asyncexec.backends.slurm.client import Job


class Staff:
    """Jobs that have nothing to do, and how long they are kept.

    Parameters
    ----------
    make : callable
        Makes a job, not submitted yet.
    linger_seconds : float
        How long a job is kept that has nothing to do.
    young_seconds : float
        How old a job may be to get another batch, so that SLURM does not end it in the midst of one.
    """

    def __init__(
        self, make: Callable[[], Job], *, linger_seconds: float, young_seconds: float
    ) -> None:
        self._make = make
        self._linger_seconds = linger_seconds
        self._young_seconds = young_seconds
        self._idle: deque[tuple[float, Job]] = deque()
        self._since: dict[Job, float] = {}
        self._workers: dict[Job, str] = {}
        self._avoided: frozenset[str] = frozenset()

    @property
    def resting(self) -> int:
        """How many jobs have nothing to do, and are to be given nothing."""
        rests = self._resting
        return sum(self._name((since, job)) in rests for since, job in self._idle) if rests else 0

    def avoid(self, workers: Collection[str]) -> None:
        """Give these nothing more, by the names they have in reports; all others may have work."""
        self._avoided = frozenset(workers)

    def take(self, apart_from: Collection[str] = ()) -> Job:
        """Return the job that has been idle for the shortest time, or a new one; rather none of ``apart_from``."""
        chosen = idle_one(self._idle, self._name, rests=self._resting, apart_from=apart_from)
        if chosen is None:
            return self._make()
        self._idle.remove(chosen)
        return chosen[1]

    def running(self, job: Job, worker: str) -> None:
        """Take note that a job runs, and what it is called in reports."""
        self._since.setdefault(job, time.monotonic())
        self._workers[job] = worker

    def put_back(self, job: Job) -> None:
        """Take note that a job has nothing to do."""
        self._idle.append((time.monotonic(), job))

    def gone(self, job: Job) -> None:
        """Take note that a job has ended."""
        self._since.pop(job, None)
        self._workers.pop(job, None)

    def to_dismiss(self) -> list[Job]:
        """Return those whose time is up; they are not given out any more."""
        now = time.monotonic()
        dismissed = [job for since, job in self._idle if self._is_up(job, since, now)]
        self._idle = deque((s, j) for s, j in self._idle if not self._is_up(j, s, now))
        for job in dismissed:
            self.gone(job)
        return dismissed

    @property
    def _resting(self) -> Collection[str]:
        return resting(self._workers.values(), self._avoided)

    def _name(self, idle: tuple[float, Job]) -> str:
        return self._workers.get(idle[1], "")

    def _is_up(self, job: Job, idle_since: float, now: float) -> bool:
        too_old = now - self._since.get(job, now) > self._young_seconds
        return too_old or now - idle_since >= self._linger_seconds

    @property
    def next_dismissal(self) -> float | None:
        """In how many seconds somebody is to be dismissed."""
        if not self._idle:
            return None
        return max(0.0, self._idle[0][0] + self._linger_seconds - time.monotonic())
