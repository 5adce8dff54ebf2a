"""The ``threads`` executor: tasks in threads of this process."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.cores import usable_cores
from asyncexec.backends.named_resources import declared_resources
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.pool_backend import AbandoningBackend
from asyncexec.backends.report_stream import ReportStream
from asyncexec.backends.threads.options import ThreadsOptions
from asyncexec.backends.threads.pool import ThreadPool
from asyncexec.plan.locality import Locality

BATCH_LIMIT = 512


class ThreadsBackend(AbandoningBackend[ThreadPool]):
    """Run tasks in daemon threads of this process.

    Useful if kernels release the GIL, as NumPy and Zarr's codecs do. A thread cannot be killed: a task that is
    cancelled or times out while it runs is *abandoned*. Its slot goes to a new thread; its result is never saved, and
    its thread ends when its kernel returns. Coroutine functions run on one event loop in a thread of its own, and are
    really cancelled there.

    Its options are the fields of :class:`ThreadsOptions`.

    Raises
    ------
    OptionError
        If an option is out of range.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name="threads",
        locality=Locality.SAME_PROCESS,
        batch_limit=BATCH_LIMIT,
        shares_slots=True,
        follows=True,
        overlaps=True,
        call_seconds=0.00005,
    )

    @takes_options(ThreadsOptions)
    def __init__(self, options: ThreadsOptions) -> None:
        self._options = options
        self._size = options.max_workers or usable_cores()
        self._capabilities = replace(
            self.features,
            resources=declared_resources(
                cpus=self._size, gpus=options.gpus, named=options.resources
            ),
        )

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities; stages may request as many ``cpus`` as tasks run at once, and what the options say."""
        return self._capabilities

    def _closed_slots(self) -> int:
        return self._size

    async def _open(self, stream: ReportStream) -> ThreadPool:
        abandoned = self._options.max_abandoned
        return ThreadPool(
            name=self.features.name,
            size=self._size,
            max_abandoned=4 * self._size if abandoned is None else abandoned,
            patience=self._options.patience,
            stream=stream,
        )

    async def _close(self, pool: ThreadPool, *, failed: bool) -> None:
        await pool.close()
