"""The adapter for systems with an async API of their own: they say how to call, and the adapter does the rest.

Each batch is one call in a cancel scope of its own, at most ``slots`` of them at a time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

import anyio
from anyio.abc import TaskGroup

from asyncexec.backends.contract import Batch, Capabilities, Report, Started
from asyncexec.backends.exchange import Exchange
from asyncexec.errors import BackendError, UsageError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.control import StopResult


class CallSystem(Protocol):
    """What is particular to a system that is called asynchronously."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; ``kills`` if a cancelled call stops the work."""
        ...

    @property
    def slots(self) -> int:
        """How many calls may run at once, now."""
        ...

    async def open(self) -> None:
        """Start it, or connect to it."""
        ...

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        """Run the jobs of ``batch`` one after another, and return the outcomes not yet given to ``context``.

        A call is cancelled to stop its work: it then stops it, and lets the cancellation through. What it raises
        means that its worker is lost, except for ``BackendError``, which means that the system is.
        """
        ...

    async def close(self) -> None:
        """End everything it started; no call is running any more."""
        ...


class StoppableBatch(Protocol):
    """A batch that runs, and of which attempts can be stopped without an end of the whole call."""

    def stop(self, attempts: frozenset[int], /) -> StopResult:
        """Stop attempts; return which of them had not started, and which was left behind.

        Of one in neither list the outcome follows: it has ended, is saving, or has yet to be asked about. An answer
        that comes later goes to :meth:`CallContext.stopped`; and where only an end of the call helps, there is
        :meth:`CallContext.interrupt`.
        """
        ...


class CallContext:
    """A call that runs: its reports go through this, and it is cancelled through this.

    A call that can, reports when each attempt starts; otherwise nothing in it counts as started until it returns.

    Attributes
    ----------
    owed : set of int
        The attempts without an outcome.
    running : Started or None
        The start that was reported last.
    interrupted : set of int
        The attempts because of which the whole call is cancelled.
    """

    def __init__(self, batch: Batch, exchange: Exchange) -> None:
        self._exchange = exchange
        self.batch = batch
        self.owed = {job.attempt for job in batch.jobs}
        self.scope = anyio.CancelScope()
        self.began_at = 0.0
        self.running: Started | None = None
        self.running_since = 0.0
        self.interrupted: set[int] = set()
        self._stoppable: StoppableBatch | None = None

    def started(self, attempt: int, worker: str) -> bool:
        """Report that an attempt starts; False if it was cancelled before, and must be left out."""
        if attempt not in self.owed:
            return False
        self.running, self.running_since = Started(attempt, worker), time.time()
        self._exchange.report([self.running], 0)
        return True

    def ended(self, *outcomes: Outcome) -> None:
        """Report outcomes as they come, before the call returns."""
        owed = {o.attempt: o for o in outcomes if o.attempt in self.owed}
        self.owed.difference_update(owed)
        self._exchange.report(list(owed.values()), len(owed))

    def outcome(self, attempt: int, status: Status, error: Exception | None = None) -> Outcome:
        """Return how an attempt ended of which its worker says nothing."""
        told = None if error is None else describe(error)
        if self.running is None and self.began_at:
            # Nothing was told, so each may have been running.
            since, worker = self.began_at, ""
        elif self.running is not None and self.running.attempt == attempt:
            since, worker = self.running_since, self.running.worker
        else:
            return Outcome(attempt, status, error=told)
        return Outcome(attempt, status, worker, since, max(time.time() - since, 0.0), error=told)

    @contextmanager
    def stopped_by(self, batch: StoppableBatch) -> Generator[None]:
        """Have attempts stopped by ``batch`` while this is entered, and not by an end of the call."""
        self._stoppable = batch
        try:
            yield
        finally:
            self._stoppable = None

    def cancel(self, attempts: Collection[int]) -> None:
        """Stop attempts, and report those of them that are stopped."""
        hit = frozenset(self.owed.intersection(attempts))
        if not hit:
            return
        if self._stoppable is None:
            self.cancel_unaided(hit)
        else:
            self.stopped(self._stoppable.stop(hit))

    def cancel_unaided(self, attempts: Collection[int]) -> None:
        """Drop attempts that have not started; interrupt the call if one of them runs, or may."""
        for attempt in attempts:
            if self.began_at and (self.running is None or self.running.attempt == attempt):
                self.interrupt([attempt])
            else:
                self.ended(Outcome(attempt, Status.CANCELLED))

    def stopped(self, result: StopResult, worker: str = "") -> None:
        """Report what a batch has stopped; ``worker`` ran the attempt that was left, if no start was reported."""
        self.ended(*[Outcome(attempt, Status.CANCELLED) for attempt in result.not_started])
        for attempt in result.left:
            if self.running is None or self.running.attempt != attempt:
                self.started(attempt, worker)
            self.ended(self.outcome(attempt, Status.CANCELLED))

    def interrupt(self, attempts: Collection[int]) -> None:
        """Cancel the call because of these attempts, which are cancelled; the others run elsewhere."""
        self.interrupted.update(attempts)
        self.scope.cancel()


Progress = CallContext
"""The name by which backends of other packages may still import it."""


class CallsBackend:
    """A backend out of a :class:`CallSystem`."""

    def __init__(self, system: CallSystem) -> None:
        self._system = system
        self._exchange: Exchange | None = None
        self._waiting: deque[CallContext] = deque()
        self._running: set[CallContext] = set()
        # Made on entering: where a backend is made, there need not be an event loop.
        self._tasks: TaskGroup

    @property
    def capabilities(self) -> Capabilities:
        """What the system can do."""
        return self._system.capabilities

    @property
    def slots(self) -> int:
        """How many batches can run at once, now."""
        return self._system.slots

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come."""
        return self._open_exchange.map(batches)

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop those that have not started, and stop the calls of those that run."""
        wanted = frozenset(attempts)
        for call in (*self._waiting, *self._running):
            call.cancel(wanted)

    async def __aenter__(self) -> Self:
        exchange = Exchange.after(self._exchange, executor=self.capabilities.name)
        await self._system.open()
        self._exchange = exchange
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        await self._exchange.start(self._submit)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        exchange = self._open_exchange
        try:
            await exchange.stop_feeding()
            self.cancel({a for call in (*self._waiting, *self._running) for a in call.owed})
        finally:
            try:
                self._tasks.cancel_scope.cancel()
                await self._tasks.__aexit__(None, None, None)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._system.close()
                exchange.end()

    @property
    def _open_exchange(self) -> Exchange:
        if self._exchange is None:
            name = self.capabilities.name
            raise UsageError(f"executor {name!r} is used outside its `async with` block")
        return self._exchange

    def _submit(self, batch: Batch) -> None:
        self._waiting.append(CallContext(batch, self._open_exchange))
        self._dispatch()

    def _dispatch(self) -> None:
        while self._waiting and len(self._running) < self._system.slots:
            call = self._waiting.popleft()
            if call.owed:
                self._running.add(call)
                self._tasks.start_soon(self._run, call)

    async def _run(self, call: CallContext) -> None:
        jobs = [job for job in call.batch.jobs if job.attempt in call.owed]
        call.began_at = time.time()
        try:
            with call.scope:
                call.ended(*await self._system.call(replace(call.batch, jobs=jobs), call))
        except BackendError as error:
            self._end(call, error)
            self._open_exchange.fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker is lost with what it had
            self._end(call, error)
        else:
            self._end(call, None)
        finally:
            # When the whole backend ends, the task is cancelled from outside.
            call.ended(*[call.outcome(attempt, Status.CANCELLED) for attempt in call.owed])
            self._running.discard(call)
            self._dispatch()

    def _end(self, call: CallContext, error: Exception | None) -> None:
        """Settle what the call has left open."""
        call.ended(*[call.outcome(attempt, Status.CANCELLED) for attempt in call.interrupted])
        rest = [job for job in call.batch.jobs if job.attempt in call.owed]
        if call.interrupted and error is None:
            # The others of the batch had not started: they go on elsewhere.
            again = CallContext(replace(call.batch, jobs=rest), self._open_exchange)
            call.owed.clear()
            self._waiting.appendleft(again)
        else:
            call.ended(*[call.outcome(job.attempt, Status.LOST, error) for job in rest])
