"""Calls of a service that refuses some: because it is busy, or because a request is too large for it.

Being refused is not failing: nothing has run, nobody is charged, and the scheduler sends the task again. What is done
about it here is to ask for less: fewer calls at once, and none for a moment.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import anyio

from asyncexec.backends.adapters.calls import CallContext
from asyncexec.backends.contract import AttemptSpec, Batch
from asyncexec.errors import BackendError, SerializationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe

FIRST_PAUSE_SECONDS = 0.1
CAP_SECONDS = 10.0

type Run = Callable[[Batch, CallContext], Awaitable[Sequence[Outcome]]]


class BusyError(Exception):
    """The service takes no more calls just now; ``__cause__``, where there is one, is what it said.

    Attributes
    ----------
    pause_seconds : float
        How long it asks to be left alone; 0.0 where it does not say.
    """

    def __init__(self, message: str, *, pause_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.pause_seconds = pause_seconds


class TooLargeError(Exception):
    """The service does not take so large a request; the message says what to do where it is one task's."""


class Congestion:
    """How many calls at once a service seems to bear: half as many once it refuses, and slowly more again.

    Calls refused within one pause count as one refusal. The clock's readings (seconds) are handed in.
    """

    def __init__(self, most: int, rng: random.Random | None = None) -> None:
        self._most = most
        self._limit = float(most)
        self._pause = 0.0
        self._calm_at = 0.0
        self._random = rng or random.Random()

    @property
    def slots(self) -> int:
        """How many calls may run at once, now."""
        return max(1, int(self._limit))

    def accepted(self) -> None:
        """Take note that a call went through."""
        self._pause = 0.0
        self._limit = min(float(self._most), self._limit + 1.0 / self._limit)

    def refused(self, now: float, least_seconds: float = 0.0) -> float:
        """Take note that a call was refused, and return how long to leave the service alone."""
        if now >= self._calm_at:
            self._limit = max(1.0, self._limit / 2)
            self._pause = min(CAP_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * self._pause))
            self._calm_at = now + self._pause
        return max(self._pause * self._random.uniform(0.5, 1.0), min(least_seconds, CAP_SECONDS))


class ServiceCaller:
    """Makes the calls of batches, and bears with refusals.

    Parameters
    ----------
    most : int
        How many calls may run at once when all is well.
    """

    def __init__(self, most: int) -> None:
        self._congestion = Congestion(most)

    @property
    def slots(self) -> int:
        """How many calls may run at once, now."""
        return self._congestion.slots

    async def call(self, batch: Batch, progress: CallContext, run: Run) -> Sequence[Outcome]:
        """Have ``batch`` run: in halves where it is too large, and again what an answer had no room for.

        Refused because the service is busy, it counts as lost before it started, and its slot stays taken for a pause.
        """
        parts: deque[Sequence[AttemptSpec]] = deque([batch.jobs])
        while parts:
            jobs = _owed(parts.popleft(), progress)
            if not jobs:
                continue
            try:
                progress.ended(*await run(Batch(batch.program, jobs), progress))
            except TooLargeError as error:
                parts.extendleft(_smaller(jobs, error, progress))
                continue
            except BusyError as error:
                told = describe(error.__cause__ or error)
                progress.ended(*[Outcome(a, Status.LOST, error=told) for a in progress.owed])
                await anyio.sleep(self._congestion.refused(time.monotonic(), error.pause_seconds))
                return ()
            self._congestion.accepted()
            left = _owed(jobs, progress)
            if len(left) == len(jobs):
                raise BackendError(
                    "a worker answered a call without the outcome of any of its jobs"
                )
            parts.appendleft(left)
        return ()


def _owed(jobs: Sequence[AttemptSpec], progress: CallContext) -> list[AttemptSpec]:
    return [job for job in jobs if job.attempt in progress.owed]


def _smaller(
    jobs: Sequence[AttemptSpec], error: TooLargeError, progress: CallContext
) -> list[Sequence[AttemptSpec]]:
    """Return the halves of what is too large, the second first; one job alone has failed."""
    if len(jobs) > 1:
        half = len(jobs) // 2
        return [jobs[half:], jobs[:half]]
    told = describe(SerializationError(str(error)), keep=True)
    progress.ended(Outcome(jobs[0].attempt, Status.FAILED, "", time.time(), error=told))
    return []
