"""The pool of workers that Spark has placed: idle ones, starting ones, and the queue for them."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections import deque
from collections.abc import Collection
from functools import partial

from asyncexec.backends.adapters.system_thread import future_of
from asyncexec.backends.placement import idle_one, resting
from asyncexec.backends.spark.links import WorkerLink, WorkerListener
from asyncexec.backends.spark.options import SparkOptions
from asyncexec.backends.spark.session import SparkConnection
from asyncexec.backends.spark.worker_side import ConnectInfo, serve
from asyncexec.errors import BackendError

MAX_FAILED_STARTS = 3
END_SECONDS = 5.0
_MIN_WAIT = 0.1
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class WorkerPool:
    """At most ``size`` workers; methods belong to the event loop's thread.

    Spark may have room for fewer than requested, so a waiting call gets the first worker that is free, new or not.
    """

    def __init__(self, session: SparkConnection, options: SparkOptions, *, size: int) -> None:
        self._session = session
        self._options = options
        self._size = size
        self._listener = WorkerListener()
        self._port = 0
        self._links: set[WorkerLink] = set()
        self._idle: dict[WorkerLink, asyncio.TimerHandle] = {}
        self._waiting: deque[asyncio.Future[WorkerLink]] = deque()
        self._starting: dict[str, asyncio.Future[WorkerLink]] = {}
        self._jobs: dict[str, asyncio.Future[None]] = {}
        self._numbers = itertools.count(1)
        self._failed_starts = 0
        self._avoided: frozenset[str] = frozenset()

    @property
    def slots(self) -> int:
        """The number of workers that can have work now; an avoided worker counts until it is idle."""
        avoided = self._avoided_now
        return self._size - (sum(link.worker in avoided for link in self._idle) if avoided else 0)

    @property
    def _avoided_now(self) -> Collection[str]:
        if not self._avoided:
            return ()
        return resting([link.worker for link in self._links], self._avoided)

    def is_avoided(self, link: WorkerLink) -> bool:
        """Return whether a worker must get no more attempts."""
        return link.worker in self._avoided_now

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers no more attempts, as long as there is another; all other workers may have some."""
        self._avoided = frozenset(workers)
        self._assign_idle()

    async def open(self) -> None:
        """Listen for workers, which are started when needed."""
        self._port = await self._listener.open(self._session.bind_address, self._options.port)

    async def acquire(self, apart_from: Collection[str] = ()) -> WorkerLink:
        """Return an idle worker, waiting for one if needed; preferably none of ``apart_from``.

        Raises BackendError if Spark cannot start any, and ConnectionError if one failed to start, which may succeed the
        next time.
        """
        link = self._idle_link(apart_from)
        if link is not None:
            return link
        waiter: asyncio.Future[WorkerLink] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._start_missing()
        try:
            while not waiter.done():
                await asyncio.wait([waiter], timeout=max(self._options.start_timeout, _MIN_WAIT))
                self._check_started(waiter)
        except BaseException:
            self._stop_waiting(waiter)
            raise
        return waiter.result()

    def release(self, link: WorkerLink) -> None:
        """Return a worker that is idle to the pool."""
        self._idle[link] = asyncio.get_running_loop().call_later(
            self._options.idle_timeout, self._expire, link
        )
        self._assign_idle()

    async def kill(self, link: WorkerLink) -> None:
        """Kill a worker that runs something, or has died."""
        try:
            await link.kill()
        finally:
            self._forget(link)
            self._assign_idle()

    async def close(self) -> None:
        """End all workers."""
        for link, timer in self._idle.items():
            timer.cancel()
            link.disconnect()
        self._idle.clear()
        self._links.clear()
        for group in list(self._starting):
            self._session.stop(group)
        await self._listener.close()
        await self._all_ended()
        for group in self._jobs:
            self._session.stop(group)
        await self._all_ended()

    def _idle_link(self, apart_from: Collection[str] = ()) -> WorkerLink | None:
        """Return an idle worker that may be used now, if there is one."""
        while True:
            link = idle_one(
                self._idle, lambda link: link.worker, rests=self._avoided_now, apart_from=apart_from
            )
            if link is None:
                return None
            self._idle.pop(link).cancel()
            if link.alive:
                return link
            self._forget(link)

    def _assign_idle(self) -> None:
        """Assign idle workers to waiting calls. An idle worker runs nothing, so ``apart_from`` does not matter here."""
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            link = self._idle_link()
            if link is None:
                break
            self._waiting.popleft().set_result(link)
        self._start_missing()

    # Starting and ending workers.

    def _start_missing(self) -> None:
        """Start as many workers as calls wait for, up to the size of the pool."""
        room = self._size - len(self._links) - len(self._starting)
        for _ in range(min(room, len(self._waiting) - len(self._starting))):
            self._start()

    def _start(self) -> None:
        token, connecting = self._listener.issue_token()
        info = ConnectInfo(
            host=self._session.host,
            port=self._port,
            token=token,
            paths=self._session.paths,
            env_vars=dict(self._options.env_vars or {}),
            memory_bytes=self._options.memory_bytes,
        )
        group = f"asyncexec-{id(self)}-{next(self._numbers)}"
        job = partial(self._session.run, partial(serve, info), group)
        ended = asyncio.wrap_future(future_of(job, name="asyncexec-spark"))
        self._starting[group], self._jobs[group] = connecting, ended
        connecting.add_done_callback(partial(self._connected, group))
        ended.add_done_callback(partial(self._ended, group))

    def _connected(self, group: str, connecting: asyncio.Future[WorkerLink]) -> None:
        self._starting.pop(group, None)
        if not connecting.cancelled():
            self._failed_starts = 0
            self._links.add(connecting.result())
            self.release(connecting.result())

    def _ended(self, group: str, ended: asyncio.Future[None]) -> None:
        self._jobs.pop(group, None)
        # The job of a killed worker ends with an error, which is known.
        error = None if ended.cancelled() else ended.exception()
        connecting = self._starting.pop(group, None)
        if connecting is None or connecting.done():
            return
        connecting.cancel()
        failure = self._failed_start(error)
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(failure)
                break
        self._start_missing()

    def _failed_start(self, error: BaseException | None) -> Exception:
        """Return the error for a worker that did not start."""
        self._failed_starts += 1
        message = str(error) if error is not None else "executor 'spark': a worker did not come"
        if self._failed_starts >= MAX_FAILED_STARTS:
            return BackendError(
                f"{message}. Workers need Python {_PYTHON} with asyncexec and what tasks import, and must reach "
                f"the driver at {self._session.host}:{self._port}"
            )
        return ConnectionError(message)

    def _stop_waiting(self, waiter: asyncio.Future[WorkerLink]) -> None:
        """Stop waiting; a worker that has just been assigned is returned to the pool."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.release(waiter.result())

    def _check_started(self, waiter: asyncio.Future[WorkerLink]) -> None:
        """Raise if no worker has started, rather than wait for ever; busy workers come back by themselves."""
        if not (waiter.done() or self._links):
            raise BackendError(
                f"executor 'spark': Spark has not started a worker within {self._options.start_timeout:g} s. "
                f"Look at what else its cluster does, or wait longer (start_timeout)"
            )

    def _expire(self, link: WorkerLink) -> None:
        del self._idle[link]
        self._forget(link)
        self._assign_idle()

    def _forget(self, link: WorkerLink) -> None:
        self._links.discard(link)
        link.disconnect()

    async def _all_ended(self) -> None:
        if self._jobs:
            await asyncio.wait(list(self._jobs.values()), timeout=END_SECONDS)
