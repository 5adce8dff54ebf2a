"""Calls to a service that may refuse them, because it is busy or a request is too large for it.

A refused call has not failed: nothing has run, no failure is counted, and the scheduler sends the task again. The
answer to a refusal is back-pressure: fewer calls at once, and none for a moment.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import anyio

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.contract import AttemptSpec, Batch
from asyncexec.errors import BackendError, SerializationError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe

FIRST_PAUSE_SECONDS = 0.1
CAP_SECONDS = 10.0

type RunBatch = Callable[[Batch, CallContext], Awaitable[Sequence[Outcome]]]


class BusyError(Exception):
    """The service takes no more calls just now; ``__cause__``, if there is one, is its own error.

    Attributes
    ----------
    pause_seconds : float
        The pause that it asks for; 0.0 if it asks for none.
    """

    def __init__(self, message: str, *, pause_seconds: float = 0.0) -> None:
        super().__init__(message)
        self.pause_seconds = pause_seconds


class TooLargeError(Exception):
    """The request is too large for the service; the message says what to do if it is that of a single task."""


class Congestion:
    """A congestion window: halves the number of concurrent calls on a refusal, and raises it slowly after successes.

    Calls refused within one pause count as one refusal. The caller passes the time, in seconds of any clock.
    """

    def __init__(self, max_calls: int, rng: random.Random | None = None) -> None:
        self._max_calls = max_calls
        self._limit = float(max_calls)
        self._pause = 0.0
        self._resume_at = 0.0
        self._random = rng or random.Random()

    @property
    def slots(self) -> int:
        """The number of calls that may run at once, now."""
        return max(1, int(self._limit))

    def accepted(self) -> None:
        """Count a call that was accepted."""
        self._pause = 0.0
        self._limit = min(float(self._max_calls), self._limit + 1.0 / self._limit)

    def refused(self, now: float, least_seconds: float = 0.0) -> float:
        """Count a call that was refused, and return the seconds to pause."""
        if now >= self._resume_at:
            self._limit = max(1.0, self._limit / 2)
            self._pause = min(CAP_SECONDS, max(FIRST_PAUSE_SECONDS, 2 * self._pause))
            self._resume_at = now + self._pause
        return max(self._pause * self._random.uniform(0.5, 1.0), min(least_seconds, CAP_SECONDS))


class ServiceCaller:
    """Makes the calls of batches, and retries or slows down on refusals.

    Parameters
    ----------
    max_calls : int
        The number of calls that may run at once without refusals.
    """

    def __init__(self, max_calls: int) -> None:
        self._congestion = Congestion(max_calls)

    @property
    def slots(self) -> int:
        """The number of calls that may run at once, now."""
        return self._congestion.slots

    async def call(self, batch: Batch, context: CallContext, run: RunBatch) -> Sequence[Outcome]:
        """Run ``batch``: in halves if it is too large, and again for the attempts that an answer had no room for.

        If the service is busy, the attempts are reported as lost before they started, and the slot stays taken for a
        pause.
        """
        parts: deque[Sequence[AttemptSpec]] = deque([batch.jobs])
        while parts:
            jobs = _pending(parts.popleft(), context)
            if not jobs:
                continue
            try:
                context.ended(*await run(Batch(batch.program, jobs), context))
            except TooLargeError as error:
                parts.extendleft(_smaller(jobs, error, context))
                continue
            except BusyError as error:
                info = describe(error.__cause__ or error)
                context.ended(*[Outcome(a, Status.LOST, error=info) for a in context.pending])
                await anyio.sleep(self._congestion.refused(time.monotonic(), error.pause_seconds))
                return ()
            self._congestion.accepted()
            left = _pending(jobs, context)
            if len(left) == len(jobs):
                raise BackendError(
                    "a worker answered a call without the outcome of any of its jobs"
                )
            parts.appendleft(left)
        return ()


def _pending(jobs: Sequence[AttemptSpec], context: CallContext) -> list[AttemptSpec]:
    return [job for job in jobs if job.attempt in context.pending]


def _smaller(
    jobs: Sequence[AttemptSpec], error: TooLargeError, context: CallContext
) -> list[Sequence[AttemptSpec]]:
    """Return the halves of attempts that are too large together, the second first; a single attempt has failed."""
    if len(jobs) > 1:
        half = len(jobs) // 2
        return [jobs[half:], jobs[:half]]
    info = describe(SerializationError(str(error)), keep=True)
    context.ended(Outcome(jobs[0].attempt, Status.FAILED, "", time.time(), error=info))
    return []
