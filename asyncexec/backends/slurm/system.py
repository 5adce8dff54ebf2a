"""The event-loop side of the ``slurm`` executor: batches that wait for a job, and those that run in one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Batch, Capabilities
from asyncexec.backends.slurm.client import JobLostError, JobUpdate, SlurmClient, SlurmJob
from asyncexec.backends.slurm.idle_jobs import IdleJobs
from asyncexec.backends.slurm.options import SlurmOptions
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome
from asyncexec.worker.codec import encode_outcomes
from asyncexec.worker.control import NOTHING_STOPPED, StopResult
from asyncexec.worker.remote_batch import RemoteBatch

# Batches that arrive within this time are submitted as one job array.
GATHER_SECONDS = 0.02
POLL_SECONDS = 0.1


@dataclass(eq=False, slots=True, kw_only=True)
class PendingBatch:
    """A batch, from the queue to its end.

    ``to_cancel`` holds attempts to cancel as soon as it is known whether they have started; ``wake`` starts a round
    that finds out.
    """

    call: RemoteBatch
    context: CallContext
    wake: Callable[[], None]
    job: SlurmJob | None = None
    to_cancel: set[int] = field(default_factory=set)
    over: bool = False
    error: Exception | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self, attempts: frozenset[int]) -> StopResult:
        """Drop attempts if the batch has no job yet; otherwise find out in the next round which have started."""
        if self.over:
            return self.split(attempts)  # The job is being killed.
        if self.job is not None:
            self.to_cancel |= attempts
            self.wake()
            return NOTHING_STOPPED
        rest = [job for job in self.call.jobs if job.attempt not in attempts]
        self.call = self.call.with_jobs(rest, self.call.blob)
        if not rest:
            self.context.interrupt([])
        return StopResult(sorted(attempts), [])

    def split(self, attempts: Collection[int]) -> StopResult:
        """Return the attempts that have not started, and the one that has; starts are written before they happen."""
        running = None if self.context.running is None else self.context.running.attempt
        return StopResult(
            sorted(a for a in attempts if a != running), [a for a in attempts if a == running]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRound:
    """The work of the client's thread in one round."""

    assignments: Mapping[SlurmJob, RemoteBatch]
    watched: Sequence[SlurmJob]
    drops: Mapping[SlurmJob, frozenset[int]]
    to_end: Sequence[SlurmJob]


class SlurmSystem:
    """Calls that run in SLURM jobs, gathered into job arrays."""

    def __init__(self, options: SlurmOptions, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._size = options.max_workers
        self._client = SlurmClient(options)
        self._new_idle = partial(
            IdleJobs,
            self._client.new_job,
            linger_seconds=options.linger_seconds,
            max_age_seconds=options.time_limit / 2,
        )
        self._idle = self._new_idle()
        self._caller = self._new_caller()
        self._thread: SystemThread | None = None
        self._waiting: list[PendingBatch] = []
        self._running: dict[SlurmJob, PendingBatch] = {}
        self._to_kill: list[SlurmJob] = []
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def slots(self) -> int:
        """The number of jobs that can have work; avoided idle jobs take up room without it."""
        return self._size - self._idle.resting

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers no more batches, by name."""
        self._idle.avoid(workers)

    async def open(self) -> None:
        # The jobs of an earlier time are gone.
        self._idle, self._caller = self._new_idle(), self._new_caller()
        client = self._client
        self._thread, _ = await SystemThread.opened(
            "slurm", client.open, undo=lambda _: client.close()
        )

    def _new_caller(self) -> RemoteCaller:
        return RemoteCaller(memory_bytes=self.capabilities.worker_bytes)

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        return await self._caller.call(batch, context, partial(self._send, context))

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.close(self._client.close)

    async def _send(self, context: CallContext, call: RemoteBatch) -> bytes:
        """Run a call in a job, and report outcomes while it runs; none is left for the end."""
        pending = PendingBatch(call=call, context=context, wake=partial(self._wake, 0.0))
        self._waiting.append(pending)
        self._wake(GATHER_SECONDS)
        with context.stopped_by(pending):
            try:
                await pending.done.wait()
            finally:
                await self._leave(pending)
        if pending.error is not None:
            raise pending.error
        return encode_outcomes([])

    async def _leave(self, pending: PendingBatch) -> None:
        finished, pending.over = pending.over, True
        if pending in self._waiting:
            self._waiting.remove(pending)
        elif not finished and pending.job is not None:
            self._running.pop(pending.job, None)
            self._idle.remove(pending.job)
            self._to_kill.append(pending.job)
            with anyio.CancelScope(shield=True):
                await self._open_thread.run(self._kill)
        pending.context.stopped(pending.split(pending.to_cancel))

    def _kill(self) -> None:
        """Kill the gathered jobs, in the client's thread, after any submission that was on its way."""
        jobs = [self._to_kill.pop() for _ in range(len(self._to_kill))]
        if jobs:
            self._client.kill(jobs)
            self._client.forget(jobs)

    # Cancelling.

    def _decide(self, pending: PendingBatch, dropped: Collection[int]) -> None:
        """Cancel the dropped attempts, now that it is known which of them, if any, has started."""
        context = pending.context
        pending.to_cancel.difference_update(dropped)
        not_started, running = pending.split(context.pending.intersection(dropped))
        context.stopped(StopResult(not_started, []))
        if running or not context.pending:
            context.interrupt(running)  # This also ends a job with nothing left to run.

    # Rounds: assign, poll, report.

    def _wake(self, seconds: float) -> None:
        """Start the next round in this many seconds at the latest."""
        if self._busy or self._thread is None:
            return
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + seconds:
                return
            self._timer.cancel()
        self._timer = loop.call_later(seconds, self._begin_round)

    def _begin_round(self) -> None:
        self._timer, self._busy = None, True
        to_end = self._idle.take_expired()
        assignments: dict[SlurmJob, RemoteBatch] = {}
        while self._waiting and self._has_room:
            pending = self._waiting.pop(0)
            pending.job = self._idle.take(pending.context.batch.apart_from)
            assignments[pending.job] = pending.call
            self._running[pending.job] = pending
        work = PollRound(
            assignments=assignments,
            watched=list(self._running),
            drops={job: frozenset(t.to_cancel) for job, t in self._running.items() if t.to_cancel},
            to_end=to_end,
        )
        self._open_thread.post(partial(self._round, work, asyncio.get_running_loop()))

    def _round(self, work: PollRound, loop: asyncio.AbstractEventLoop) -> None:
        """Do the work of a round, in the client's thread."""
        try:
            self._client.end_jobs(work.to_end)
            self._client.assign(work.assignments)
            updates = self._client.poll(work.watched, work.drops)
        except Exception as error:  # noqa: BLE001 - whatever it is, no job can be watched
            failure = error if isinstance(error, BackendError) else BackendError(f"slurm: {error}")
            updates = [JobUpdate(job=job, error=failure) for job in work.watched]
        loop.call_soon_threadsafe(self._end_round, updates)

    def _end_round(self, updates: Sequence[JobUpdate]) -> None:
        self._busy = False
        for item in updates:
            pending = self._running.get(item.job)
            if pending is not None:
                self._apply(pending, item)
        pause = self._idle.next_expiry
        urgent = any(t.to_cancel for t in self._running.values())
        if urgent or (self._waiting and self._has_room):
            self._wake(GATHER_SECONDS)
        elif self._running:
            self._wake(POLL_SECONDS)
        elif pause is not None:
            self._wake(pause)

    def _apply(self, pending: PendingBatch, update: JobUpdate) -> None:
        if update.reports:
            self._idle.mark_running(update.job, update.reports[0].worker)
        pending.context.take(update.reports)
        if update.error is not None:
            if isinstance(update.error, JobLostError):
                self._count_start(pending, update.job)
            self._idle.remove(update.job)
            self._end(pending, update)
        elif update.ended:
            self._idle.add(update.job)
            self._end(pending, update)
        else:
            self._decide(pending, update.dropped)

    def _end(self, pending: PendingBatch, update: JobUpdate) -> None:
        pending.over, pending.error = True, update.error
        self._running.pop(update.job, None)
        pending.done.set()

    @staticmethod
    def _count_start(pending: PendingBatch, job: SlurmJob) -> None:
        """Report a start for a job that ended without any, so that its loss counts and it is not tried for ever."""
        context = pending.context
        if context.running is None and context.pending:
            first = next(j for j in pending.call.jobs if j.attempt in context.pending)
            context.started(first.attempt, f"slurm-{job.id}")

    @property
    def _has_room(self) -> bool:
        """True if another batch may start; one that was accepted before a job was avoided may have to wait."""
        return len(self._running) < self.slots

    @property
    def _open_thread(self) -> SystemThread:
        if self._thread is None:
            raise BackendError("executor 'slurm' is closed")
        return self._thread
