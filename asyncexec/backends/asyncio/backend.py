"""The ``asyncio`` executor: coroutine tasks on the caller's own event loop."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from asyncexec.backends.asyncio.options import AsyncioOptions
from asyncexec.backends.asyncio.pool import AsyncioPool
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.cores import usable_cores
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.pool_backend import AbandoningBackend
from asyncexec.backends.report_stream import ReportStream
from asyncexec.plan.locality import Locality

BATCH_LIMIT = 128
_SPARE_THREADS = 4


class AsyncioBackend(AbandoningBackend[AsyncioPool]):
    """Run coroutine functions on the event loop that the engine runs on, and plain functions in threads.

    For work that waits: requests, queries, other people's services. Many tasks run at once without a thread each, and
    share clients and locks with the program around them. One that is cancelled or times out gets a ``CancelledError``
    where it awaits; one that ignores it is left behind after half a second, and saves nothing. A coroutine that blocks
    holds up the loop, and with it the program: blocking code belongs in a plain function.

    Its options are the fields of :class:`AsyncioOptions`.

    Raises
    ------
    OptionError
        If an option is out of range.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name="asyncio",
        locality=Locality.SAME_PROCESS,
        batch_limit=BATCH_LIMIT,
        concurrency=AsyncioOptions().concurrency,
        shares_slots=True,
        overlaps=True,
    )

    @takes_options(AsyncioOptions)
    def __init__(self, options: AsyncioOptions) -> None:
        self._options = options
        self._threads = options.max_threads or usable_cores() + _SPARE_THREADS
        self._capabilities = replace(
            self.features,
            concurrency=options.concurrency,
            resources={"cpus": float(self._threads)},
        )

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities; stages may request as many ``cpus`` as plain functions run at once."""
        return self._capabilities

    def _closed_slots(self) -> int:
        return 1

    async def _open(self, stream: ReportStream) -> AsyncioPool:
        abandoned = self._options.max_abandoned
        return AsyncioPool(
            name=self.features.name,
            concurrency=self._options.concurrency,
            max_threads=self._threads,
            max_abandoned=4 * self._threads if abandoned is None else abandoned,
            patience=self._options.patience,
            stream=stream,
        )

    async def _close(self, pool: AsyncioPool, *, failed: bool) -> None:
        await pool.close()
