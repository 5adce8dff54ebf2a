"""A backend of model workers: attempts take time on the event loop's clock, and no thread or process.

On a virtual clock, hours of a cluster's life run in milliseconds, under the real scheduler.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from asyncexec.backends.contract import Batch, Capabilities, Job, Program, Report, Started
from asyncexec.backends.exchange import Exchange
from asyncexec.backends.worker import describe, run_job
from asyncexec.errors import UsageError
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.testing.fates import Decide, Fate, Visit

# A start is told unless its outcome follows within this time, as the contract has it.
_TELL_SECONDS = 0.02

_CAPABILITIES = Capabilities(name="model", kills=True, isolated=True, shares_memory=True)


@dataclass(slots=True, kw_only=True)
class Ledger:
    """What a model backend has seen.

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


@dataclass(slots=True, kw_only=True)
class _Running:
    job: Job
    visit: Visit
    fate: Fate
    timer: asyncio.TimerHandle | None = None


class _Line:
    """A batch: what of it waits, what runs, and on which worker (``""`` while all of it waits)."""

    __slots__ = ("program", "running", "waiting", "worker")

    def __init__(self, batch: Batch) -> None:
        self.program: Program = batch.program
        self.waiting: deque[Job] = deque(batch.jobs)
        self.worker = ""
        self.running: _Running | None = None


class ModelBackend:
    """Model workers on the running loop's clock.

    Parameters
    ----------
    fate : number or callable
        How attempts go: so many seconds each, or decided one by one (see :mod:`asyncexec.testing.fates`).
    slots : int
        How many workers there are; may be set while it runs.
    capabilities : Capabilities
        ``kills`` and ``isolated`` decide what ``cancel`` does: a killed worker takes the rest of its batch with it
        (``LOST``, not started); an attempt that cannot be killed is given up, and its end takes no effect.
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
        self._kill_seconds = kill_seconds
        self._exchange: Exchange | None = None
        self._queue: deque[_Line] = deque()
        self._lines: dict[int, _Line] = {}
        self._idle: list[str] = []
        self._busy = 0
        self._starts: Counter[tuple[str, int]] = Counter()
        self._timers: set[asyncio.TimerHandle] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come."""
        if self._exchange is None:
            raise UsageError("a ModelBackend is used inside its `async with` block")
        return self._exchange.map(batches)

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop what waits; kill or give up what runs."""
        for attempt in attempts:
            line = self._lines.get(attempt)
            if line is None:
                continue
            running = line.running
            if running is None or running.job.attempt != attempt:
                line.waiting = deque(job for job in line.waiting if job.attempt != attempt)
                self._report_unstarted(attempt, Status.CANCELLED)
            elif self.capabilities.kills:
                self._kill(line, running)
            else:
                self._give_up(line, running)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        # Outcomes carry the time of day; on a virtual clock that of the start, moved on virtually.
        self._epoch = time.time() - self._loop.time()
        exchange = Exchange()
        await exchange.start(self._submit)
        self._exchange = exchange
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        try:
            await exchange.stop_feeding()
        finally:
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
            exchange.end()

    def _submit(self, batch: Batch) -> None:
        line = _Line(batch)
        for job in batch.jobs:
            self._lines[job.attempt] = line
        self._queue.append(line)
        self._dispatch()

    def _dispatch(self) -> None:
        while self._queue and self._busy < self.slots:
            line = self._queue.popleft()
            if line.waiting:
                self._busy += 1
                line.worker = self._idle.pop() if self._idle else self._hire()
                self._next(line)

    def _hire(self) -> str:
        self.ledger.workers += 1
        return f"model-{self.ledger.workers}"

    def _next(self, line: _Line) -> None:
        """Start the next attempt of a batch, or let its worker go."""
        if not line.waiting:
            self._idle.append(line.worker)
            self._free()
            return
        job = line.waiting.popleft()
        key = (line.program.stage, job.task)
        self._starts[key] += 1
        now = self._running_loop().time()
        visit = Visit(*key, self._starts[key], job.attempt, line.worker, now)
        line.running = running = _Running(job=job, visit=visit, fate=self._decide(visit))
        ledger, fate = self.ledger, running.fate
        ledger.visits.append(visit)
        ledger.running += 1
        ledger.peak = max(ledger.peak, ledger.running)
        if fate.announced and fate.seconds > _TELL_SECONDS:
            self._report(Started(job.attempt, line.worker))
        if math.isfinite(fate.seconds):
            running.timer = self._after(fate.seconds, lambda: self._end(line, running))

    def _decide(self, visit: Visit) -> Fate:
        fate = self._fate(visit) if callable(self._fate) else self._fate
        return fate if isinstance(fate, Fate) else Fate(seconds=fate)

    def _end(self, line: _Line, running: _Running) -> None:
        """Bring a running attempt to the end that its fate has for it."""
        fate = running.fate
        if fate.status is Status.SUCCEEDED:
            outcome = self._success(line.program, running)
        else:
            error = None if fate.error is None else describe(fate.error, keep=True)
            outcome = self._outcome(running, fate.status, error=error)
        self._leave(line, running)
        self._report(outcome)
        if fate.status is Status.LOST:
            self._lose_rest(line)
            self._free()
        else:
            self._next(line)

    def _success(self, program: Program, running: _Running) -> Outcome:
        outcome = self._outcome(running, Status.SUCCEEDED)
        if self._computes:
            done = run_job(
                running.job,
                program.kernel,
                program.io,
                program.shape,
                worker=outcome.worker,
                keep_exception=self.capabilities.shares_memory,
            )
            outcome = done._replace(
                started_at=outcome.started_at,
                seconds=outcome.seconds,
                peak_bytes=outcome.peak_bytes,
            )
        if outcome.status is Status.SUCCEEDED:
            self.ledger.effects[program.stage, running.job.task] += 1
        return outcome

    def _kill(self, line: _Line, running: _Running) -> None:
        """End a running attempt together with its worker."""
        outcome = self._outcome(running, Status.CANCELLED)
        self._leave(line, running)
        self._after(self._kill_seconds, lambda: self._killed(line, outcome))

    def _killed(self, line: _Line, outcome: Outcome) -> None:
        self._report(outcome)
        self._lose_rest(line)
        self._free()

    def _give_up(self, line: _Line, running: _Running) -> None:
        """Let a running attempt go on as a ghost, and give its slot to a fresh worker."""
        outcome = self._outcome(running, Status.CANCELLED)
        self._leave(line, running)
        if math.isfinite(running.fate.seconds):
            end = running.visit.at + running.fate.seconds
            self._after(max(0.0, end - self._running_loop().time()), self._haunt)
        self._report(outcome)
        line.worker = self._hire()
        self._next(line)

    def _haunt(self) -> None:
        self.ledger.late += 1

    def _leave(self, line: _Line, running: _Running) -> None:
        """Note that nothing runs on the line any more."""
        if running.timer is not None:
            running.timer.cancel()
            self._timers.discard(running.timer)
        self._lines.pop(running.job.attempt, None)
        line.running = None
        self.ledger.running -= 1

    def _lose_rest(self, line: _Line) -> None:
        waiting, line.waiting = line.waiting, deque()
        for job in waiting:
            self._report_unstarted(job.attempt, Status.LOST)

    def _free(self) -> None:
        self._busy -= 1
        self._dispatch()

    def _after(self, seconds: float, act: Callable[[], None]) -> asyncio.TimerHandle:
        def fire() -> None:
            self._timers.discard(timer)
            act()

        timer = self._running_loop().call_later(seconds, fire)
        self._timers.add(timer)
        return timer

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise UsageError("a ModelBackend is used inside its `async with` block")
        return self._loop

    def _outcome(
        self, running: _Running, status: Status, *, error: ErrorInfo | None = None
    ) -> Outcome:
        visit = running.visit
        return Outcome(
            visit.attempt,
            status,
            visit.worker,
            self._epoch + visit.at,
            self._running_loop().time() - visit.at,
            running.fate.peak_bytes,
            error=error,
        )

    def _report_unstarted(self, attempt: int, status: Status) -> None:
        self._lines.pop(attempt, None)
        self._report(Outcome(attempt, status))

    def _report(self, report: Report) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        outcomes = 0
        if isinstance(report, Outcome):
            outcomes = 1
            self.ledger.ended[report.status] += 1
            self._lines.pop(report.attempt, None)
        exchange.report((report,), outcomes)
