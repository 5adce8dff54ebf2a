"""The loop side of the threads backend: hands batches to threads, collects from them, replaces those given up.

A thread wakes the loop when a batch has ended, at most once until the loop has answered. While batches are in flight, a
timer looks every 20 ms at what each thread is doing: so the start of a long attempt is reported, with the outcomes of
the short ones before it, although the thread is deep in a kernel and can report nothing. Idle, there is no timer.
"""

from __future__ import annotations

import asyncio
import queue
from collections import deque
from collections.abc import Collection
from contextlib import suppress

from asyncexec.backends.contract import Batch, Report
from asyncexec.backends.report_stream import ReportStream
from asyncexec.backends.threads.worker_side import Worker
from asyncexec.errors import BackendError
from asyncexec.worker.local_batch import LocalBatch

TICK_SECONDS = 0.02


class ThreadPool:
    """Threads that run batches; its methods belong to the event loop's thread.

    Parameters
    ----------
    name : str
        Of the executor, for messages.
    size : int
        How many threads run at once.
    max_abandoned : int
        How many given-up threads are replaced; each one more takes a slot with it until it ends.
    patience : float
        Seconds that work waits while every slot is taken that way, before the pool says it is broken.
    stream : ReportStream
    """

    def __init__(
        self,
        *,
        name: str,
        size: int,
        max_abandoned: int,
        patience: float,
        stream: ReportStream,
    ) -> None:
        self.abandoned = 0
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
        self._workers: set[Worker] = set()
        self._started = 0
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None
        self._stuck_since: float | None = None
        # What threads leave for the loop; only these and the two lines of _wake are touched by both.
        self._ended: deque[LocalBatch] = deque()
        self._exited: deque[Worker] = deque()
        self._woken = False
        self._all_exited = asyncio.Event()
        while len(self._workers) < self._size:
            self._start_worker(None)

    @property
    def slots(self) -> int:
        """How many threads are to be had; at least 1, so that work comes and finds out."""
        return max(1, self._places)

    @property
    def _places(self) -> int:
        return self._size - max(0, self.alive_abandoned - self._max_abandoned)

    def submit(self, batch: Batch) -> None:
        """Queue ``batch`` for the next free thread."""
        local = LocalBatch(batch.program.runnable, batch.jobs, fresh_context=True)
        self._batches.add(local)
        self._waiting.put(local)
        self._keep_time()

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop or give up ``attempts``."""
        wanted = frozenset(attempts)
        stuck: list[tuple[LocalBatch, LocalBatch]] = []
        for batch in list(self._batches):
            outcomes, rest = batch.cancel(wanted)
            self._report(outcomes, len(outcomes))
            if rest is not None:
                stuck.append((batch, rest))
        # Only now: a fresh thread starts at once on waiting batches, of which more may have to be cancelled.
        for batch, rest in stuck:
            self._give_up(batch, rest)

    async def close(self) -> None:
        """Give up what runs, and wait for every thread that can end: idle ones, and those in a save."""
        self._closing = True
        self.cancel([attempt for batch in self._batches for attempt in batch.attempts])
        for _ in self._workers:
            self._waiting.put(None)
        while self._workers:
            self._all_exited.clear()
            await self._all_exited.wait()
        if self._timer is not None:
            self._timer.cancel()

    def _start_worker(self, first: LocalBatch | None) -> None:
        worker = Worker(
            f"thread-{self._started}",
            take=self._waiting.get,
            ended=self._batch_ended,
            exited=self._worker_exited,
        )
        self._started += 1
        self._workers.add(worker)
        worker.start(first)

    def _give_up(self, batch: LocalBatch, rest: LocalBatch) -> None:
        """Let go of the thread that is stuck in ``batch``, and pass on what it had left to do."""
        self._batches.discard(batch)
        stuck = next(w for w in self._workers if w.batch is batch)
        self._workers.discard(stuck)
        self.abandoned += 1
        self.alive_abandoned += 1
        if rest.attempts:
            self._batches.add(rest)
        if not self._closing and len(self._workers) < self._places:
            # The batch keeps its slot: its jobs still run one after another.
            self._start_worker(rest if rest.attempts else None)
        elif rest.attempts:
            self._waiting.put(rest)

    # In the threads.

    def _batch_ended(self, batch: LocalBatch) -> None:
        self._ended.append(batch)
        self._wake()

    def _worker_exited(self, worker: Worker) -> None:
        self._exited.append(worker)
        self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            # A closed loop: nobody is left to hear of an abandoned thread's end.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._answer)

    # On the loop.

    def _answer(self) -> None:
        self._woken = False  # first, so that whatever comes from now on wakes again
        reports: list[Report] = []
        while self._ended:
            batch = self._ended.popleft()
            self._batches.discard(batch)
            reports += batch.reports.outcomes()
        self._report(reports, len(reports))
        while self._exited:
            self._part(self._exited.popleft())

    def _part(self, worker: Worker) -> None:
        worker.thread.join()  # It has nothing left to do.
        if worker in self._workers:
            self._workers.discard(worker)
        else:
            self.alive_abandoned -= 1
            if not self._closing and len(self._workers) < self._places:
                self._start_worker(None)
        if worker.crash is not None:
            error = BackendError(f"executor {self._name!r}: {worker.name} broke: {worker.crash!r}")
            error.__cause__ = worker.crash
            self._fail(error)
        if not self._workers:
            self._all_exited.set()

    def _keep_time(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for batch in [w.batch for w in self._workers]:
            if batch is not None:
                outcomes, start = batch.reports.collect()
                self._report(outcomes if start is None else [*outcomes, start], len(outcomes))
        if self._batches:
            self._check_for_life()
            self._keep_time()

    def _check_for_life(self) -> None:
        """Say so when nothing can run, rather than wait for ever."""
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
