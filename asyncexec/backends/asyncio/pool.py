"""The tasks of the asyncio backend: coroutines on the caller's event loop, and plain functions in threads."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import replace

from asyncexec.backends.adapters.loop_batches import LoopBatches
from asyncexec.backends.contract import Batch
from asyncexec.backends.report_stream import ReportStream
from asyncexec.backends.threads.pool import ThreadPool
from asyncexec.plan.coroutine_functions import is_coroutine_function


class AsyncioPool:
    """Runs coroutine tasks on this event loop; methods belong to its thread.

    Parameters
    ----------
    name : str
        The name of the executor, for messages and reports.
    concurrency : int
        The number of coroutine tasks that run at once.
    max_threads, max_abandoned, patience
        Of the threads for plain functions, which start when the first comes.
    stream : ReportStream
    """

    def __init__(
        self,
        *,
        name: str,
        concurrency: int,
        max_threads: int,
        max_abandoned: int,
        patience: float,
        stream: ReportStream,
    ) -> None:
        self._name = name
        self._max_threads = max_threads
        self._max_abandoned = max_abandoned
        self._patience = patience
        self._stream = stream
        self._coroutines = LoopBatches(stream, worker=name, slots=1, limit=concurrency, here=True)
        self._threads: ThreadPool | None = None

    @property
    def slots(self) -> int:
        """One: the event loop."""
        return 1

    @property
    def abandoned(self) -> int:
        """The number of running attempts that were given up."""
        in_threads = 0 if self._threads is None else self._threads.abandoned
        return self._coroutines.abandoned + in_threads

    def submit(self, batch: Batch) -> None:
        """Run a batch: its coroutines here, a plain function's calls each in a thread."""
        if is_coroutine_function(batch.program.kernel):
            self._coroutines.submit(batch)
            return
        threads = self._started_threads()
        if batch.program.overlaps:
            threads.submit(batch)
            return
        if batch.program.concurrency == 1:
            threads.submit_to_thread(batch)
            return
        for job in batch.jobs:
            threads.submit_to_thread(replace(batch, jobs=[job]))

    def cancel(self, attempts: Collection[int]) -> None:
        """Cancel coroutines, drop what waits for a thread, and abandon what runs in one."""
        self._coroutines.cancel(attempts)
        if self._threads is not None:
            self._threads.cancel(attempts)

    def leave_saves(self, attempts: Collection[int]) -> list[threading.Event]:
        """Abandon those of ``attempts`` that save, in threads; return events that are set as their saves end."""
        return [] if self._threads is None else self._threads.leave_saves(attempts)

    async def close(self) -> None:
        """Cancel everything that runs, and end the threads."""
        await self._coroutines.close()
        if self._threads is not None:
            await self._threads.close()

    def _started_threads(self) -> ThreadPool:
        if self._threads is None:
            self._threads = ThreadPool(
                name=self._name,
                size=self._max_threads,
                max_abandoned=self._max_abandoned,
                patience=self._patience,
                stream=self._stream,
                slots=self.slots,
            )
        return self._threads
