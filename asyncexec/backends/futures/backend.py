"""Any ``concurrent.futures.Executor`` as a backend: thread pools, process pools, loky, MPI pools."""

from __future__ import annotations

from typing import ClassVar

from asyncexec.backends.adapters.blocking import BlockingBackend
from asyncexec.backends.adapters.blocking_dispatch import Dispatcher
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.futures.kinds import NOT_MADE
from asyncexec.backends.futures.options import FuturesOptions
from asyncexec.backends.futures.system import PoolSystem
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.report_stream import ReportStream
from asyncexec.backends.value_folder import ValueFolder
from asyncexec.plan.locality import Locality


class FuturesBackend(BlockingBackend):
    """Run tasks on an executor of the ``concurrent.futures`` kind.

    A running call of such a pool cannot be stopped: a task that is cancelled or times out while it runs is *given up*.
    Its worker stays taken until the kernel returns. In a thread pool it then does not save; in any other pool a late
    write cannot be prevented.

    Its options are the fields of :class:`FuturesOptions`.

    Raises
    ------
    OptionError
        If an option is not what it should be.
    """

    features: ClassVar[Capabilities] = NOT_MADE.capabilities(batch_limit=256)

    @takes_options(FuturesOptions)
    def __init__(self, options: FuturesOptions) -> None:
        system = PoolSystem(
            options.executor,
            options.max_workers,
            options.batch_limit,
            memory_bytes=options.limit_bytes,
        )
        super().__init__(system, patience=options.patience)
        self._folder: ValueFolder | None = None

    @property
    def value_store(self) -> ValueFolder | None:
        """The files of large values, while the context is open, of pools whose workers are on this machine."""
        return self._folder

    async def _open(self, stream: ReportStream) -> Dispatcher:
        pool = await super()._open(stream)
        try:
            if self.capabilities.locality is Locality.SAME_HOST:
                self._folder = ValueFolder.make()
        except BaseException:
            await super()._close(pool, failed=True)
            raise
        return pool

    async def _close(self, pool: Dispatcher, *, failed: bool) -> None:
        folder, self._folder = self._folder, None
        try:
            await super()._close(pool, failed=failed)
        finally:
            if folder is not None:
                await folder.close()
