"""The loop's side of the ``slurm`` executor: what waits to be submitted, and what is running."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio

from asyncexec.backends.adapters.calls import Progress
from asyncexec.backends.adapters.calls_in_worker import RemoteCall
from asyncexec.backends.adapters.remote import RemoteCaller
from asyncexec.backends.adapters.system_thread import SystemThread
from asyncexec.backends.contract import Batch, Capabilities, Started
from asyncexec.backends.slurm_jobs.desk import Desk, Job, JobLostError, News
from asyncexec.backends.wire import encode_outcomes
from asyncexec.errors import BackendError
from asyncexec.events.outcome import Outcome, Status

# What comes within this time goes as one array.
GATHER_SECONDS = 0.02
LOOK_SECONDS = 0.1


@dataclass(eq=False, slots=True, kw_only=True)
class Ticket:
    """A call on its way through a job.

    ``doomed`` are attempts that are to be cancelled, of which it is not known yet whether they have started.
    """

    job: Job
    progress: Progress
    doomed: set[int] = field(default_factory=set)
    over: bool = False
    error: Exception | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


class SlurmSystem:
    """Calls as jobs, gathered into arrays."""

    def __init__(self, desk: Desk, capabilities: Capabilities, *, slots: int) -> None:
        self.capabilities = capabilities
        self.slots = slots
        self._desk = desk
        self._caller = RemoteCaller()
        self._thread: SystemThread | None = None
        self._waiting: list[Ticket] = []
        self._submitted: dict[Job, Ticket] = {}
        self._to_kill: list[Job] = []
        self._busy = False
        self._timer: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        self._caller = RemoteCaller()
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

    async def _send(self, progress: Progress, call: RemoteCall) -> bytes:
        """Have a call run in a job, and tell its outcomes as they come: nothing is left for the end."""
        ticket = Ticket(job=self._desk.make_job(call), progress=progress)
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
        elif not finished:
            self._submitted.pop(ticket.job, None)
            self._to_kill.append(ticket.job)
            with anyio.CancelScope(shield=True):
                await self._running_thread.run(self._kill)
        self._settle(ticket, ticket.doomed)
        self._running_thread.post(partial(self._desk.forget, ticket.job))

    def _kill(self) -> None:
        """Kill what has gathered by now; in the thread, after any submission that was on its way."""
        jobs = [self._to_kill.pop() for _ in range(len(self._to_kill))]
        self._desk.kill(jobs)

    # Cancelling.

    def _cancel(self, ticket: Ticket, attempts: frozenset[int]) -> None:
        """Take attempts of a ticket that are to be cancelled."""
        if ticket.over:
            self._settle(ticket, attempts)  # It is being killed.
        elif ticket in self._waiting:
            call = ticket.job.call
            rest = [job for job in call.jobs if job.attempt not in attempts]
            ticket.job.call = RemoteCall(call.key, call.blob, rest)
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

    # Rounds: submit, look, report.

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
        fresh = [ticket.job for ticket in self._waiting]
        self._submitted |= {ticket.job: ticket for ticket in self._waiting}
        self._waiting.clear()
        drops = {t.job: frozenset(t.doomed) for t in self._submitted.values() if t.doomed}
        task = partial(self._round, fresh, list(self._submitted), drops, asyncio.get_running_loop())
        self._running_thread.post(task)

    def _round(
        self,
        fresh: Sequence[Job],
        jobs: Sequence[Job],
        drops: dict[Job, frozenset[int]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """In the thread."""
        try:
            self._desk.submit(fresh)
            news = self._desk.look(jobs, drops)
        except Exception as error:  # noqa: BLE001 - whatever it is, no job can be watched
            failure = error if isinstance(error, BackendError) else BackendError(f"slurm: {error}")
            news = [News(job=job, error=failure) for job in jobs]
        loop.call_soon_threadsafe(self._end_round, news)

    def _end_round(self, news: Sequence[News]) -> None:
        self._busy = False
        for item in news:
            ticket = self._submitted.get(item.job)
            if ticket is not None:
                self._hear(ticket, item)
        if self._waiting or any(t.doomed for t in self._submitted.values()):
            self._wake(GATHER_SECONDS)
        elif self._submitted:
            self._wake(LOOK_SECONDS)

    def _hear(self, ticket: Ticket, news: News) -> None:
        for report in news.reports:
            if isinstance(report, Started):
                ticket.progress.started(report.attempt, report.worker)
            else:
                ticket.progress.ended(report)
        if news.ended or news.error is not None:
            if isinstance(news.error, JobLostError):
                self._charge(ticket)
            ticket.over, ticket.error = True, news.error
            self._submitted.pop(ticket.job, None)
            ticket.done.set()
        else:
            self._decide(ticket, news.dropped)

    @staticmethod
    def _charge(ticket: Ticket) -> None:
        """See that a job which ended before it told anything is counted, lest such jobs are tried for ever."""
        progress = ticket.progress
        if progress.running is None and progress.owed:
            first = next(j for j in ticket.job.call.jobs if j.attempt in progress.owed)
            progress.started(first.attempt, f"slurm-{ticket.job.id}")

    @property
    def _running_thread(self) -> SystemThread:
        if self._thread is None:
            raise BackendError("executor 'slurm' is closed")
        return self._thread
