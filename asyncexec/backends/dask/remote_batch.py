"""One batch on a worker in another process: sent, followed, stopped."""

from __future__ import annotations

import asyncio
import pickle
import time
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any

import anyio

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.contract import Batch, Started
from asyncexec.backends.dask.connection import (
    ClusterConnection,
    Mailbox,
    WorkerGoneError,
    loss_of,
)
from asyncexec.backends.dask.worker_side import (
    BatchPayload,
    follow_batch,
    run_batch,
    stop_attempts,
)
from asyncexec.backends.dask.workers import DaskWorker
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.codec import decode_reports
from asyncexec.worker.control import NOTHING_STOPPED, StopResult
from asyncexec.worker.remote_batch import NEEDS_PROGRAM, RemoteBatch

STOP_ANSWER_SECONDS = 0.5
STOP_SECONDS = 5.0
CHECK_SECONDS = 0.01


class DaskBatch:
    """A batch on its worker, from start to end."""

    def __init__(
        self, connection: ClusterConnection, batch: Batch, context: CallContext, worker: DaskWorker
    ) -> None:
        self._connection = connection
        self._batch = batch
        self._context = context
        self._worker = worker
        self._cell = connection.starts.acquire()
        self._sent_at = time.time()
        self._wanted: dict[str, float] = {}
        self._payload: BatchPayload | None = None
        self._mailbox: Mailbox = asyncio.Queue()
        self._stop_requests: set[anyio.CancelScope] = set()
        self._stop_answered = anyio.Event()

    async def run(self, wanted: dict[str, float]) -> None:
        """Run the batch until all its attempts have ended."""
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
            for scope in self._stop_requests:
                scope.cancel()
            self._connection.starts.release(self._cell)

    # Running.

    async def _follow(self) -> None:
        """Run the batch; again for the attempts that had not started when a running one was abandoned."""
        pending = self._context.pending
        while rest := [job for job in self._batch.jobs if job.attempt in pending]:
            batch = replace(self._batch, jobs=rest)
            await self._connection.caller.stream(batch, self._context, self._stream)
            # An answer may drop attempts that would otherwise be sent again.
            while self._stop_requests:
                await self._stop_answered.wait()
            if all(job.attempt in pending for job in rest):
                raise BackendError(
                    f"executor {self._connection.name!r}: Dask worker {self._worker.address} ran a batch and told "
                    f"of none of its tasks"
                )

    async def _stream(self, call: RemoteBatch) -> AsyncIterator[bytes]:
        """Send the call, and yield the frames of its reports."""
        connection = self._connection
        self._payload = payload = BatchPayload(
            topic=connection.topic,
            number=next(connection.call_numbers),
            starts=connection.starts.path,
            cell=self._cell,
            worker=self._worker.name,
            measured=connection.measures(self._worker),
        )
        self._mailbox = connection.mailboxes[payload.number] = asyncio.Queue()
        packed = pickle.dumps(call, protocol=5)
        future = connection.submit(
            run_batch, packed, payload, worker=self._worker, wanted=self._wanted, size=len(packed)
        )
        watch = anyio.CancelScope()
        connection.tasks.start_soon(self._watch, future, payload, watch)
        try:
            while (item := await self._mailbox.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            watch.cancel()
            del connection.mailboxes[payload.number]
            future.release()

    async def _watch(self, future: Any, payload: BatchPayload, watch: anyio.CancelScope) -> None:
        """Put the frames that come as results of Dask tasks into the mailbox, and then the end of the call."""
        mailbox, connection = self._mailbox, self._connection
        with watch:
            try:
                while frames := await self._result(future):
                    for frame in frames:
                        mailbox.put_nowait(frame)
                    future = connection.submit(
                        follow_batch, payload, worker=self._worker, wanted=self._wanted
                    )
            except (WorkerGoneError, BackendError) as error:
                mailbox.put_nowait(error)
            else:
                mailbox.put_nowait(None)

    async def _result(self, future: Any) -> list[bytes]:
        try:
            error = await self._connection.wait_for_end(future, self._worker)
            if error is None:
                frames: list[bytes] = await future
                return frames
        except Exception as failed:  # noqa: BLE001 - its worker went before it was fetched
            error = await loss_of(self._worker, f"left: {failed}")
        finally:
            future.release()
        raise error

    # Stopping.

    def stop(self, attempts: frozenset[int]) -> StopResult:
        """Stop attempts by a request to the worker, or by killing it if it runs one of them."""
        running = self._running_now()
        if self._connection.kill is not None and running in attempts:
            self._context.interrupt(attempts)
        elif self._payload is None:
            return StopResult(sorted(attempts), [])
        else:
            scope = anyio.CancelScope()
            self._stop_requests.add(scope)
            self._connection.tasks.start_soon(self._request_stop, self._payload, attempts, scope)
        return NOTHING_STOPPED

    def stop_running(self, attempts: frozenset[int]) -> StopResult:
        """Stop attempts among others by a request to the worker, which goes on with the others."""
        if self._payload is None:
            return StopResult(sorted(attempts), [])
        scope = anyio.CancelScope()
        self._stop_requests.add(scope)
        self._connection.tasks.start_soon(
            self._request_stop_running, self._payload, attempts, scope
        )
        return NOTHING_STOPPED

    async def _request_stop_running(
        self, payload: BatchPayload, attempts: frozenset[int], scope: anyio.CancelScope
    ) -> None:
        with scope, anyio.move_on_after(STOP_ANSWER_SECONDS):
            await self._stop_on_worker(payload, attempts)
        self._stop_requests.discard(scope)
        self._stop_answered.set()
        self._stop_answered = anyio.Event()

    async def _request_stop(
        self, payload: BatchPayload, attempts: frozenset[int], scope: anyio.CancelScope
    ) -> None:
        with scope:
            kills = self._connection.kill is not None
            # A worker whose kernel holds the GIL does not answer.
            with anyio.move_on_after(STOP_ANSWER_SECONDS if kills else None) as asking:
                await self._stop_on_worker(payload, attempts)
            # An attempt that is still pending has ended, and its outcome is on its way, or it has started meanwhile.
            while kills and (rest := attempts & self._context.pending):
                if asking.cancelled_caught or self._running_now() in rest:
                    self._context.interrupt(rest)
                    break
                await anyio.sleep(CHECK_SECONDS)
        self._stop_requests.discard(scope)
        self._stop_answered.set()
        self._stop_answered = anyio.Event()

    async def _stop_on_worker(self, payload: BatchPayload, attempts: Collection[int]) -> None:
        """Stop attempts on the worker, and report those that it has stopped."""
        try:
            said = await self._connection.client.run(
                stop_attempts,
                payload.name,
                sorted(attempts),
                leave=self._connection.kill is None,
                workers=[self._worker.address],
                on_error="ignore",
            )
        except Exception:  # noqa: BLE001 - worker or scheduler have gone, of which the call itself hears
            return
        not_started, left = said.get(self._worker.address, NOTHING_STOPPED)
        self._context.stopped(StopResult(not_started, left), self._worker.name)

    async def _stop(self) -> None:
        """Stop the running attempt, because the whole call is cancelled."""
        kill = self._connection.kill
        if kill is not None:
            await kill(self._worker)
        elif self._payload is not None:
            with anyio.move_on_after(STOP_SECONDS):
                await self._stop_on_worker(self._payload, self._context.pending)
        self._drain_mailbox()
        started = self._started()
        for attempt in self._context.interrupted & self._context.pending:
            self._context.ended(
                self._context.ran(
                    attempt, Status.CANCELLED, worker=self._worker.name, since=self._sent_at
                )
                if attempt in started
                else Outcome(attempt, Status.CANCELLED)
            )

    # Losing the worker.

    def _lost(self, error: WorkerGoneError) -> None:
        """Report the pending attempts as lost: the one that was running as started, all others as not started."""
        self._drain_mailbox()
        pending = [job.attempt for job in self._batch.jobs if job.attempt in self._context.pending]
        charged = self._running_now()
        # Starts elsewhere are not seen at once. Attempts run in their order, so the first one may have started.
        if charged is None and not self._connection.same_machine:
            charged = pending[0] if pending else None
        ran = () if charged is None else (charged,)
        self._context.lost(error, ran, worker=self._worker.name, since=self._sent_at)

    def _drain_mailbox(self) -> None:
        while not self._mailbox.empty():
            item = self._mailbox.get_nowait()
            if isinstance(item, bytes) and item != NEEDS_PROGRAM:
                reports = decode_reports(item)
                self._context.take(r for r in reports if not isinstance(r, Started))

    def _running_now(self) -> int | None:
        """Return the attempt that runs, as far as this process knows."""
        noted = self._connection.starts.read(self._cell)
        if noted:
            return noted if noted in self._context.pending else None
        told = self._context.running
        return told.attempt if told is not None and told.attempt in self._context.pending else None

    def _started(self) -> set[int]:
        """Return the attempts that have started, or may have started."""
        order = [job.attempt for job in self._batch.jobs]
        noted = self._connection.starts.read(self._cell)
        if noted in order:
            return set(order[: order.index(noted) + 1])
        return set() if self._connection.same_machine else set(order)
