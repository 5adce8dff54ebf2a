"""Spark as a system that is called asynchronously: workers that stay, each in a Spark job of its own.

A job of Spark's costs 40 to 70 ms, tells nothing while it runs, and when it is cancelled its Python process runs on for
two seconds. So a job is not a call but a worker: it connects to the driver, serves calls for as long as there are any,
and is let go when it has been idle for a while. Starts, ends and deaths are known by the connection.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import anyio
import anyio.lowlevel

from asyncexec.backends.adapters.calls import Progress
from asyncexec.backends.adapters.system_thread import future_of
from asyncexec.backends.contract import Batch, Capabilities
from asyncexec.backends.spark_workers.in_worker import Invitation, serve
from asyncexec.backends.spark_workers.links import Link, Listener
from asyncexec.backends.spark_workers.session import Session
from asyncexec.errors import BackendError, OptionError
from asyncexec.events.outcome import Outcome

MOST_FAILED_STARTS = 3
LEAVE_SECONDS = 5.0
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """How workers are had.

    Attributes
    ----------
    most : int or None
        How many there may be; None for what Spark has room for.
    memory_bytes : int or None
        How much memory each may hold.
    env_vars : mapping of str to str
    port : int
        Where the driver listens; 0 for any.
    start_seconds : float
        How long Spark may take to start one.
    idle_seconds : float
        After how long without work one is let go.
    """

    most: int | None = None
    memory_bytes: int | None = None
    env_vars: Mapping[str, str] = field(default_factory=dict)
    port: int = 0
    start_seconds: float = 300.0
    idle_seconds: float = 60.0


class SparkSystem:
    """Calls to workers on Spark."""

    def __init__(
        self, session: Session, settings: WorkerSettings, capabilities: Capabilities
    ) -> None:
        self.capabilities = capabilities
        self.slots = settings.most or 1
        self._session = session
        self._settings = settings
        self._listener = Listener()
        self._port = 0
        self._idle: list[Link] = []
        self._timers: dict[Link, asyncio.TimerHandle] = {}
        self._jobs: dict[str, asyncio.Future[None]] = {}
        self._numbers = itertools.count(1)
        self._failed_starts = 0

    async def open(self) -> None:
        """Start Spark; workers come when there is work."""
        with anyio.CancelScope(shield=True):  # A JVM that is starting cannot be told to end.
            try:
                await self._blocking(self._session.open)
                if self._settings.most is None:
                    self.slots = await self._blocking(self._room)
                self._port = await self._listener.open(
                    self._session.bind_address, self._settings.port
                )
            except BaseException:
                await self._blocking(self._session.close)
                raise
        try:
            await anyio.lowlevel.checkpoint()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise

    async def call(self, batch: Batch, progress: Progress) -> Sequence[Outcome]:
        """Run the jobs of ``batch`` on one worker, and tell of each as it starts and ends."""
        progress.began_at = 0.0  # Nothing runs before there is a worker.
        link = await self._worker()
        progress.began_at = time.time()
        try:
            for job in batch.jobs:
                if progress.started(job.attempt, link.worker):
                    one = Batch(batch.program, [job])
                    progress.ended(*await link.caller.call(one, progress, link.send))
        except BaseException:
            with anyio.CancelScope(shield=True):
                await link.kill()
            raise
        self._rest(link)
        return ()

    async def close(self) -> None:
        """Let all workers go, and end Spark if it is ours."""
        for timer in self._timers.values():
            timer.cancel()
        for link in self._idle:
            link.hang_up()
        self._timers.clear()
        self._idle.clear()
        await self._listener.close()
        await self._all_ended()
        for group in self._jobs:
            self._session.stop(group)
        await self._all_ended()
        await self._blocking(self._session.close)

    def _room(self) -> int:
        workers = self._session.workers
        if workers < 1:
            raise OptionError("executor 'spark': Spark has fewer cores in all than cpus asks for")
        return workers

    # Workers come and go.

    async def _worker(self) -> Link:
        while self._idle:
            link = self._idle.pop()
            self._timers.pop(link).cancel()
            if link.alive:
                return link
            link.hang_up()
        return await self._start_worker()

    async def _start_worker(self) -> Link:
        token, coming = self._listener.expect()
        invitation = Invitation(
            host=self._session.host,
            port=self._port,
            token=token,
            paths=self._session.paths,
            env_vars=dict(self._settings.env_vars),
            memory_bytes=self._settings.memory_bytes,
        )
        group = f"asyncexec-{id(self)}-{next(self._numbers)}"
        job = partial(self._session.run, partial(serve, invitation), group)
        ended = asyncio.wrap_future(future_of(job, name="asyncexec-spark"))
        self._jobs[group] = ended
        ended.add_done_callback(partial(self._ended, group))
        try:
            async with asyncio.timeout(self._settings.start_seconds):
                await asyncio.wait((coming, ended), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError as error:
            raise BackendError(
                f"executor 'spark': Spark has not started a worker within "
                f"{self._settings.start_seconds:g} s. Ask for fewer (max_workers), or wait longer (start_timeout)"
            ) from error
        finally:
            if not coming.done():
                coming.cancel()
                self._session.stop(group)
        if coming.cancelled():
            raise self._failed_start(ended)
        self._failed_starts = 0
        return coming.result()

    def _failed_start(self, ended: asyncio.Future[None]) -> Exception:
        """Return what to raise for a worker that did not come."""
        self._failed_starts += 1
        error = ended.exception() if ended.done() and not ended.cancelled() else None
        told = str(error) if error is not None else "executor 'spark': a worker did not come"
        if self._failed_starts >= MOST_FAILED_STARTS:
            return BackendError(
                f"{told}. Workers need Python {_PYTHON} with asyncexec and what tasks import, and must reach "
                f"the driver at {self._session.host}:{self._port}"
            )
        return ConnectionError(told)

    def _ended(self, group: str, ended: asyncio.Future[None]) -> None:
        self._jobs.pop(group, None)
        if not ended.cancelled():
            ended.exception()  # A worker that was killed ends its job with an error, which is known.

    def _rest(self, link: Link) -> None:
        self._idle.append(link)
        self._timers[link] = asyncio.get_running_loop().call_later(
            self._settings.idle_seconds, self._let_go, link
        )

    def _let_go(self, link: Link) -> None:
        self._idle.remove(link)
        del self._timers[link]
        link.hang_up()

    async def _all_ended(self) -> None:
        if self._jobs:
            await asyncio.wait(list(self._jobs.values()), timeout=LEAVE_SECONDS)

    @staticmethod
    async def _blocking[T](function: Callable[[], T]) -> T:
        return await asyncio.wrap_future(future_of(function, name="asyncexec-spark"))
