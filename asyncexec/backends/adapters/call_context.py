"""The context of one call of a system with an async API: attempts are reported and stopped through it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Generator, Iterable
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import anyio

from asyncexec.backends.contract import Batch, Note, Report, Started
from asyncexec.backends.report_stream import ReportStream
from asyncexec.errors import WorkerLostError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.control import StopResult
from asyncexec.worker.event_loop import GRACE_SECONDS

STOP_SECONDS = 3 * GRACE_SECONDS
"""The time from a request to stop an attempt among others to its outcome, after which it is stopped by force."""


class StoppableBatch(Protocol):
    """A running batch whose attempts can be stopped without ending the whole call."""

    def stop(self, attempts: frozenset[int], /) -> StopResult:
        """Stop attempts; return those that had not started, and the one that was left behind.

        The outcome of an attempt in neither list follows: it has ended, is saving, or its worker has yet to answer. An
        answer that comes later is passed to :meth:`CallContext.stopped`. If only ending the call helps, use
        :meth:`CallContext.interrupt`.
        """
        ...


@runtime_checkable
class StopsRunning(Protocol):
    """A running batch of which single attempts can be stopped while others run at the same time."""

    def stop_running(self, attempts: frozenset[int], /) -> StopResult:
        """Stop attempts; the outcome of each follows, but for those in the result."""
        ...


class CallContext:
    """The context of one call: the call reports through it, and is cancelled through it.

    A call that knows when attempts start reports it; otherwise none counts as started until the call returns.

    Attributes
    ----------
    pending : set of int
        The attempts without an outcome.
    running : Started or None
        The last start that was reported.
    interrupted : set of int
        The cancelled attempts for which the whole call was cancelled.
    """

    def __init__(
        self,
        batch: Batch,
        stream: ReportStream,
        *,
        tells_progress: bool = True,
        kills: bool = False,
    ) -> None:
        self._stream = stream
        self._tells_progress = tells_progress
        self._kills = kills
        self._concurrency = batch.program.concurrency
        self._overlaps = batch.program.overlaps
        self._starts: dict[int, float] = {}
        self.batch = batch
        self.pending = {job.attempt for job in batch.jobs}
        self.scope = anyio.CancelScope()
        self.began_at = 0.0
        self.running: Started | None = None
        self.running_since = 0.0
        self.interrupted: set[int] = set()
        self._stoppable: StoppableBatch | None = None

    @property
    def owed(self) -> set[int]:
        """The former name of ``pending``, for backends of other packages."""
        return self.pending

    def started(self, attempt: int, worker: str) -> bool:
        """Report that an attempt starts; return False if it was cancelled before, and must be left out."""
        if attempt not in self.pending:
            return False
        if attempt in self._starts:
            return True  # It is known by another way already.
        self.running, self.running_since = Started(attempt, worker), time.time()
        if self._concurrency > 1:
            self._starts[attempt] = self.running_since
        self._stream.report([self.running], 0)
        return True

    def ended(self, *outcomes: Outcome) -> None:
        """Report outcomes before the call returns."""
        # Each attempt has one outcome: what comes of one that was given up before is dropped.
        pending = {o.attempt: o for o in outcomes if o.attempt in self.pending}
        self.pending.difference_update(pending)
        self._stream.report(list(pending.values()), len(pending))

    def noted(self, *notes: Note) -> None:
        """Report notes."""
        self._stream.report(notes, 0)

    def take(self, reports: Iterable[Report]) -> None:
        """Report what a worker has reported, in its order."""
        for report in reports:
            if isinstance(report, Started):
                self.started(report.attempt, report.worker)
            elif isinstance(report, Note):
                self.noted(report)
            else:
                self.ended(report)

    def outcome(self, attempt: int, status: Status, error: Exception | None = None) -> Outcome:
        """Return the outcome of an attempt that its worker did not report."""
        return self._outcome(attempt, status, error, runs=self._may_run(attempt))

    def _outcome(
        self, attempt: int, status: Status, error: Exception | None = None, *, runs: bool
    ) -> Outcome:
        if runs:
            unknown = self.running is None or self._is_shared_loss(status, self._perhaps_running())
            worker = "" if unknown or self.running is None else self.running.worker
            return self.ran(attempt, status, error, worker=worker, since=self.began_at)
        return Outcome(attempt, status, error=None if error is None else describe(error))

    def ran(
        self,
        attempt: int,
        status: Status,
        error: Exception | None = None,
        *,
        worker: str,
        since: float,
    ) -> Outcome:
        """Return the outcome of an attempt that ran: by its reported start, else on ``worker`` from ``since``."""
        if attempt in self._starts:
            since = self._starts[attempt]
        elif self.running is not None and self.running.attempt == attempt:
            worker, since = self.running.worker, self.running_since
        info = None if error is None else describe(error)
        return Outcome(attempt, status, worker, since, max(time.time() - since, 0.0), error=info)

    def lost(self, error: Exception, ran: Collection[int], *, worker: str, since: float) -> None:
        """Report the pending attempts as lost; those in ``ran`` were running, and all others had not started."""
        info = describe(error)
        if self._concurrency > 1:
            ran = self._perhaps_running()
        if self._is_shared_loss(Status.LOST, ran):
            worker = ""
        for attempt in sorted(self.pending):
            if attempt in ran:
                self.ended(self.ran(attempt, Status.LOST, error, worker=worker, since=since))
            else:
                self.ended(Outcome(attempt, Status.LOST, error=info))

    def _is_shared_loss(self, status: Status, ran: Collection[int]) -> bool:
        """Return whether any of several attempts that loaded and saved at once may have ended their worker.

        None of them is charged with it, as no worker is named; each is tried again, by itself in the end.
        """
        return status is Status.LOST and self._overlaps and len(ran) > 1

    @contextmanager
    def stopped_by(self, batch: StoppableBatch) -> Generator[None]:
        """Let ``batch`` stop attempts inside this context, instead of cancelling the call."""
        self._stoppable = batch
        try:
            yield
        finally:
            self._stoppable = None

    def cancel(self, attempts: Collection[int]) -> None:
        """Stop attempts, and report those that are stopped at once."""
        hit = frozenset(self.pending.intersection(attempts))
        if not hit:
            return
        if self._concurrency > 1:
            self._stop_some(hit)
        elif self._stoppable is None:
            self.drop_or_interrupt(hit)
        else:
            self.stopped(self._stoppable.stop(hit))

    def _stop_some(self, attempts: frozenset[int]) -> None:
        """Stop some of the attempts that run at once, without ending the others; give them up where that cannot be."""
        if isinstance(self._stoppable, StopsRunning):
            stopped = self._stoppable.stop_running(attempts)
            self.ended(*[Outcome(attempt, Status.CANCELLED) for attempt in stopped.not_started])
            asyncio.get_running_loop().call_later(STOP_SECONDS, self._insist, attempts)
        elif self._overlaps and self.began_at:
            # One that was given up would save, and hold up the outcomes of the others where these come at the end.
            self.interrupt(attempts)
        else:
            self._give_up(attempts)

    def _insist(self, attempts: frozenset[int]) -> None:
        """End those of ``attempts`` that were to be stopped, and run on."""
        left = self.pending & attempts
        if left and self._kills:
            self.interrupt(left)
        elif left:
            self._give_up(left)

    def _give_up(self, attempts: Collection[int]) -> None:
        """Report attempts as cancelled; end the call when nobody waits for any of it."""
        running = self._perhaps_running()
        self.ended(*[self._outcome(a, Status.CANCELLED, runs=a in running) for a in attempts])
        if not self.pending:
            self.scope.cancel()

    def _perhaps_running(self) -> frozenset[int]:
        """Return those of the attempts that run at once which have started, or may have: they start in their order."""
        if not self.began_at:
            return frozenset()
        if not self._tells_progress:
            return frozenset(self.pending)
        waiting = [job.attempt for job in self.batch.jobs if job.attempt in self.pending]
        unknown = [attempt for attempt in waiting if attempt not in self._starts]
        known = len(waiting) - len(unknown)
        unknown = unknown[: max(0, self._concurrency - known)]
        return frozenset((self.pending & self._starts.keys()).union(unknown))

    def drop_or_interrupt(self, attempts: Collection[int]) -> None:
        """Drop attempts that have not started; interrupt the call if one of them runs, or may run."""
        if self._concurrency > 1:
            self._give_up(frozenset(attempts))
            return
        for attempt in attempts:
            if self._may_run(attempt):
                self.interrupt([attempt])
            else:
                self.ended(Outcome(attempt, Status.CANCELLED))

    def _may_run(self, attempt: int) -> bool:
        """Return whether an attempt without an outcome may have started."""
        if self._concurrency > 1:
            return attempt in self._perhaps_running()
        if not self.began_at:
            return False
        if self.running is None or not self._tells_progress:
            # No start is reported, or none behind the first of the batch: any attempt may have started by now.
            return True
        return self.running.attempt == attempt

    def stopped(self, result: StopResult, worker: str = "") -> None:
        """Report stopped attempts; ``worker`` ran the one that was left behind, in case its start was not reported."""
        self.ended(*[Outcome(attempt, Status.CANCELLED) for attempt in result.not_started])
        for attempt in result.left:
            if self.running is None or self.running.attempt != attempt:
                self.started(attempt, worker)
            self.ended(self.outcome(attempt, Status.CANCELLED))

    def lose_running(self) -> None:
        """Report those of the attempts that run at once as lost which ended with others that had to be stopped."""
        if self._concurrency == 1:
            return
        why = WorkerLostError("its worker was ended to stop another task that ran there")
        running = self._perhaps_running()
        # Those that may be repeated at will count as if they had not started.
        charged = not self._overlaps
        self.ended(*[self._outcome(a, Status.LOST, why, runs=charged) for a in running])

    def interrupt(self, attempts: Collection[int]) -> None:
        """Cancel the whole call in order to cancel these attempts; its others run elsewhere."""
        self.interrupted.update(attempts)
        self.scope.cancel()
