"""Tasks in worker processes on this machine."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import ClassVar, Self

import anyio

from asyncexec.backends.contract import Batch, Capabilities, Program, Report
from asyncexec.backends.cores import usable_cores
from asyncexec.backends.exchange import Exchange
from asyncexec.backends.options import environment, memory_bytes, seconds, whole_number
from asyncexec.backends.process_workers.launch import Launcher
from asyncexec.backends.process_workers.page import MOST_JOBS
from asyncexec.backends.process_workers.pool import ProcessPool
from asyncexec.errors import ConfigurationError, OptionError, UsageError

_NAME = "processes"
ALLOWED = "allowed"


class ProcessesBackend:
    """Run tasks in processes of this machine, killed and replaced as needed.

    A task that dies takes nothing with it but its worker; one that is cancelled or runs too long is killed, with every
    process it has started. Functions and classes of the script itself travel by value, so that scripts need no
    ``if __name__ == "__main__"``.

    Parameters
    ----------
    max_workers : int, optional
        How many tasks run at once; default: the cores this process may use.
    memory_limit : int, str or None
        How much memory a worker may hold (``2_000_000_000`` or ``"2GB"``), or ``"allowed"`` for what each stage
        says its tasks may hold. A task that asks for more gets a ``MemoryError``. Linux only.
    env_vars : mapping of str to str, optional
        Environment variables of the workers, beside the driver's. Workers run single-threaded libraries
        (``OMP_NUM_THREADS=1`` and its like) unless they are set here.
    max_tasks_per_worker : int, optional
        After how many tasks a worker is replaced by a fresh one.
    start_timeout : float
        Seconds that a worker may take to start.

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
        local=True,
        isolated=True,
        measures_memory=True,
        batch_limit=MOST_JOBS,
        loss_seconds=0.1,
    )

    def __init__(
        self,
        *,
        max_workers: int | None = None,
        memory_limit: int | str | None = None,
        env_vars: Mapping[str, str] | None = None,
        max_tasks_per_worker: int | None = None,
        start_timeout: float = 60.0,
    ) -> None:
        if sys.platform == "win32":
            raise ConfigurationError("executor 'processes' does not run on Windows; use 'threads'")
        workers = usable_cores() if max_workers is None else max_workers
        self._size = whole_number(workers, executor=_NAME, option="max_workers")
        self._limited = memory_limit is not None
        self._limit_bytes = _limit_bytes(memory_limit)
        self._variables = environment(env_vars, executor=_NAME)
        self._most_jobs = None
        if max_tasks_per_worker is not None:
            self._most_jobs = whole_number(
                max_tasks_per_worker, executor=_NAME, option="max_tasks_per_worker"
            )
        self._start_timeout = seconds(start_timeout, executor=_NAME, option="start_timeout")
        self._exchange: Exchange | None = None
        self._pool: ProcessPool | None = None

    @property
    def capabilities(self) -> Capabilities:
        """What processes can do; stages may ask for as many ``cpus`` as there are workers."""
        return replace(
            self.features,
            guarantees_memory=self._limited,
            worker_bytes=self._limit_bytes,
            batch_limit=min(MOST_JOBS, self._most_jobs or MOST_JOBS),
            resources={"cpus": float(self._size)},
        )

    @property
    def slots(self) -> int:
        """How many batches can run at once, now."""
        return self._size if self._pool is None else self._pool.slots

    def map(self, batches: AsyncIterable[Batch]) -> AsyncIterator[Sequence[Report]]:
        """Run ``batches`` as they come, and yield reports as they come."""
        if self._exchange is None:
            raise UsageError(f"executor {_NAME!r} is used outside its `async with` block")
        return self._exchange.map(batches)

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop those that have not started, and kill the workers of those that run."""
        if self._pool is not None:
            self._pool.cancel(attempts)

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers nothing more until told otherwise; what they have not begun goes to others."""
        if self._pool is not None:
            self._pool.avoid(workers)

    async def __aenter__(self) -> Self:
        exchange = Exchange.after(self._exchange, executor=_NAME)
        pool = ProcessPool(
            launcher=Launcher.here(self._variables),
            size=self._size,
            allowed_bytes=self._allowed_bytes,
            most_jobs=self._most_jobs,
            start_timeout=self._start_timeout,
            report=exchange.report,
            fail=exchange.fail,
        )
        try:
            await pool.open()
            await exchange.start(pool.submit)
        except BaseException:
            await pool.close(at_once=True)
            raise
        self._exchange, self._pool = exchange, pool
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        exchange, pool = self._exchange, self._pool
        self._exchange = self._pool = None
        if exchange is None or pool is None:
            return
        try:
            await exchange.stop_feeding()
        finally:
            with anyio.CancelScope(shield=True):
                await pool.close(at_once=error is not None)
            exchange.end()

    def _allowed_bytes(self, program: Program) -> int | None:
        if self._limited and self._limit_bytes is None:
            return program.memory_bytes
        return self._limit_bytes


def _limit_bytes(limit: int | str | None) -> int | None:
    """Return the limit for every program; None where there is none, or each has its own."""
    if limit is None:
        return None
    if sys.platform != "linux":
        raise OptionError(
            f"executor {_NAME!r}: memory_limit works on Linux only: leave it out on {sys.platform}"
        )
    if limit == ALLOWED:
        return None
    return memory_bytes(limit, executor=_NAME, option="memory_limit")
