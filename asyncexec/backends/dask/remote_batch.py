"""One batch on a worker in another process: sent, followed, stopped."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any

import anyio

from asyncexec.backends.adapters.calls import CallContext
from asyncexec.backends.contract import Batch
from asyncexec.backends.dask.connection import Links, Mailbox, WorkerGoneError
from asyncexec.backends.dask.worker_side import (
    BatchPayload,
    follow_call,
    run_call,
    stop_attempts,
)
from asyncexec.backends.dask.workers import Worker
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.codec import decode_reports
from asyncexec.worker.control import NOTHING_STOPPED, StopResult
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch

ORDER_SECONDS = 0.5
LEAVE_SECONDS = 5.0
LOOK_SECONDS = 0.01


class DaskBatch:
    """A batch, from the choice of its worker to its end."""

    def __init__(self, links: Links, batch: Batch, context: CallContext, worker: Worker) -> None:
        self._links = links
        self._batch = batch
        self._context = context
        self._worker = worker
        self._cell = links.starts.take()
        self._sent_at = time.time()
        self._wanted: dict[str, float] = {}
        self._payload: BatchPayload | None = None
        self._mailbox: Mailbox = asyncio.Queue()
        self._orders: set[anyio.CancelScope] = set()
        self._obeyed = anyio.Event()

    async def run(self, wanted: dict[str, float]) -> None:
        """Run it to its end, whichever that is."""
        self._wanted = wanted
        try:
            with self._context.stopped_by(self):
                await self._follow()
        except WorkerGoneError as error:
            self._lost(error)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True):
                await self._stop()
            raise
        finally:
            for scope in self._orders:
                scope.cancel()
            self._links.starts.give_back(self._cell)

    # Going well.

    async def _follow(self) -> None:
        """Have the batch run; then the rest, where it ended early because the task that ran was given up."""
        pending = self._context.pending
        while rest := [job for job in self._batch.jobs if job.attempt in pending]:
            batch = replace(self._batch, jobs=rest)
            await self._links.caller.stream(batch, self._context, self._stream)
            while self._orders:
                await self._obeyed.wait()
            if all(job.attempt in pending for job in rest):
                raise BackendError(
                    f"executor {self._links.name!r}: Dask worker {self._worker.address} ran a batch and told of none "
                    f"of its tasks"
                )

    async def _stream(self, call: RemoteBatch) -> AsyncIterator[bytes]:
        """Send the call, and yield what comes of it."""
        links = self._links
        self._payload = payload = BatchPayload(
            topic=links.topic,
            number=next(links.numbers),
            starts=links.starts.path,
            cell=self._cell,
            worker=self._worker.name,
            measured=links.measures(self._worker),
        )
        self._mailbox = links.mail[payload.number] = asyncio.Queue()
        packed = pickle.dumps(call, protocol=5)
        future = links.submit(
            run_call, packed, payload, worker=self._worker, wanted=self._wanted, size=len(packed)
        )
        watch = anyio.CancelScope()
        links.tasks.start_soon(self._watch, future, payload, watch)
        try:
            while (news := await self._mailbox.get()) is not None:
                if isinstance(news, Exception):
                    raise news
                yield news
        finally:
            watch.cancel()
            del links.mail[payload.number]
            future.release()

    async def _watch(self, future: Any, payload: BatchPayload, watch: anyio.CancelScope) -> None:
        """Put what comes as the results of Dask tasks into the mailbox, and the end of the call."""
        mailbox, links = self._mailbox, self._links
        with watch:
            try:
                while frames := await self._result(future):
                    for frame in frames:
                        mailbox.put_nowait(frame)
                    future = links.submit(
                        follow_call, payload, worker=self._worker, wanted=self._wanted
                    )
            except (WorkerGoneError, BackendError) as error:
                mailbox.put_nowait(error)
            else:
                mailbox.put_nowait(None)

    async def _result(self, future: Any) -> list[bytes]:
        try:
            error = await self._links.end_of(future, self._worker)
            if error is None:
                frames: list[bytes] = await future
                return frames
        except Exception as failed:  # noqa: BLE001 - its worker went before it was fetched
            error = WorkerGoneError(f"Dask worker {self._worker.address} left: {failed}")
        finally:
            future.release()
        raise error

    # Being cancelled.

    def stop(self, attempts: frozenset[int]) -> StopResult:
        """Stop attempts, by an order to the worker, or by killing it if it runs one of them."""
        running = self._running_now()
        if self._links.kill is not None and running in attempts:
            self._context.interrupt(attempts)
        elif self._payload is None:
            return StopResult(sorted(attempts), [])
        else:
            scope = anyio.CancelScope()
            self._orders.add(scope)
            self._links.tasks.start_soon(self._order, self._payload, attempts, scope)
        return NOTHING_STOPPED

    async def _order(
        self, payload: BatchPayload, attempts: frozenset[int], scope: anyio.CancelScope
    ) -> None:
        with scope:
            kills = self._links.kill is not None
            # A worker whose kernel holds the GIL does not answer.
            with anyio.move_on_after(ORDER_SECONDS if kills else None) as asking:
                await self._say_stop(payload, attempts)
            # What is left has ended, as will be told, or has begun meanwhile.
            while kills and (rest := attempts & self._context.pending):
                if asking.cancelled_caught or self._running_now() in rest:
                    self._context.interrupt(rest)
                    break
                await anyio.sleep(LOOK_SECONDS)
        self._orders.discard(scope)
        self._obeyed.set()
        self._obeyed = anyio.Event()

    async def _say_stop(self, payload: BatchPayload, attempts: Collection[int]) -> None:
        """Have the worker stop attempts, and report those that it has stopped."""
        try:
            said = await self._links.client.run(
                stop_attempts,
                payload.name,
                sorted(attempts),
                leave=self._links.kill is None,
                workers=[self._worker.address],
                on_error="ignore",
            )
        except Exception:  # noqa: BLE001 - worker or scheduler have gone, of which the call itself hears
            return
        not_started, left = said.get(self._worker.address, NOTHING_STOPPED)
        self._context.stopped(StopResult(not_started, left), self._worker.name)

    async def _stop(self) -> None:
        """End what runs, as the whole call is cancelled."""
        kill = self._links.kill
        if kill is not None:
            await kill(self._worker)
        elif self._payload is not None:
            with anyio.move_on_after(LEAVE_SECONDS):
                await self._say_stop(self._payload, self._context.pending)
        self._read_last_news()
        started = self._started()
        for attempt in self._context.interrupted & self._context.pending:
            ran = attempt in started
            self._context.ended(
                self._ran(attempt, Status.CANCELLED) if ran else Outcome(attempt, Status.CANCELLED)
            )

    # Being lost.

    def _lost(self, error: WorkerGoneError) -> None:
        """Charge the attempt that was running, and no other."""
        self._read_last_news()
        pending = [job.attempt for job in self._batch.jobs if job.attempt in self._context.pending]
        charged = self._running_now()
        if charged is None and not self._links.same_machine:
            charged = pending[0] if pending else None
        for attempt in pending:
            self._context.ended(
                self._ran(attempt, Status.LOST, error)
                if attempt == charged
                else Outcome(attempt, Status.LOST, error=describe(error))
            )

    def _read_last_news(self) -> None:
        while not self._mailbox.empty():
            news = self._mailbox.get_nowait()
            if isinstance(news, bytes) and news != NEEDS_PROGRAM:
                reports = decode_reports(news)
                self._context.ended(*[r for r in reports if isinstance(r, Outcome)])

    def _running_now(self) -> int | None:
        """Return the attempt that runs, as far as is known here."""
        noted = self._links.starts.read(self._cell)
        if noted:
            return noted if noted in self._context.pending else None
        told = self._context.running
        return told.attempt if told is not None and told.attempt in self._context.pending else None

    def _started(self) -> set[int]:
        """Return the attempts that have started, or may have."""
        order = [job.attempt for job in self._batch.jobs]
        noted = self._links.starts.read(self._cell)
        if noted in order:
            return set(order[: order.index(noted) + 1])
        return set() if self._links.same_machine else set(order)

    def _ran(self, attempt: int, status: Status, error: Exception | None = None) -> Outcome:
        told = self._context.running
        since = (
            self._context.running_since
            if told is not None and told.attempt == attempt
            else self._sent_at
        )
        seconds = max(time.time() - since, 0.0)
        why = None if error is None else describe(error)
        return Outcome(attempt, status, self._worker.name, since, seconds, error=why)
