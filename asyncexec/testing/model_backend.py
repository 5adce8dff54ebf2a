"""A backend of model workers: attempts take time on the event loop's clock, and no thread or process.

On a virtual clock, hours of a cluster's life run in milliseconds, under the real scheduler.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Container, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from asyncexec.backends.contract import Batch, Capabilities, Report
from asyncexec.backends.model_workers import ModelAttempt, ModelWorkers
from asyncexec.backends.report_stream import ReportStream
from asyncexec.errors import UsageError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.locality import Locality
from asyncexec.testing.fates import Decide, Fate, Visit
from asyncexec.worker.attempt import attempt_runner, describe
from asyncexec.worker.event_loop import EVENT_LOOP

_CAPABILITIES = Capabilities(
    name="model", kills=True, isolated=True, locality=Locality.SAME_PROCESS
)


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Counts of all that happened on a model backend.

    Attributes
    ----------
    visits : list of Visit
        Every attempt that started, in order.
    effects : Counter of (stage, task)
        How often each task took effect: its kernel ran to the end and its output was kept.
    ended : Counter of Status
        How attempts ended, as reported.
    late : int
        Attempts that were given up and came to their end anyway; they took no effect.
    running : int
        Attempts running now, given-up ones excluded.
    peak : int
        The most that ever ran at once.
    workers : int
        How many workers there ever were.
    """

    visits: list[Visit] = field(default_factory=list[Visit])
    effects: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])
    ended: Counter[Status] = field(default_factory=Counter[Status])
    late: int = 0
    running: int = 0
    peak: int = 0
    workers: int = 0


class ModelBackend:
    """Model workers on the running loop's clock.

    >>> from asyncexec.testing.model_backend import ModelBackend
    >>> from asyncexec.testing.virtual_time import run
    >>> async def main():
    ...     backend = ModelBackend(60.0, slots=2)  # each attempt takes a minute of virtual time
    ...     async with ax.Engine(backend) as engine:
    ...         result = await engine.execute(ax.Plan.map(abs, [-1, -2, -3]))
    ...     return result.value, round(result.stages[0].busy_seconds), backend.ledger.peak
    >>> run(main())
    ([1, 2, 3], 180, 2)

    Parameters
    ----------
    fate : number or callable
        How attempts go: so many seconds each, or decided one by one (see :mod:`asyncexec.testing.fates`).
    slots : int
        How many workers there are; may be set while it runs.
    capabilities : Capabilities
        ``kills`` and ``isolated`` decide what ``cancel`` does: a killed worker takes all that its batch has left
        with it (``LOST``, not started); an attempt that cannot be killed is given up, and its end takes no effect.
    computes : bool
        Whether kernels are called at the end of their time (plain ones; inputs are loaded and outputs saved). If not,
        every success has the value None.
    kill_seconds : float
        How long a kill takes.

    Attributes
    ----------
    ledger : Ledger
        What happened, for assertions.
    """

    def __init__(
        self,
        fate: Decide | float = 0.0,
        *,
        slots: int = 2,
        capabilities: Capabilities = _CAPABILITIES,
        computes: bool = True,
        kill_seconds: float = 0.0,
    ) -> None:
        self.capabilities = capabilities
        self.slots = slots
        self.ledger = Ledger()
        self._fate = fate
        self._computes = computes
        self._stream: ReportStream | None = None
        self._workers: ModelWorkers = ModelWorkers(
            self, kills=capabilities.kills, kill_seconds=kill_seconds
        )
        self._idle: list[str] = []
        self._timers: set[asyncio.TimerHandle] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come."""
        if self._stream is None:
            raise UsageError("a ModelBackend is used inside its `async with` block")
        return self._stream.map(batches)

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop what waits; kill or give up what runs."""
        for attempt in attempts:
            self._workers.cancel(attempt)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        # Outcomes carry the time of day; on a virtual clock that of the start, moved on virtually.
        self._epoch = time.time() - self._loop.time()
        stream = ReportStream()
        await stream.start(self._workers.submit)
        self._stream = stream
        return self

    async def __aexit__(self, *_: object) -> None:
        stream = self._stream
        if stream is None:
            return
        try:
            await stream.stop_feeding()
        finally:
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
            stream.end()

    # -- the host of its workers

    @property
    def now(self) -> float:
        """The time on the event loop's clock."""
        return self._running_loop.time()

    def at(self, time: float, act: Callable[[Any], None], subject: Any) -> None:
        """Call ``act(subject)`` at that time."""

        def fire() -> None:
            self._timers.discard(timer)
            act(subject)

        timer = self._running_loop.call_at(time, fire)
        self._timers.add(timer)

    def take_worker(self, apart_from: Container[str]) -> str | None:
        """Return an idle worker, or a new one, as long as there are slots."""
        if len(self._workers.busy) >= self.slots:
            return None
        if self._idle:
            return self._idle.pop()
        self.ledger.workers += 1
        return f"model-{self.ledger.workers}"

    def release(self, worker: str, *, dead: bool) -> None:
        """Take a worker back, unless it is dead."""
        if not dead:
            self._idle.append(worker)

    def begins(self, attempt: ModelAttempt) -> tuple[float, bool]:
        """Decide how an attempt goes."""
        number = attempt.number
        visit = Visit(*attempt.key, number, attempt.job.attempt, attempt.worker, attempt.begin)
        decided = self._fate(visit) if callable(self._fate) else self._fate
        fate = decided if isinstance(decided, Fate) else Fate(seconds=decided)
        attempt.fate, attempt.status = fate, fate.status
        ledger = self.ledger
        ledger.visits.append(visit)
        ledger.running += 1
        ledger.peak = max(ledger.peak, ledger.running)
        return fate.seconds, fate.announced

    def ended(self, attempt: ModelAttempt, status: Status) -> None:
        """Report an outcome; a success computes its value first."""
        fate: Fate = attempt.fate
        error = fate.error if status in (Status.FAILED, Status.LOST) else None
        outcome = Outcome(
            attempt.job.attempt,
            status,
            attempt.worker,
            self._epoch + attempt.begin,
            self.now - attempt.begin,
            fate.peak_bytes,
            error=None if error is None else describe(error, keep=True),
        )
        if status is Status.SUCCEEDED:
            outcome = self._success(attempt, outcome)
        self.ledger.running -= 1
        self.report(outcome)

    def overstayed(self, attempt: ModelAttempt) -> None:
        """Count an attempt that took no effect."""
        self.ledger.late += 1

    def report(self, report: Report) -> None:
        """Report to the stream."""
        outcomes = 0
        if isinstance(report, Outcome):
            outcomes = 1
            self.ledger.ended[report.status] += 1
        if self._stream is not None:
            self._stream.report((report,), outcomes)

    def _success(self, attempt: ModelAttempt, outcome: Outcome) -> Outcome:
        program = attempt.batch.program
        if self._computes:
            with EVENT_LOOP.kept():
                run = attempt_runner(
                    program.kernel,
                    program.io,
                    program.shape,
                    worker=outcome.worker,
                    keep_exception=self.capabilities.locality is Locality.SAME_PROCESS,
                )
                done = run(attempt.job)
            outcome = done._replace(
                started_at=outcome.started_at,
                seconds=outcome.seconds,
                peak_bytes=outcome.peak_bytes,
            )
        if outcome.status is Status.SUCCEEDED:
            self.ledger.effects[attempt.key] += 1
        return outcome

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise UsageError("a ModelBackend is used inside its `async with` block")
        return self._loop
