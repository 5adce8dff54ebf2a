"""The event-loop side of the threads backend: the queue, the threads, and the abandoned ones.

A thread wakes the loop when a batch has ended, at most once until the loop has collected. While batches run, a timer
looks every 20 ms at what each thread runs: so the start of a long attempt is reported, with the outcomes of the short
ones before it, although the thread is deep in a kernel and can report nothing; and the threads of linear algebra are
limited, whatever loads it. There is no timer while all threads are idle.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING

from asyncexec.backends.contract import Batch, Report
from asyncexec.backends.report_stream import ReportStream
from asyncexec.backends.threads.blas import BlasShare
from asyncexec.backends.threads.worker_side import WorkerThread
from asyncexec.errors import BackendError
from asyncexec.worker.chain_batch import ChainBatch
from asyncexec.worker.event_loop import EVENT_LOOP, ended
from asyncexec.worker.local_batch import LocalBatch

if TYPE_CHECKING:
    from asyncexec.backends.adapters.loop_batches import LoopBatches

TICK_SECONDS = 0.02


class ThreadPool:
    """Threads that run batches; methods belong to the event loop's thread.

    Parameters
    ----------
    name : str
        The name of the executor, for messages.
    size : int
        The number of threads that run at once.
    max_abandoned : int
        The number of abandoned threads that are replaced; each one more takes a slot until it ends.
    patience : float
        Seconds that work waits while abandoned threads take every slot, before the pool counts as broken.
    stream : ReportStream
    slots : int, optional
        The slots for each of which a program with ``concurrency`` runs as many attempts at once as it says; by default
        one for each thread.
    """

    def __init__(
        self,
        *,
        name: str,
        size: int,
        max_abandoned: int,
        patience: float,
        stream: ReportStream,
        slots: int | None = None,
    ) -> None:
        self._loop_slots = slots or size
        self._abandoned_threads = 0
        self.alive_abandoned = 0
        self._name = name
        self._size = size
        self._max_abandoned = max_abandoned
        self._patience = patience
        self._report = stream.report
        self._fail = stream.fail
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[LocalBatch | None] = queue.SimpleQueue()
        self._batches: set[LocalBatch] = set()
        self._workers: set[WorkerThread] = set()
        self._started = 0
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._stuck_since: float | None = None
        # Threads append to these two, and the loop empties them; nothing else is shared, except in _wake.
        self._ended: deque[LocalBatch] = deque()
        self._exited: deque[WorkerThread] = deque()
        self._woken = False
        self._all_exited = asyncio.Event()
        self._stream = stream
        self._blas = BlasShare()
        self._context = copy_context()  # in which the loop collects, rather than in that of a task
        self._loop_batches: LoopBatches | None = None
        EVENT_LOOP.keep()
        while len(self._workers) < self._size:
            self._start_worker(None)

    @property
    def abandoned(self) -> int:
        """The number of running attempts that were given up."""
        on_loop = 0 if self._loop_batches is None else self._loop_batches.abandoned
        return self._abandoned_threads + on_loop

    @property
    def slots(self) -> int:
        """The number of threads that can have work.

        At least 1: with 0 no work would arrive, and a pool without free threads would never be found stuck.
        """
        if self.alive_abandoned <= self._max_abandoned:  # As a rule, without a further call.
            return self._size
        return max(1, self._allowed_threads)

    @property
    def _allowed_threads(self) -> int:
        return self._size - max(0, self.alive_abandoned - self._max_abandoned)

    def submit(self, batch: Batch) -> None:
        """Queue ``batch`` for the next free thread; one of which many attempts run at once goes to the event loop."""
        if batch.program.concurrency > 1:
            self._on_loop().submit(batch)
        else:
            self.submit_to_thread(batch)

    def submit_to_thread(self, batch: Batch) -> None:
        """Queue ``batch`` for the next free thread."""
        local = _local(batch)
        self._batches.add(local)
        self._waiting.put(local)
        self._schedule_tick()

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop or abandon ``attempts``."""
        wanted = frozenset(attempts)
        if self._loop_batches is not None:
            self._loop_batches.cancel(wanted)
        stuck: list[tuple[LocalBatch, LocalBatch]] = []
        for batch in list(self._batches):
            outcomes, rest = batch.cancel(wanted)
            self._report(outcomes, len(outcomes))
            if rest is not None:
                stuck.append((batch, rest))
        # Only after the loop: a new thread starts at once on waiting batches, and more of those may have to be
        # cancelled.
        for batch, rest in stuck:
            self._abandon(batch, rest)

    def leave_saves(self, attempts: Collection[int]) -> list[threading.Event]:
        """Abandon those of ``attempts`` that save; return events that are set as their saves end."""
        found = [(batch, batch.leave_save(attempts)) for batch in self._batches]
        left = [(batch, *parts) for batch, parts in found if parts is not None]
        for batch, _, rest in left:
            self._abandon(batch, rest)
        events = [saved for _, saved, _ in left]
        if self._loop_batches is not None:
            events += self._loop_batches.leave_saves(attempts)
        return events

    async def close(self) -> None:
        """Abandon running attempts, and wait for every thread that can end: idle ones, and those that save."""
        self._closing = True
        self.cancel([attempt for batch in self._batches for attempt in batch.attempts])
        for _ in self._workers:
            self._waiting.put(None)
        try:
            if self._loop_batches is not None:
                await self._loop_batches.close()
            while self._workers:
                self._all_exited.clear()
                await self._all_exited.wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._blas.of(0)
            await ended(EVENT_LOOP.let_go())

    def _on_loop(self) -> LoopBatches:
        """Return the batches on the event loop; most pools have none, and do without what they import."""
        if self._loop_batches is None:
            from asyncexec.backends.adapters.loop_batches import LoopBatches

            worker = f"{self._name}-event-loop"
            self._loop_batches = LoopBatches(
                self._stream, worker=worker, slots=self._loop_slots, kernels=self._size
            )
        return self._loop_batches

    def _start_worker(self, first: LocalBatch | None) -> None:
        worker = WorkerThread(
            f"thread-{self._started}",
            next_batch=self._waiting.get,
            ended=self._batch_ended,
            exited=self._worker_exited,
        )
        self._started += 1
        self._workers.add(worker)
        worker.start(first)

    def _abandon(self, batch: LocalBatch, rest: LocalBatch) -> None:
        """Abandon the thread that is stuck in ``batch``, and queue the attempts that it had not started."""
        self._batches.discard(batch)
        stuck = next(w for w in self._workers if w.batch is batch)
        self._workers.discard(stuck)
        self._abandoned_threads += 1
        self.alive_abandoned += 1
        if rest.attempts:
            self._batches.add(rest)
        if not self._closing and len(self._workers) < self._allowed_threads:
            # The batch keeps its slot: its attempts still run one after another.
            self._start_worker(rest if rest.attempts else None)
        elif rest.attempts:
            self._waiting.put(rest)

    # In the threads.

    def _batch_ended(self, batch: LocalBatch) -> None:
        self._ended.append(batch)
        self._wake()

    def _worker_exited(self, worker: WorkerThread) -> None:
        self._exited.append(worker)
        self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            # RuntimeError means that the loop is closed: an abandoned thread has ended after its run.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._collect, context=self._context)

    # On the loop.

    def _collect(self) -> None:
        self._woken = False  # first, so that whatever comes from now on wakes again
        reports: list[Report] = []
        while self._ended:
            batch = self._ended.popleft()
            self._batches.discard(batch)
            outcomes = batch.reports.outcomes()
            self._report(batch.reports.notes(), 0)
            reports += outcomes
        self._stream.give(reports, len(reports))
        while self._exited:
            self._worker_ended(self._exited.popleft())

    def _worker_ended(self, worker: WorkerThread) -> None:
        worker.thread.join()  # The thread is at its end, so this does not block.
        if worker in self._workers:
            self._workers.discard(worker)
        else:
            self.alive_abandoned -= 1
            if not self._closing and len(self._workers) < self._allowed_threads:
                self._start_worker(None)
        if worker.crash is not None:
            error = BackendError(f"executor {self._name!r}: {worker.name} broke: {worker.crash!r}")
            error.__cause__ = worker.crash
            self._fail(error)
        if not self._workers:
            self._all_exited.set()

    def _schedule_tick(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        running = [batch for w in self._workers if (batch := w.batch) is not None]
        for batch in running:
            outcomes = batch.reports.outcomes()
            self._report(batch.reports.notes(), 0)
            self._report([*outcomes, *batch.reports.starts()], len(outcomes))
        self._blas.of(len(running))
        if self._batches:
            self._check_stuck()
            self._schedule_tick()

    def _check_stuck(self) -> None:
        """Fail when abandoned threads have taken every slot for too long, rather than wait for ever."""
        now = self._loop.time()
        if self._workers or self._stuck_since is None:
            self._stuck_since = None if self._workers else now
        elif now - self._stuck_since > self._patience:
            self._fail(
                BackendError(
                    f"executor {self._name!r}: every thread is held by a task that was given up "
                    f"(cancelled or timed out) and does not end: {self.alive_abandoned} threads, "
                    f"of which {self._max_abandoned} were replaced. A thread cannot be killed: "
                    f"let the tasks end, allow more with max_abandoned, "
                    f"or use executor='processes', which kills"
                )
            )


def _local(batch: Batch) -> LocalBatch:
    if not batch.following:
        return LocalBatch(batch.program.runnable, batch.jobs)
    following = [(each.program.load, each.jobs) for each in batch.following]
    return ChainBatch(batch.program.runnable, batch.jobs, following)
