"""Any ``concurrent.futures.Executor`` as a backend: thread pools, process pools, loky, MPI pools."""

from __future__ import annotations

import concurrent.futures
import inspect
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

from asyncexec.backends.adapters.blocking import BlockingBackend
from asyncexec.backends.adapters.blocking_system import Handle
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.options import seconds, whole_number
from asyncexec.errors import BackendError, OptionError

# Python 3.14's; it derives from ThreadPoolExecutor, and its workers do not share memory.
_INTERPRETERS: type | None = getattr(concurrent.futures, "InterpreterPoolExecutor", None)

type PoolSource = Executor | Callable[[], Executor]


class FuturesBackend(BlockingBackend):
    """Run tasks on an executor of the ``concurrent.futures`` kind.

    A running call of such a pool cannot be stopped: a task that is cancelled or times out while it runs is *given up*.
    Its worker stays taken until the kernel returns. In a thread pool it then does not save; in any other pool a late
    write cannot be prevented.

    Parameters
    ----------
    executor : concurrent.futures.Executor or callable
        A pool, which stays the caller's: it is not shut down, and when it breaks the run fails. Or a function that
        makes a pool, which is then shut down on leaving, and made anew when it breaks.
    max_workers : int, optional
        How many tasks to run at once; default: what the pool says.
    batch_limit : int
        How many tasks may go into one call. With more than 1, small tasks cost less; but the outcomes of a batch come
        together when the last has ended, only the start of its first is known (which is what a timeout runs from), and
        those of a broken pool all count as having run.
    patience : float
        Seconds that work waits while given-up tasks hold every worker, before the pool counts as broken.

    Raises
    ------
    OptionError
        If an option is not what it should be.
    """

    def __init__(
        self,
        *,
        executor: PoolSource,
        max_workers: int | None = None,
        batch_limit: int = 1,
        patience: float = 30.0,
    ) -> None:
        system = _Pool(
            _checked_source(executor),
            None
            if max_workers is None
            else whole_number(max_workers, executor="futures", option="max_workers"),
            whole_number(batch_limit, executor="futures", option="batch_limit"),
        )
        super().__init__(system, patience=seconds(patience, executor="futures", option="patience"))


def _checked_source(source: PoolSource) -> PoolSource:
    if not isinstance(source, Executor) and not callable(source):
        raise OptionError(
            f"executor 'futures': executor must be a concurrent.futures.Executor or a function "
            f"that makes one (lambda: ProcessPoolExecutor(4)), not {source!r}"
        )
    return source


class _Pool:
    """A pool as a blocking system."""

    def __init__(self, source: PoolSource, max_workers: int | None, batch_limit: int) -> None:
        self._source = source
        self._max_workers = max_workers
        self._batch_limit = batch_limit
        self._pool: Executor | None = source if isinstance(source, Executor) else None
        self._owned = not isinstance(source, Executor)
        self._kind: type[Executor] | None = None if self._pool is None else type(self._pool)
        self._opened = False

    @property
    def capabilities(self) -> Capabilities:
        """Of the pool; what is not known to be a pool of threads is taken for one of processes."""
        threads = self._kind is not None and _shares_memory(self._kind)
        return Capabilities(
            name="futures",
            local=self._kind is None or _is_local(self._kind),
            isolated=not threads,
            shares_memory=threads,
            batch_limit=self._batch_limit,
        )

    def open(self) -> int:
        if self._opened:
            self._renew()
        elif callable(self._source):
            self._pool = self._make(self._source)
        self._opened = True
        return self._workers()

    def submit(self, call: Callable[[], Any], /) -> Handle:
        return self._the_pool.submit(call)

    def broken_by(self, error: BaseException, /) -> bool:
        # What tasks raise comes back as data: a RuntimeError is the pool's own, as when it was shut down.
        return isinstance(error, BrokenExecutor | RuntimeError) and not isinstance(
            error, BackendError
        )

    def close(self, *, idle: bool) -> None:
        if self._owned and self._pool is not None:
            _end(self._pool, idle=idle)
            self._pool = None
        self._opened = False

    @property
    def _the_pool(self) -> Executor:
        if self._pool is None:
            raise BackendError("executor 'futures' has no pool")
        return self._pool

    def _renew(self) -> None:
        if isinstance(self._source, Executor):
            raise BackendError(
                "executor 'futures': the pool that was handed in broke or was shut down. Hand in a "
                "function that makes the pool, and a new one is made when that happens: "
                "executor_options={'executor': lambda: ProcessPoolExecutor(4)}"
            )
        if self._pool is not None:
            _end(self._pool, idle=False)
        self._pool = self._make(self._source)

    def _make(self, source: Callable[[], Executor]) -> Executor:
        pool = source()
        if not isinstance(pool, Executor):
            raise OptionError(
                f"executor 'futures': the function given as executor returned {pool!r}, "
                f"which is not a concurrent.futures.Executor"
            )
        self._kind = type(pool)
        return pool

    def _workers(self) -> int:
        if self._max_workers is not None:
            return self._max_workers
        workers = getattr(self._pool, "_max_workers", None)
        if not isinstance(workers, int) or workers < 1:
            raise OptionError(
                f"executor 'futures': {type(self._pool).__name__} does not say how many workers it "
                f"has; say it with max_workers"
            )
        return workers


def _shares_memory(kind: type[Executor]) -> bool:
    interpreters = _INTERPRETERS is not None and issubclass(kind, _INTERPRETERS)
    return issubclass(kind, ThreadPoolExecutor) and not interpreters


def _is_local(kind: type[Executor]) -> bool:
    """Whether its workers are certainly on this machine."""
    return (
        issubclass(kind, ThreadPoolExecutor | ProcessPoolExecutor)
        or kind.__module__.partition(".")[0] == "loky"
    )


def _end(pool: Executor, *, idle: bool) -> None:
    """Shut a pool of our own down, and kill its workers where they can be."""
    shutdown: Callable[..., None] = pool.shutdown
    if "kill_workers" in inspect.signature(shutdown).parameters:  # loky's
        shutdown(wait=True, kill_workers=True)
        return
    if isinstance(pool, ProcessPoolExecutor) and not idle:
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()
        pool.shutdown(wait=True, cancel_futures=True)
        return
    pool.shutdown(wait=idle, cancel_futures=True)
