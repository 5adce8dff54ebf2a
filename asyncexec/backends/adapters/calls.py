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
    Sequence,
)
from dataclasses import replace
from typing import Protocol, Self

import anyio
from anyio.abc import TaskGroup

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.contract import Batch, Capabilities, Report
from asyncexec.backends.report_stream import ReportStream
from asyncexec.errors import BackendError, UsageError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.event_loop import EVENT_LOOP, ended


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
        EVENT_LOOP.keep()  # for tasks in this process
        self._stream = stream
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        await self._stream.start(self._submit)
        return self

    async def __aexit__(self, *_: object) -> None:
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
                    try:
                        await self._system.close()
                    finally:
                        await ended(EVENT_LOOP.let_go())
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
        can = self.capabilities
        return CallContext(
            batch, self._open_stream, tells_progress=can.tells_progress, kills=can.kills
        )

    def _dispatch(self) -> None:
        while self._waiting and len(self._running) < self._system.slots:
            call = self._waiting.popleft()
            if call.pending:
                self._running.add(call)
                self._tasks.start_soon(self._run, call)

    async def _run(self, call: CallContext) -> None:
        # Without those that were cancelled while the call waited for a slot.
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
            call.lose_running()
            left = [job for job in left if job.attempt in call.pending]
            # The other attempts of the batch had not started: run them in another call.
            again = self._context(replace(call.batch, jobs=left))
            call.pending.clear()
            self._waiting.appendleft(again)
        else:
            call.ended(*[call.outcome(job.attempt, Status.LOST, error) for job in left])
