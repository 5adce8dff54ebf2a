"""One batch on a worker in this process: passed as an object, and run in a thread next to the worker's.

The worker's own thread only waits for that thread. So it is free at once when the running task is abandoned, and a
running task cannot delay the closing of the worker.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import anyio

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.contract import AttemptSpec, Batch, Note
from asyncexec.backends.dask.connection import ClusterConnection, WorkerGoneError
from asyncexec.backends.dask.workers import DaskWorker
from asyncexec.events.outcome import Outcome
from asyncexec.worker.concurrent_batch import START_SECONDS, ConcurrentReports
from asyncexec.worker.control import StopResult
from asyncexec.worker.local_batch import LocalBatch


class SharedBatch:
    """A batch on its worker, from start to end."""

    def __init__(
        self, connection: ClusterConnection, batch: Batch, context: CallContext, worker: DaskWorker
    ) -> None:
        self._connection = connection
        self._batch = batch
        self._context = context
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._over = anyio.Event()
        self._error: Exception | None = None
        self._run = self._thread_run(batch.jobs)

    async def run(self, wanted: dict[str, float]) -> None:
        """Run the batch until all its attempts have ended."""
        pending = self._context.pending
        with self._context.stopped_by(self):
            try:
                while rest := [job for job in self._batch.jobs if job.attempt in pending]:
                    self._over = anyio.Event()
                    self._run = self._thread_run(rest)
                    await self._once(wanted)
            except WorkerGoneError as error:
                self._lost(error)
            except asyncio.CancelledError:
                with anyio.CancelScope(shield=True):
                    self._context.cancel(pending)
                    if pending:
                        await self._over.wait()  # It is saving.
                raise

    def stop(self, attempts: frozenset[int]) -> StopResult:
        """Stop attempts at once: they run in this process."""
        self._collect()
        return self._run.batch.control.stop(attempts)

    def stop_running(self, attempts: frozenset[int]) -> StopResult:
        """Stop attempts among others: their outcomes follow."""
        return self.stop(attempts)

    def _thread_run(self, jobs: Sequence[AttemptSpec]) -> _ThreadRun:
        program = self._batch.program
        batch = LocalBatch(program.runnable, jobs, concurrency=program.concurrency)
        return _ThreadRun(batch, self._worker.name, self._wake)

    async def _once(self, wanted: dict[str, float]) -> None:
        name = f"asyncexec-{uuid4().hex}"
        _RUNS[name] = self._run
        future = self._connection.submit(run_shared, name, worker=self._worker, wanted=wanted)
        watch = anyio.CancelScope()
        self._connection.tasks.start_soon(self._watch, future, watch)
        try:
            await self._over.wait()
        finally:
            watch.cancel()
            future.release()
            _RUNS.pop(name, None)
        self._collect()
        if self._error is not None:
            raise self._error

    async def _watch(self, future: Any, watch: anyio.CancelScope) -> None:
        """End the batch if its worker goes, instead of waiting for ever."""
        with watch:
            error = await self._connection.wait_for_end(future, self._worker)
            if error is not None:
                self._error = error
                self._over.set()

    def _wake(self) -> None:
        """Schedule the collection of reports on the event loop; called in the thread that runs the batch."""
        # RuntimeError means that the loop is closed: an abandoned task has ended after its run.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._collect)

    def _collect(self) -> None:
        run = self._run
        run.woken = False  # first, so that whatever comes from now on wakes again
        over = run.over
        reports = run.batch.reports
        outcomes = reports.outcomes()
        self._context.noted(*reports.notes())
        self._context.ended(*outcomes)
        for start in reports.starts():
            self._context.started(*start)
        if isinstance(reports, ConcurrentReports) and reports.has_starts and not over:
            self._loop.call_later(START_SECONDS, self._collect)
        if over:
            self._over.set()

    def _lost(self, error: WorkerGoneError) -> None:
        control = self._run.batch.control
        left = control.stop(self._context.pending).left
        self._context.lost(error, left, worker=self._worker.name, since=control.running_since)


class _ThreadRun:
    """A run of the attempts in a thread of its own."""

    def __init__(self, batch: LocalBatch, worker: str, wake: Callable[[], None]) -> None:
        self.batch = batch
        self.woken = False
        self.over = False
        self._worker = batch.reports.worker = worker
        batch.control.on_left = self._end
        self._wake = wake
        self._ended = threading.Event()

    def wait(self) -> None:
        """Run the attempts, from the worker's thread; return when they have ended or one was left behind."""
        name = f"{threading.current_thread().name}-task"
        threading.Thread(target=self._work, name=name, daemon=True).start()
        self._ended.wait()

    def started(self, attempt: int) -> None:
        self.batch.reports.started(attempt)
        self._report()

    def ended(self, outcome: Outcome) -> None:
        self.batch.reports.ended(outcome)
        self._report()

    def noted(self, note: Note) -> None:
        self.batch.reports.noted(note)
        self._report()

    def _work(self) -> None:
        if self.batch.run(self._worker, sink=self):
            self._end()

    def _report(self) -> None:
        # Wake the loop once until it has collected: it may be busy, and tasks short.
        if not self.woken:
            self.woken = True
            self._wake()

    def _end(self) -> None:
        self.over = True
        self._ended.set()
        self._wake()


# The runs by name: Dask pickles arguments even within one process.
_RUNS: dict[str, _ThreadRun] = {}


def run_shared(name: str) -> None:
    """Run a batch of this process; this function is the Dask task."""
    run = _RUNS.get(name)
    if run is not None:
        run.wait()
