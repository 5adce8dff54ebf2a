"""The adapter for systems with an async API: the system makes one call, and the adapter does everything else.

Each batch is one call in its own cancel scope; at most ``slots`` calls run at a time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Collection,
    Generator,
    Iterable,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

import anyio
from anyio.abc import TaskGroup

from asyncexec.backends.contract import Batch, Capabilities, Note, Report, Started
from asyncexec.backends.report_stream import ReportStream
from asyncexec.errors import BackendError, UsageError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.control import StopResult


class CallSystem(Protocol):
    """A system that is called asynchronously."""

    @property
    def capabilities(self) -> Capabilities:
        """Its capabilities; ``kills`` if cancelling a call stops the work."""
        ...

    @property
    def slots(self) -> int:
        """The number of calls that may run at once, now."""
        ...

    async def open(self) -> None:
        """Start the system, or connect to it."""
        ...

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        """Run the attempts of ``batch`` one after another, and return the outcomes not yet reported to ``context``.

        A cancelled call stops its work, and lets the cancellation through. An exception means that the worker of the
        call is lost; ``BackendError`` means that the whole system is.
        """
        ...

    async def close(self) -> None:
        """End everything that the system started; no call runs any more."""
        ...


class StoppableBatch(Protocol):
    """A running batch whose attempts can be stopped without ending the whole call."""

    def stop(self, attempts: frozenset[int], /) -> StopResult:
        """Stop attempts; return those that had not started, and the one that was left behind.

        The outcome of an attempt in neither list follows: it has ended, is saving, or its worker has yet to answer. An
        answer that comes later is passed to :meth:`CallContext.stopped`. If only ending the call helps, use
        :meth:`CallContext.interrupt`.
        """
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

    def __init__(self, batch: Batch, stream: ReportStream, *, tells_progress: bool = True) -> None:
        self._stream = stream
        self._tells_progress = tells_progress
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
        self.running, self.running_since = Started(attempt, worker), time.time()
        self._stream.report([self.running], 0)
        return True

    def ended(self, *outcomes: Outcome) -> None:
        """Report outcomes before the call returns."""
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
        if self._may_run(attempt):
            worker = "" if self.running is None else self.running.worker
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
        if self.running is not None and self.running.attempt == attempt:
            worker, since = self.running.worker, self.running_since
        info = None if error is None else describe(error)
        return Outcome(attempt, status, worker, since, max(time.time() - since, 0.0), error=info)

    def lost(self, error: Exception, ran: Collection[int], *, worker: str, since: float) -> None:
        """Report the pending attempts as lost; those in ``ran`` were running, and all others had not started."""
        info = describe(error)
        for attempt in sorted(self.pending):
            if attempt in ran:
                self.ended(self.ran(attempt, Status.LOST, error, worker=worker, since=since))
            else:
                self.ended(Outcome(attempt, Status.LOST, error=info))

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
        if self._stoppable is None:
            self.drop_or_interrupt(hit)
        else:
            self.stopped(self._stoppable.stop(hit))

    def drop_or_interrupt(self, attempts: Collection[int]) -> None:
        """Drop attempts that have not started; interrupt the call if one of them runs, or may run."""
        for attempt in attempts:
            if self._may_run(attempt):
                self.interrupt([attempt])
            else:
                self.ended(Outcome(attempt, Status.CANCELLED))

    def _may_run(self, attempt: int) -> bool:
        """Return whether an attempt without an outcome may have started."""
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

    def interrupt(self, attempts: Collection[int]) -> None:
        """Cancel the whole call in order to cancel these attempts; its others run elsewhere."""
        self.interrupted.update(attempts)
        self.scope.cancel()


Progress = CallContext
"""The name by which backends of other packages may still import it."""


class CallsBackend:
    """A backend made of a :class:`CallSystem`."""

    def __init__(self, system: CallSystem) -> None:
        self._system = system
        self._stream: ReportStream | None = None
        self._waiting: deque[CallContext] = deque()
        self._running: set[CallContext] = set()
        # Made on entering, because a backend may be constructed without an event loop.
        self._tasks: TaskGroup

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the system."""
        return self._system.capabilities

    @property
    def slots(self) -> int:
        """The number of batches that can run at once, now."""
        return self._system.slots

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come."""
        return self._open_stream.map(batches)

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop attempts that have not started, and stop those that run."""
        wanted = frozenset(attempts)
        for call in (*self._waiting, *self._running):
            call.cancel(wanted)

    async def __aenter__(self) -> Self:
        stream = ReportStream.after(self._stream, executor=self.capabilities.name)
        await self._system.open()
        self._stream = stream
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        await self._stream.start(self._submit)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stream = self._open_stream
        try:
            await stream.stop_feeding()
            self.cancel({a for call in (*self._waiting, *self._running) for a in call.pending})
        finally:
            try:
                self._tasks.cancel_scope.cancel()
                await self._tasks.__aexit__(None, None, None)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._system.close()
                stream.end()

    @property
    def _open_stream(self) -> ReportStream:
        if self._stream is None:
            name = self.capabilities.name
            raise UsageError(f"executor {name!r} is used outside its `async with` block")
        return self._stream

    def _submit(self, batch: Batch) -> None:
        self._waiting.append(self._context(batch))
        self._dispatch()

    def _context(self, batch: Batch) -> CallContext:
        tells_progress = self.capabilities.tells_progress
        return CallContext(batch, self._open_stream, tells_progress=tells_progress)

    def _dispatch(self) -> None:
        while self._waiting and len(self._running) < self._system.slots:
            call = self._waiting.popleft()
            if call.pending:
                self._running.add(call)
                self._tasks.start_soon(self._run, call)

    async def _run(self, call: CallContext) -> None:
        jobs = [job for job in call.batch.jobs if job.attempt in call.pending]
        call.began_at = time.time()
        try:
            with call.scope:
                call.ended(*await self._system.call(replace(call.batch, jobs=jobs), call))
        except BackendError as error:
            self._end(call, error)
            self._open_stream.fail(error)
        except Exception as error:  # noqa: BLE001 - any error means that the worker is lost
            self._end(call, error)
        else:
            self._end(call, None)
        finally:
            # Attempts are still pending here when the whole backend ends: the task is cancelled from outside.
            call.ended(*[call.outcome(attempt, Status.CANCELLED) for attempt in call.pending])
            self._running.discard(call)
            self._dispatch()

    def _end(self, call: CallContext, error: Exception | None) -> None:
        """Settle the attempts that are pending when the call has ended."""
        call.ended(*[call.outcome(attempt, Status.CANCELLED) for attempt in call.interrupted])
        left = [job for job in call.batch.jobs if job.attempt in call.pending]
        if call.interrupted and error is None:
            # The other attempts of the batch had not started: run them in another call.
            again = self._context(replace(call.batch, jobs=left))
            call.pending.clear()
            self._waiting.appendleft(again)
        else:
            call.ended(*[call.outcome(job.attempt, Status.LOST, error) for job in left])
