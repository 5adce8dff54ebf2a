"""Model workers: attempts take time on a host's clock, and are stopped, abandoned or lost as on real workers.

Simulations run them on a heap of events (:mod:`asyncexec.simulation.virtual_backend`), tests on an event loop
(:mod:`asyncexec.testing.model_backend`). Each is the host of its workers.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, Protocol

from asyncexec.backends.contract import AttemptSpec, Batch, Report, StageProgram, Started
from asyncexec.events.outcome import Outcome, Status

REPORT_SECONDS = 0.02
"""A start is reported unless its outcome follows within this time, as the contract of backends allows."""


class ModelBatch:
    """A batch: its jobs that wait, and the attempt that runs."""

    __slots__ = ("apart_from", "program", "running", "waiting")

    def __init__(self, batch: Batch) -> None:
        self.program: StageProgram = batch.program
        self.apart_from = batch.apart_from
        self.waiting: deque[AttemptSpec] = deque(batch.jobs)
        self.running: ModelAttempt | None = None


@dataclass(slots=True, eq=False)
class ModelAttempt:
    """An attempt on a worker; ``begin`` and ``end`` are times on the host's clock."""

    job: AttemptSpec
    batch: ModelBatch
    worker: str
    begin: float
    end: float = math.inf  # Until it begins; for ever if it hangs.
    number: int = 0  # Number of starts of its task, this one included.
    status: Status = Status.SUCCEEDED  # Its status if nothing stops it.
    begun: bool = False
    wanted: bool = True  # Until it is cancelled.
    fate: Any = None  # For the host.

    @property
    def key(self) -> tuple[str, int]:
        """The stage, and the task's index in it."""
        return self.batch.program.stage, self.job.task


class Host(Protocol):
    """The clock of model workers, their number, and the receiver of their reports."""

    @property
    def now(self) -> float:
        """The clock, in seconds."""
        ...

    def at(self, time: float, act: Callable[[Any], None], subject: Any) -> None:
        """Call ``act(subject)`` at that time."""

    def take_worker(self, apart_from: Container[str]) -> str | None:
        """Return an idle worker, or None; one in ``apart_from`` only if no other is idle."""

    def release(self, worker: str, *, dead: bool) -> None:
        """Take a worker back; ``dead`` if it died, was killed, or still runs an abandoned attempt."""

    def begins(self, attempt: ModelAttempt) -> tuple[float, bool]:
        """Set the attempt's ``status``, and return its duration and whether its start may be reported."""
        ...

    def ended(self, attempt: ModelAttempt, status: Status) -> None:
        """Report the outcome of an attempt on a worker."""

    def overstayed(self, attempt: ModelAttempt) -> None:
        """Count an abandoned attempt that has ended."""

    def report(self, report: Report) -> None:
        """Report a start, or the outcome of an attempt that was never given to a worker."""


class ModelWorkers:
    """Workers of a host, each of which runs the jobs of one batch after another.

    Parameters
    ----------
    host : Host
    kills : bool
        Whether a running attempt can be stopped, together with its worker; if not, it is abandoned.
    kill_seconds : float
        Duration of a kill.
    holds : bool
        Whether an abandoned attempt occupies its worker to its end; if not, another takes the worker's place.
    starts_per_second : float
        Upper bound of the rate of starts.

    Attributes
    ----------
    busy : dict of str to ModelBatch
        The batch on each worker that is not idle.
    held : int
        Number of workers occupied by abandoned attempts.
    starts : dict of (stage, task) to int
        Number of starts of each task; the host may remove tasks that are done.
    """

    def __init__(
        self,
        host: Host,
        *,
        kills: bool,
        kill_seconds: float = 0.0,
        holds: bool = False,
        starts_per_second: float = math.inf,
    ) -> None:
        self.busy: dict[str, ModelBatch] = {}
        self.held = 0
        self.starts: dict[tuple[str, int], int] = {}
        self._host = host
        self._kills = kills
        self._kill_seconds = kill_seconds
        self._holds = holds
        self._start_seconds = 1.0 / starts_per_second
        self._next_start = -math.inf
        self._queue: deque[ModelBatch] = deque()
        self._batches: dict[int, ModelBatch] = {}

    def submit(self, batch: Batch) -> None:
        """Queue a batch; it starts as soon as a worker is idle."""
        model = ModelBatch(batch)
        for job in batch.jobs:
            self._batches[job.attempt] = model
        self._queue.append(model)
        self.serve()

    def serve(self) -> None:
        """Give waiting batches to idle workers; called when there may be more of them."""
        queue = self._queue
        while queue:
            if not queue[0].waiting:
                queue.popleft()  # All of its jobs were cancelled.
                continue
            worker = self._host.take_worker(queue[0].apart_from)
            if worker is None:
                return
            batch = self.busy[worker] = queue.popleft()
            self._next(batch, worker)

    def cancel(self, attempt_id: int) -> bool:
        """Drop an attempt that waits, stop or abandon one that runs; return False if it has ended or is unknown."""
        batch = self._batches.pop(attempt_id, None)
        if batch is None:
            return False
        running = batch.running
        if running is None or running.job.attempt != attempt_id:
            batch.waiting = deque(job for job in batch.waiting if job.attempt != attempt_id)
            self._host.report(Outcome(attempt_id, Status.CANCELLED))
        else:
            running.wanted = False
            if self._kills:
                self._host.at(self._host.now + self._kill_seconds, self._killed, running)
            else:
                self._abandon(running)
        return True

    def lose(self, worker: str) -> ModelAttempt | None:
        """Remove a worker; return the attempt that it ran, whose end is not reported."""
        batch = self.busy.get(worker)
        if batch is None or batch.running is None:
            return None
        running = batch.running
        self._batches.pop(running.job.attempt, None)
        self._leave(batch, worker)
        self._lose_rest(batch)
        if not (running.wanted or self._kills):
            self.held -= 1
        return running

    def _next(self, batch: ModelBatch, worker: str) -> None:
        """Start the next attempt of a batch, or release its worker."""
        if not batch.waiting:
            self._leave(batch, worker)
            self._host.release(worker, dead=False)
            self.serve()
            return
        now = self._host.now
        begin = max(now, self._next_start)
        self._next_start = begin + self._start_seconds
        attempt = batch.running = ModelAttempt(batch.waiting.popleft(), batch, worker, begin)
        if begin > now:
            self._host.at(begin, self._begin, attempt)
        else:
            self._begin(attempt)

    def _begin(self, attempt: ModelAttempt) -> None:
        batch = attempt.batch
        if batch.running is not attempt:
            return  # Its worker was lost before it began, or it was stopped.
        if not attempt.wanted:
            if not self._kills:
                self.held -= 1
                self._next(batch, attempt.worker)
            return
        attempt.begun = True
        attempt.number = self.starts[attempt.key] = self.starts.get(attempt.key, 0) + 1
        seconds, announced = self._host.begins(attempt)
        if announced and seconds > REPORT_SECONDS:
            self._host.report(Started(attempt.job.attempt, attempt.worker))
        if seconds < math.inf:
            attempt.end = self._host.now + seconds
            self._host.at(attempt.end, self._end, attempt)

    def _end(self, attempt: ModelAttempt) -> None:
        batch = attempt.batch
        if batch.running is not attempt:
            if not (self._holds or self._kills):
                self._host.overstayed(attempt)
        elif attempt.wanted:
            self._batches.pop(attempt.job.attempt, None)
            self._host.ended(attempt, attempt.status)
            if attempt.status is Status.LOST:
                self._die(batch, attempt.worker)
            else:
                self._next(batch, attempt.worker)
        elif not self._kills:  # Otherwise its outcome comes when the kill is done.
            self.held -= 1
            self._host.overstayed(attempt)
            self._next(batch, attempt.worker)

    def _killed(self, attempt: ModelAttempt) -> None:
        if attempt.batch.running is attempt:
            self._host.ended(attempt, Status.CANCELLED)
            self._die(attempt.batch, attempt.worker)
        else:
            self._host.report(Outcome(attempt.job.attempt, Status.CANCELLED))

    def _abandon(self, attempt: ModelAttempt) -> None:
        self._host.ended(attempt, Status.CANCELLED)
        if self._holds:
            self.held += 1
            return
        batch = attempt.batch
        self._leave(batch, attempt.worker)
        self._host.release(attempt.worker, dead=True)
        self._queue.appendleft(batch)
        self.serve()

    def _die(self, batch: ModelBatch, worker: str) -> None:
        """Remove the worker of a batch, and with it the batch's remaining jobs."""
        self._leave(batch, worker)
        self._lose_rest(batch)
        self._host.release(worker, dead=True)
        self.serve()

    def _leave(self, batch: ModelBatch, worker: str) -> None:
        batch.running = None
        del self.busy[worker]

    def _lose_rest(self, batch: ModelBatch) -> None:
        rest, batch.waiting = batch.waiting, deque()
        for job in rest:
            self._batches.pop(job.attempt, None)
            self._host.report(Outcome(job.attempt, Status.LOST))
