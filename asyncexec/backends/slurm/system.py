"""The loop's side of the ``slurm`` executor: what waits for a job, and what runs in one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio

from asyncexec.backends.adapters.calls import CallContext
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Batch, Capabilities, Started
from asyncexec.backends.slurm.client import Desk, Job, JobLostError, News
from asyncexec.backends.slurm.idle_jobs import Staff
from asyncexec.backends.slurm.options import SlurmOptions
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome
from asyncexec.worker.codec import encode_outcomes
from asyncexec.worker.control import NOTHING_STOPPED, StopResult
from asyncexec.worker.remote_batch import RemoteBatch

# What comes within this time goes as one array.
GATHER_SECONDS = 0.02
LOOK_SECONDS = 0.1


@dataclass(eq=False, slots=True, kw_only=True)
class PendingBatch:
    """A batch on its way through a job.

    ``to_cancel`` are attempts to be cancelled, of which it is not known yet whether they have started; ``wake`` has the
    driver look for that.
    """

    call: RemoteBatch
    context: CallContext
    wake: Callable[[], None]
    job: Job | None = None
    to_cancel: set[int] = field(default_factory=set)
    over: bool = False
    error: Exception | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self, attempts: frozenset[int]) -> StopResult:
        """Leave attempts out if the job has not begun; otherwise find out in the next round which have started."""
        if self.over:
            return self.split(attempts)  # The job is being killed.
        if self.job is not None:
            self.to_cancel |= attempts
            self.wake()
            return NOTHING_STOPPED
        rest = [job for job in self.call.jobs if job.attempt not in attempts]
        self.call = RemoteBatch(self.call.key, self.call.blob, rest)
        if not rest:
            self.context.interrupt([])
        return StopResult(sorted(attempts), [])

    def split(self, attempts: Collection[int]) -> StopResult:
        """Return which of ``attempts`` have not started, and which has: starts are written before they happen."""
        running = None if self.context.running is None else self.context.running.attempt
        return StopResult(
            sorted(a for a in attempts if a != running), [a for a in attempts if a == running]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What the thread does in one go."""

    orders: Mapping[Job, RemoteBatch]
    watched: Sequence[Job]
    drops: Mapping[Job, frozenset[int]]
    dismissed: Sequence[Job]


class SlurmSystem:
    """Calls in jobs, which are gathered into arrays."""

    def __init__(self, options: SlurmOptions, capabilities: Capabilities) -> None:
        self.capabilities = capabilities
        self._size = options.max_workers
        self._desk = Desk(options)
        self._new_staff = partial(
            Staff,
            self._desk.make_job,
            linger_seconds=options.linger_seconds,
            young_seconds=options.time_limit / 2,
        )
        self._staff = self._new_staff()
        self._caller = RemoteCaller()
        self._thread: SystemThread | None = None
        self._waiting: list[PendingBatch] = []
        self._running: dict[Job, PendingBatch] = {}
        self._to_kill: list[Job] = []
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def slots(self) -> int:
        """How many jobs can have something to do; those that are kept for nothing take up room."""
        return self._size - self._staff.resting

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers nothing more, by name."""
        self._staff.avoid(workers)

    async def open(self) -> None:
        # The jobs of an earlier time are gone.
        self._staff, self._caller = self._new_staff(), RemoteCaller()
        thread = SystemThread("slurm")
        try:
            await thread.run(self._desk.open)
        except BaseException:
            thread.end()
            raise
        self._thread = thread

    async def call(self, batch: Batch, context: CallContext, /) -> Sequence[Outcome]:
        return await self._caller.call(batch, context, partial(self._send, context))

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        thread, self._thread = self._thread, None
        if thread is not None:
            try:
                await thread.run(self._desk.close)
            finally:
                thread.end()

    async def _send(self, context: CallContext, call: RemoteBatch) -> bytes:
        """Have a call run in a job, and tell its outcomes as they come: nothing is left for the end."""
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
            self._staff.gone(pending.job)
            self._to_kill.append(pending.job)
            with anyio.CancelScope(shield=True):
                await self._open_thread.run(self._kill)
        pending.context.stopped(pending.split(pending.to_cancel))

    def _kill(self) -> None:
        """Kill what has gathered by now; in the thread, after any submission that was on its way."""
        jobs = [self._to_kill.pop() for _ in range(len(self._to_kill))]
        if jobs:
            self._desk.kill(jobs)
            self._desk.forget(jobs)

    # Cancelling.

    def _decide(self, pending: PendingBatch, dropped: Collection[int]) -> None:
        """Cancel what was dropped, now that it is known which of it, if any, has started."""
        context = pending.context
        pending.to_cancel.difference_update(dropped)
        not_started, running = pending.split(context.pending.intersection(dropped))
        context.stopped(StopResult(not_started, []))
        if running or not context.pending:
            context.interrupt(running)  # Also a job with nothing left to do.

    # Rounds: give, look, report.

    def _wake(self, seconds: float) -> None:
        """Have the next round no later than in so many seconds."""
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
        dismissed = self._staff.to_dismiss()
        orders: dict[Job, RemoteBatch] = {}
        while self._waiting and self._has_room:
            pending = self._waiting.pop(0)
            pending.job = self._staff.take(pending.context.batch.apart_from)
            orders[pending.job] = pending.call
            self._running[pending.job] = pending
        work = Round(
            orders=orders,
            watched=list(self._running),
            drops={job: frozenset(t.to_cancel) for job, t in self._running.items() if t.to_cancel},
            dismissed=dismissed,
        )
        self._open_thread.post(partial(self._round, work, asyncio.get_running_loop()))

    def _round(self, work: Round, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread."""
        try:
            self._desk.dismiss(work.dismissed)
            self._desk.give(work.orders)
            news = self._desk.look(work.watched, work.drops)
        except Exception as error:  # noqa: BLE001 - whatever it is, no job can be watched
            failure = error if isinstance(error, BackendError) else BackendError(f"slurm: {error}")
            news = [News(job=job, error=failure) for job in work.watched]
        loop.call_soon_threadsafe(self._end_round, news)

    def _end_round(self, news: Sequence[News]) -> None:
        self._busy = False
        for item in news:
            pending = self._running.get(item.job)
            if pending is not None:
                self._hear(pending, item)
        pause = self._staff.next_dismissal
        hurried = any(t.to_cancel for t in self._running.values())
        if hurried or (self._waiting and self._has_room):
            self._wake(GATHER_SECONDS)
        elif self._running:
            self._wake(LOOK_SECONDS)
        elif pause is not None:
            self._wake(pause)

    def _hear(self, pending: PendingBatch, news: News) -> None:
        if news.reports:
            self._staff.running(news.job, news.reports[0].worker)
        for report in news.reports:
            if isinstance(report, Started):
                pending.context.started(report.attempt, report.worker)
            else:
                pending.context.ended(report)
        if news.error is not None:
            if isinstance(news.error, JobLostError):
                self._charge(pending, news.job)
            self._staff.gone(news.job)
            self._end(pending, news)
        elif news.ended:
            self._staff.put_back(news.job)
            self._end(pending, news)
        else:
            self._decide(pending, news.dropped)

    def _end(self, pending: PendingBatch, news: News) -> None:
        pending.over, pending.error = True, news.error
        self._running.pop(news.job, None)
        pending.done.set()

    @staticmethod
    def _charge(pending: PendingBatch, job: Job) -> None:
        """See that a job which ended before it told anything is counted, lest such jobs are tried for ever."""
        context = pending.context
        if context.running is None and context.pending:
            first = next(j for j in pending.call.jobs if j.attempt in context.pending)
            context.started(first.attempt, f"slurm-{job.id}")

    @property
    def _has_room(self) -> bool:
        """Whether another may run: one that was let in before a job was to rest may have to wait."""
        return len(self._running) < self.slots

    @property
    def _open_thread(self) -> SystemThread:
        if self._thread is None:
            raise BackendError("executor 'slurm' is closed")
        return self._thread
