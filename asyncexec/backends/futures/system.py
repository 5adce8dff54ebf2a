"""A ``concurrent.futures`` pool as a system whose calls block, and the handles of its calls."""

from __future__ import annotations

import inspect
import itertools
import os
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from typing import Any

from asyncexec.backends.adapters.blocking_system import CallLostError
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.futures.kinds import NOT_MADE, PoolKind, kind_of
from asyncexec.backends.futures.worker_side import Mark, run_marked
from asyncexec.errors import BackendError, OptionError
from asyncexec.storage.places.locked_directory import LockedDirectory

type PoolSource = Executor | Callable[[], Executor]

_numbers = itertools.count(1)


def run_call(call: Callable[[], Any]) -> Any:
    """Run a batch; pools that cache the functions they are given cache only this one."""
    return call()


class PoolHandle:
    """A pool's future, which may lack ``cancel`` and have errors of its own for a lost worker."""

    def __init__(self, future: Future[Any], kind: PoolKind, mark: Mark | None = None) -> None:
        self._future = future
        self._kind = kind
        self._mark = mark
        if mark is not None:
            future.add_done_callback(lambda _future: mark.remove())

    def cancel(self) -> bool:
        """Cancel the call, and return whether that worked."""
        try:
            return self._future.cancel()
        except NotImplementedError:
            return False

    def running(self) -> bool:
        """Return whether a worker runs the call; if unknown, assume it: there are no more calls than workers."""
        if self._mark is not None:
            return self._mark.is_there and not self._future.done()
        if self._kind.tells_running:
            return self._future.running()
        return not self._future.done()

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        try:
            return self._future.result()
        except Exception as error:
            if _name(error) in self._kind.lost:
                raise CallLostError(f"{_name(error)}-{next(_numbers)}", str(error)) from error
            raise

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Call ``callback(handle)`` when the call is done."""
        self._future.add_done_callback(lambda _future: callback(self))


class PoolSystem:
    """A pool as a blocking system."""

    def __init__(
        self,
        source: PoolSource,
        max_workers: int | None,
        batch_limit: int,
        *,
        memory_bytes: int | None = None,
    ) -> None:
        self._source = source
        self._memory_bytes = memory_bytes
        self._max_workers = max_workers
        self._batch_limit = batch_limit
        self._pool: Executor | None = source if isinstance(source, Executor) else None
        self._owned = not isinstance(source, Executor)
        self._kind = _kind_of_source(source)
        self._opened = False
        self._marks: LockedDirectory | None = None
        """Where workers mark the starts of calls, if they can."""
        self._check_limit()

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the pool, as far as they are known."""
        return self._kind.capabilities(
            batch_limit=self._batch_limit, memory_bytes=self._memory_bytes
        )

    def _check_limit(self) -> None:
        if self._memory_bytes is not None and not self._kind.own_processes:
            raise OptionError(
                "executor 'futures': memory limits workers that are processes of their own, and those of this pool "
                "share one with others. Leave it out, or hand in a pool of processes"
            )

    def open(self) -> int:
        """Create the pool, or create it again, and return the number of calls it runs at once."""
        if self._opened:
            self._make_again()
        elif callable(self._source):
            self._pool = self._make(self._source)
        self._opened = True
        if self._marks is None and self._kind.marks_starts:
            self._marks = LockedDirectory.make()
        if program := self._kind.missing_starter(os.environ):
            raise BackendError(
                f"executor 'futures': {type(self._pool).__name__} starts its workers by "
                f"{program!r}, which is not on PATH. Where it came by pip, it is beside Python: "
                f"activate the environment. Or start the program by it"
            )
        if not self._kind.tells_running:
            # Later calls count as running from their submission, so the workers must have started.
            self._open_pool.submit(run_call, int).result()
        return self._workers()

    def submit(self, call: Callable[[], Any], /) -> PoolHandle:
        """Submit ``call``."""
        if self._marks is None:
            return PoolHandle(self._open_pool.submit(run_call, call), self._kind)
        mark = Mark(str(self._marks.path / str(next(_numbers))), os.getpid())
        return PoolHandle(self._open_pool.submit(run_marked, call, mark), self._kind, mark)

    def broken_by(self, error: BaseException, /) -> bool:
        """Return whether the pool is gone with all its workers."""
        # Exceptions of tasks are returned as data, so a RuntimeError is the pool's own, as after its shutdown.
        return isinstance(error, BrokenExecutor | RuntimeError) and not isinstance(
            error, BackendError
        )

    def close(self, *, idle: bool) -> None:
        """End the pool, if it was made here."""
        if self._owned and self._pool is not None:
            _end(self._pool, self._kind, idle=idle)
            self._pool = None
        if self._marks is not None:
            self._marks.remove()
            self._marks = None
        self._opened = False

    @property
    def _open_pool(self) -> Executor:
        if self._pool is None:
            raise BackendError("executor 'futures' has no pool")
        return self._pool

    def _make_again(self) -> None:
        if isinstance(self._source, Executor):
            raise BackendError(
                "executor 'futures': the pool that was handed in broke or was shut down. Hand in a "
                "function that makes the pool, and a new one is made when that happens: "
                "executor_options={'executor': lambda: ProcessPoolExecutor(4)}"
            )
        if self._pool is not None:
            _end(self._pool, self._kind, idle=False)
        self._pool = self._make(self._source)

    def _make(self, source: Callable[[], Executor]) -> Executor:
        pool = source()
        if not isinstance(pool, Executor):
            raise OptionError(
                f"executor 'futures': the function given as executor returned {pool!r}, "
                f"which is not a concurrent.futures.Executor"
            )
        self._kind = kind_of(type(pool))
        try:
            self._check_limit()
        except OptionError:
            pool.shutdown(wait=False)
            raise
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


def _kind_of_source(source: PoolSource) -> PoolKind:
    if isinstance(source, Executor):
        return kind_of(type(source))
    # A class is a function that makes a pool, and its kind is known before the call.
    if isinstance(source, type) and issubclass(source, Executor):
        return kind_of(source)
    return NOT_MADE


def _end(pool: Executor, kind: PoolKind, *, idle: bool) -> None:
    """Shut down a pool that was created here, and kill its workers if possible."""
    shutdown: Callable[..., None] = pool.shutdown
    if "kill_workers" in inspect.signature(shutdown).parameters:  # This is a loky pool.
        shutdown(wait=True, kill_workers=True)
        return
    if isinstance(pool, ProcessPoolExecutor) and not idle:
        for process in list((getattr(pool, "_processes", None) or {}).values()):
            process.kill()
        idle = True
    shutdown(wait=idle, **kind.shutdown)


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"
