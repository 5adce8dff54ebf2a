"""The ``processes`` executor: tasks in worker processes on this machine."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import replace
from typing import ClassVar

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.cores import usable_cores
from asyncexec.backends.named_resources import declared_resources
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.pool_backend import PoolBackend
from asyncexec.backends.processes.options import ProcessesOptions
from asyncexec.backends.processes.page import MOST_JOBS
from asyncexec.backends.processes.pool import ProcessPool
from asyncexec.backends.report_stream import ReportStream
from asyncexec.backends.value_folder import ValueFolder
from asyncexec.errors import ConfigurationError
from asyncexec.plan.locality import Locality

_NAME = "processes"


class ProcessesBackend(PoolBackend[ProcessPool]):
    """Run tasks in processes of this machine, killed and replaced as needed.

    A task that dies ends only its worker; one that is cancelled or runs too long is killed, with every process it has
    started. Functions and classes of the script itself are pickled by value, so that scripts need no ``if __name__ ==
    "__main__"``.

    Its options are the fields of :class:`ProcessesOptions`.

    Raises
    ------
    OptionError
        If an option is out of range.
    ConfigurationError
        On Windows.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=_NAME,
        kills=True,
        locality=Locality.SAME_HOST,
        isolated=True,
        measures_memory=True,
        batch_limit=MOST_JOBS,
        loss_seconds=0.1,
        shares_slots=True,
        overlaps=True,
        call_seconds=0.0001,
    )

    @takes_options(ProcessesOptions)
    def __init__(self, options: ProcessesOptions) -> None:
        if sys.platform == "win32":
            raise ConfigurationError("executor 'processes' does not run on Windows; use 'threads'")
        self._options = options
        self._size = options.max_workers or usable_cores()
        limit = options.limit_bytes
        self._capabilities = replace(
            self.features,
            guarantees_memory=options.memory_limit is not None,
            worker_bytes=limit,
            budget_bytes=None if limit is None else limit * self._size,
            batch_limit=min(MOST_JOBS, options.max_tasks_per_worker or MOST_JOBS),
            resources=declared_resources(
                cpus=self._size, gpus=options.gpus, named=options.resources
            ),
        )

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities; stages may request as many ``cpus`` as there are workers, and what the options say."""
        return self._capabilities

    @property
    def value_store(self) -> ValueFolder | None:
        """The files of large values, while the context is open."""
        return None if self._pool is None else self._pool.values

    def avoid(self, workers: Collection[str]) -> None:
        """Assign nothing more to these workers until the next call; what they have not started goes to others."""
        if self._pool is not None:
            self._pool.avoid(workers)

    def _closed_slots(self) -> int:
        return self._size

    async def _open(self, stream: ReportStream) -> ProcessPool:
        pool = ProcessPool(self._options, size=self._size, stream=stream)
        try:
            await pool.open()
        except BaseException:
            await pool.close(at_once=True)
            raise
        return pool

    async def _close(self, pool: ProcessPool, *, failed: bool) -> None:
        self._stream = self._pool = None
        await pool.close(at_once=failed)
