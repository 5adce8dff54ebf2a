"""Tasks in worker processes on this machine."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, AsyncIterator, Collection, Sequence
from dataclasses import replace
from types import TracebackType
from typing import ClassVar, Self

import anyio

from asyncexec.backends.contract import Batch, Capabilities, Report, StageProgram
from asyncexec.backends.cores import usable_cores
from asyncexec.backends.option_fields import takes_options
from asyncexec.backends.processes.launch import Launcher
from asyncexec.backends.processes.options import ALLOWED, ProcessesOptions
from asyncexec.backends.processes.page import MOST_JOBS
from asyncexec.backends.processes.pool import ProcessPool
from asyncexec.backends.report_stream import ReportStream
from asyncexec.errors import ConfigurationError, UsageError
from asyncexec.plan.locality import Locality

_NAME = "processes"


class ProcessesBackend:
    """Run tasks in processes of this machine, killed and replaced as needed.

    A task that dies takes nothing with it but its worker; one that is cancelled or runs too long is killed, with every
    process it has started. Functions and classes of the script itself travel by value, so that scripts need no
    ``if __name__ == "__main__"``.

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
    )

    @takes_options(ProcessesOptions)
    def __init__(self, options: ProcessesOptions) -> None:
        if sys.platform == "win32":
            raise ConfigurationError("executor 'processes' does not run on Windows; use 'threads'")
        self._options = options
        self._size = options.max_workers or usable_cores()
        self._stream: ReportStream | None = None
        self._pool: ProcessPool | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What processes can do; stages may ask for as many ``cpus`` as there are workers."""
        return replace(
            self.features,
            guarantees_memory=self._options.memory_limit is not None,
            worker_bytes=self._options.limit_bytes,
            batch_limit=min(MOST_JOBS, self._options.max_tasks_per_worker or MOST_JOBS),
            resources={"cpus": float(self._size)},
        )

    @property
    def slots(self) -> int:
        """How many batches can run at once, now."""
        return self._size if self._pool is None else self._pool.slots

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come."""
        if self._stream is None:
            raise UsageError(f"executor {_NAME!r} is used outside its `async with` block")
        return self._stream.map(batches)

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop those that have not started, and kill the workers of those that run."""
        if self._pool is not None:
            self._pool.cancel(attempts)

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers nothing more until told otherwise; what they have not begun goes to others."""
        if self._pool is not None:
            self._pool.avoid(workers)

    async def __aenter__(self) -> Self:
        stream = ReportStream.after(self._stream, executor=_NAME)
        pool = ProcessPool(
            launcher=Launcher.here(self._options.env_vars or {}),
            size=self._size,
            allowed_bytes=self._allowed_bytes,
            most_jobs=self._options.max_tasks_per_worker,
            start_timeout=self._options.start_timeout,
            report=stream.report,
            fail=stream.fail,
        )
        try:
            await pool.open()
            await stream.start(pool.submit)
        except BaseException:
            await pool.close(at_once=True)
            raise
        self._stream, self._pool = stream, pool
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stream, pool = self._stream, self._pool
        self._stream = self._pool = None
        if stream is None or pool is None:
            return
        try:
            await stream.stop_feeding()
        finally:
            with anyio.CancelScope(shield=True):
                await pool.close(at_once=error is not None)
            stream.end()

    def _allowed_bytes(self, program: StageProgram) -> int | None:
        if self._options.memory_limit == ALLOWED:
            return program.memory_bytes
        return self._options.limit_bytes
