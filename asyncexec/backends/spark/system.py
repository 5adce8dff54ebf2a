"""Spark as a call system: workers that stay, each in a Spark job of its own.

A Spark job costs 40 to 70 ms, reports nothing while it runs, and its Python process runs on for two seconds when it is
cancelled. So a job is not a call but a worker: it connects to the driver, serves calls as long as there are any, and
ends after it has been idle for a while. Starts, ends and deaths are known by the connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

import anyio

from asyncexec.backends.adapters.call_context import CallContext
from asyncexec.backends.adapters.system_thread import call_abandonably, future_of
from asyncexec.backends.contract import Batch, Capabilities
from asyncexec.backends.spark.links import WorkerLink
from asyncexec.backends.spark.options import SparkOptions
from asyncexec.backends.spark.pool import WorkerPool
from asyncexec.backends.spark.session import SparkConnection
from asyncexec.errors import BackendError, OptionError
from asyncexec.events.outcome import Outcome


class SparkSystem:
    """Calls to workers on Spark."""

    def __init__(
        self, session: SparkConnection, options: SparkOptions, capabilities: Capabilities
    ) -> None:
        self.capabilities = capabilities
        self._size = options.max_workers or 1
        self._session = session
        self._options = options
        self._pool: WorkerPool | None = None

    @property
    def slots(self) -> int:
        """The number of workers that can have work now."""
        return self._size if self._pool is None else self._pool.slots

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers no more attempts, by name; those that they have not started go to others."""
        if self._pool is not None:
            self._pool.avoid(workers)

    async def open(self) -> None:
        """Start Spark; workers are started when there is work."""
        seconds, session = self._options.start_timeout, self._session
        try:
            async with asyncio.timeout(seconds):
                size = await call_abandonably(
                    self._start,
                    name="asyncexec-spark",
                    undo=lambda _: session.close(),
                    interrupt=session.interrupt,
                )
        except TimeoutError as error:
            raise BackendError(
                f"executor 'spark': Spark did not start on {self._options.master!r} within {seconds:g} s, and was "
                f"given up. Check that its master runs at this address and can be reached from here, or wait longer "
                f"(start_timeout)"
            ) from error
        self._size = size
        self._pool = WorkerPool(session, self._options, size=size)
        try:
            await self._pool.open()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise

    def _start(self) -> int:
        """Start Spark, and return the number of workers; blocks."""
        self._session.open()
        try:
            return self._options.max_workers or self._count_workers()
        except BaseException:
            self._session.close()
            raise

    async def call(self, batch: Batch, context: CallContext) -> Sequence[Outcome]:
        """Run the attempts of ``batch`` on one worker, and report the start and end of each."""
        pool = self._pool
        if pool is None:
            raise BackendError("executor 'spark' is not open")
        context.began_at = 0.0  # Nothing runs before there is a worker.
        link: WorkerLink | None = None
        at_once = batch.program.concurrency > 1
        try:
            for some in [batch.jobs] if at_once else [[job] for job in batch.jobs]:
                if link is not None and pool.is_avoided(link):
                    pool.release(link)
                    link = None
                if link is None:
                    link = await pool.acquire(batch.apart_from)
                    context.began_at = context.began_at or time.time()
                # Started first, as a worker that runs one attempt says nothing meanwhile, and any may die at once.
                jobs = [job for job in some if job.attempt in context.pending]
                if not jobs:
                    continue
                context.started(jobs[0].attempt, link.worker)
                call = Batch(batch.program, jobs)
                if at_once:
                    await link.caller.stream(call, context, link.stream)
                else:
                    context.ended(*await link.caller.call(call, context, link.send))
        except BaseException:
            if link is not None:
                with anyio.CancelScope(shield=True):
                    await pool.kill(link)
            raise
        if link is not None:
            pool.release(link)
        return ()

    async def close(self) -> None:
        """End all workers, and Spark if it was started here."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()
        await self._blocking(self._session.close)

    def _count_workers(self) -> int:
        workers = self._session.workers
        if workers < 1:
            raise OptionError("executor 'spark': Spark has fewer cores in all than cpus asks for")
        return workers

    @staticmethod
    async def _blocking[T](function: Callable[[], T]) -> T:
        return await asyncio.wrap_future(future_of(function, name="asyncexec-spark"))
