"""The loop's side of the ``slurm`` executor: what waits for a job, and what runs in one."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio

from asyncexec.backends.adapters.calls import Progress
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Batch, Capabilities, Started
from asyncexec.backends.slurm_jobs.desk import Desk, Job, JobLostError, News
from asyncexec.backends.slurm_jobs.options import SlurmOptions
from asyncexec.backends.slurm_jobs.staff import Staff
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.codec import encode_outcomes
from asyncexec.worker.remote_batch import RemoteBatch

# What comes within this time goes as one array.
GATHER_SECONDS = 0.02
LOOK_SECONDS = 0.1


@dataclass(eq=False, slots=True, kw_only=True)
class Ticket:
    """A call on its way through a job.

    ``doomed`` are attempts that are to be cancelled, of which it is not known yet whether they have started.
    """

    call: RemoteBatch
    progress: Progress
    job: Job | None = None
    doomed: set[int] = field(default_factory=set)
    over: bool = False
    error: Exception | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


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
        self._waiting: list[Ticket] = []
        self._running: dict[Job, Ticket] = {}
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

    async def call(self, batch: Batch, progress: Progress, /) -> Sequence[Outcome]:
        return await self._caller.call(batch, progress, partial(self._send, progress))

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

    async def _send(self, progress: Progress, call: RemoteBatch) -> bytes:
        """Have a call run in a job, and tell its outcomes as they come: nothing is left for the end."""
        ticket = Ticket(call=call, progress=progress)
        progress.take_over = partial(self._cancel, ticket)
        self._waiting.append(ticket)
        self._wake(GATHER_SECONDS)
        try:
            await ticket.done.wait()
        finally:
            await self._leave(ticket)
        if ticket.error is not None:
            raise ticket.error
        return encode_outcomes([])

    async def _leave(self, ticket: Ticket) -> None:
        finished, ticket.over = ticket.over, True
        if ticket in self._waiting:
            self._waiting.remove(ticket)
        elif not finished and ticket.job is not None:
            self._running.pop(ticket.job, None)
            self._staff.gone(ticket.job)
            self._to_kill.append(ticket.job)
            with anyio.CancelScope(shield=True):
                await self._open_thread.run(self._kill)
        self._settle(ticket, ticket.doomed)

    def _kill(self) -> None:
        """Kill what has gathered by now; in the thread, after any submission that was on its way."""
        jobs = [self._to_kill.pop() for _ in range(len(self._to_kill))]
        if jobs:
            self._desk.kill(jobs)
            self._desk.forget(jobs)

    # Cancelling.

    def _cancel(self, ticket: Ticket, attempts: frozenset[int]) -> None:
        """Take attempts of a ticket that are to be cancelled."""
        if ticket.over:
            self._settle(ticket, attempts)  # It is being killed.
        elif ticket.job is None:
            call = ticket.call
            rest = [job for job in call.jobs if job.attempt not in attempts]
            ticket.call = RemoteBatch(call.key, call.blob, rest)
            self._settle(ticket, attempts)
            if not rest:
                ticket.progress.stop([])
        else:
            ticket.doomed |= attempts
            self._wake(0.0)

    def _decide(self, ticket: Ticket, dropped: Collection[int]) -> None:
        """Cancel what was dropped, now that it is known which of it, if any, has started."""
        progress = ticket.progress
        ticket.doomed.difference_update(dropped)
        hit = progress.owed.intersection(dropped)
        running = progress.running.attempt if progress.running is not None else None
        self._settle(ticket, hit - {running})
        if running in hit:
            progress.stop([running])
        elif not progress.owed:
            progress.stop([])  # A job with nothing left to do.

    @staticmethod
    def _settle(ticket: Ticket, attempts: Collection[int]) -> None:
        """Tell that these are cancelled: what was not told to have started has not."""
        progress = ticket.progress
        running = None if progress.running is None else progress.running.attempt
        progress.ended(
            *[
                progress.outcome(a, Status.CANCELLED)
                if a == running
                else Outcome(a, Status.CANCELLED)
                for a in attempts
            ]
        )

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
            ticket = self._waiting.pop(0)
            ticket.job = self._staff.take(ticket.progress.batch.apart_from)
            orders[ticket.job] = ticket.call
            self._running[ticket.job] = ticket
        work = Round(
            orders=orders,
            watched=list(self._running),
            drops={job: frozenset(t.doomed) for job, t in self._running.items() if t.doomed},
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
            ticket = self._running.get(item.job)
            if ticket is not None:
                self._hear(ticket, item)
        pause = self._staff.next_dismissal
        hurried = any(t.doomed for t in self._running.values())
        if hurried or (self._waiting and self._has_room):
            self._wake(GATHER_SECONDS)
        elif self._running:
            self._wake(LOOK_SECONDS)
        elif pause is not None:
            self._wake(pause)

    def _hear(self, ticket: Ticket, news: News) -> None:
        if news.reports:
            self._staff.running(news.job, news.reports[0].worker)
        for report in news.reports:
            if isinstance(report, Started):
                ticket.progress.started(report.attempt, report.worker)
            else:
                ticket.progress.ended(report)
        if news.error is not None:
            if isinstance(news.error, JobLostError):
                self._charge(ticket, news.job)
            self._staff.gone(news.job)
            self._end(ticket, news)
        elif news.ended:
            self._staff.put_back(news.job)
            self._end(ticket, news)
        else:
            self._decide(ticket, news.dropped)

    def _end(self, ticket: Ticket, news: News) -> None:
        ticket.over, ticket.error = True, news.error
        self._running.pop(news.job, None)
        ticket.done.set()

    @staticmethod
    def _charge(ticket: Ticket, job: Job) -> None:
        """See that a job which ended before it told anything is counted, lest such jobs are tried for ever."""
        progress = ticket.progress
        if progress.running is None and progress.owed:
            first = next(j for j in ticket.call.jobs if j.attempt in progress.owed)
            progress.started(first.attempt, f"slurm-{job.id}")

    @property
    def _has_room(self) -> bool:
        """Whether another may run: one that was let in before a job was to rest may have to wait."""
        return len(self._running) < self.slots

    @property
    def _open_thread(self) -> SystemThread:
        if self._thread is None:
            raise BackendError("executor 'slurm' is closed")
        return self._thread
