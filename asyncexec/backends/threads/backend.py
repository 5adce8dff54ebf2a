"""Tasks in threads of this process."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Collection, Sequence
from dataclasses import replace
from types import TracebackType
from typing import ClassVar, Self

import anyio

from asyncexec.backends.contract import Batch, Capabilities, Report
from asyncexec.backends.cores import usable_cores
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.report_stream import ReportStream
from asyncexec.backends.threads.options import ThreadsOptions
from asyncexec.backends.threads.pool import ThreadPool
from asyncexec.errors import UsageError
from asyncexec.plan.locality import Locality

BATCH_LIMIT = 512


class ThreadsBackend:
    """Run tasks in daemon threads beside the event loop.

    Pays off where kernels release the GIL, as NumPy and Zarr's codecs do. A thread cannot be killed: a task that is
    cancelled or times out while it runs is *given up*. Its slot goes to a fresh thread; what it computes is never
    saved, and its thread ends when its kernel returns.

    Its options are the fields of :class:`ThreadsOptions`.

    Raises
    ------
    OptionError
        If an option is out of range.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name="threads", locality=Locality.SAME_PROCESS, batch_limit=BATCH_LIMIT
    )

    @takes_options(ThreadsOptions)
    def __init__(self, options: ThreadsOptions) -> None:
        self._options = options
        self._size = options.max_workers or usable_cores()
        self._stream: ReportStream | None = None
        self._pool: ThreadPool | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What threads can do; stages may ask for as many ``cpus`` as tasks run at once."""
        return replace(self.features, resources={"cpus": float(self._size)})

    @property
    def _name(self) -> str:
        return self.features.name

    @property
    def slots(self) -> int:
        """How many tasks can run at once, now."""
        return self._size if self._pool is None else self._pool.slots

    @property
    def abandoned(self) -> int:
        """How many running attempts have been given up since the context was entered."""
        return 0 if self._pool is None else self._pool.abandoned

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come."""
        if self._stream is None:
            raise UsageError(f"executor {self._name!r} is used outside its `async with` block")
        return self._stream.map(batches)

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop those that have not started, and give up those that run."""
        if self._pool is not None:
            self._pool.cancel(attempts)

    async def __aenter__(self) -> Self:
        stream = ReportStream.after(self._stream, executor=self._name)
        abandoned = self._options.max_abandoned
        pool = ThreadPool(
            name=self._name,
            size=self._size,
            max_abandoned=4 * self._size if abandoned is None else abandoned,
            patience=self._options.patience,
            report=stream.report,
            fail=stream.fail,
        )
        await stream.start(pool.submit)
        pool.open()
        self._stream, self._pool = stream, pool
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stream, pool = self._stream, self._pool
        if stream is None or pool is None:
            return
        try:
            await stream.stop_feeding()
        finally:
            with anyio.CancelScope(shield=True):
                await pool.close()
            stream.end()
