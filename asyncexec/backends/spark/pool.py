"""The workers that Spark has placed for us: who is idle, who is on the way, who waits for one."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections import deque
from collections.abc import Collection
from functools import partial

from asyncexec.backends.adapters.system_thread import future_of
from asyncexec.backends.placement import idle_one, resting
from asyncexec.backends.spark.links import Link, Listener
from asyncexec.backends.spark.options import SparkOptions
from asyncexec.backends.spark.session import Session
from asyncexec.backends.spark.worker_side import Invitation, serve
from asyncexec.errors import BackendError

MOST_FAILED_STARTS = 3
LEAVE_SECONDS = 5.0
_LEAST_WAIT = 0.1
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


class WorkerPool:
    """At most ``size`` workers; its methods belong to the event loop's thread.

    Spark may have room for fewer than were asked for, so whoever waits gets the first that is free, be it new or not.
    """

    def __init__(self, session: Session, options: SparkOptions, *, size: int) -> None:
        self._session = session
        self._options = options
        self._size = size
        self._listener = Listener()
        self._port = 0
        self._links: set[Link] = set()
        self._idle: dict[Link, asyncio.TimerHandle] = {}
        self._waiting: deque[asyncio.Future[Link]] = deque()
        self._coming: dict[str, asyncio.Future[Link]] = {}
        self._jobs: dict[str, asyncio.Future[None]] = {}
        self._numbers = itertools.count(1)
        self._failed_starts = 0
        self._avoided: frozenset[str] = frozenset()

    @property
    def slots(self) -> int:
        """How many workers can have something to do, now; a worker that is avoided counts until it has nothing."""
        rests = self._resting
        return self._size - (sum(link.worker in rests for link in self._idle) if rests else 0)

    @property
    def _resting(self) -> Collection[str]:
        if not self._avoided:
            return ()
        return resting([link.worker for link in self._links], self._avoided)

    def rests(self, link: Link) -> bool:
        """Whether a worker is to be given nothing more."""
        return link.worker in self._resting

    def avoid(self, workers: Collection[str]) -> None:
        """Give these workers nothing more, by their names, as long as another is there; and all others work."""
        self._avoided = frozenset(workers)
        self._serve()

    async def open(self) -> None:
        """Listen; workers come when they are needed."""
        self._port = await self._listener.open(self._session.bind_address, self._options.port)

    async def take(self, apart_from: Collection[str] = ()) -> Link:
        """Return a worker with nothing to do, waiting for one if need be; rather none of ``apart_from``.

        Raises
        ------
        BackendError
            If Spark cannot start any.
        ConnectionError
            If one failed to start, which may be different the next time.
        """
        link = self._idle_link(apart_from)
        if link is not None:
            return link
        waiter: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._top_up()
        try:
            while not waiter.done():
                await asyncio.wait([waiter], timeout=max(self._options.start_timeout, _LEAST_WAIT))
                self._check_for_life(waiter)
        except BaseException:
            self._leave_queue(waiter)
            raise
        return waiter.result()

    def give_back(self, link: Link) -> None:
        """Take note that a worker has nothing to do."""
        self._idle[link] = asyncio.get_running_loop().call_later(
            self._options.idle_timeout, self._let_go, link
        )
        self._serve()

    async def kill(self, link: Link) -> None:
        """End a worker that runs something, or has died."""
        try:
            await link.kill()
        finally:
            self._forget(link)
            self._serve()

    async def close(self) -> None:
        """Let all workers go."""
        for link, timer in self._idle.items():
            timer.cancel()
            link.hang_up()
        self._idle.clear()
        self._links.clear()
        for group in list(self._coming):
            self._session.stop(group)
        await self._listener.close()
        await self._all_ended()
        for group in self._jobs:
            self._session.stop(group)
        await self._all_ended()

    def _idle_link(self, apart_from: Collection[str] = ()) -> Link | None:
        """Return a worker that may be taken now, if there is one."""
        while True:
            link = idle_one(
                self._idle, lambda link: link.worker, rests=self._resting, apart_from=apart_from
            )
            if link is None:
                return None
            self._idle.pop(link).cancel()
            if link.alive:
                return link
            self._forget(link)

    def _serve(self) -> None:
        """Give who waits what has nothing to do: it runs nothing that anybody is to be apart from."""
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
                continue
            link = self._idle_link()
            if link is None:
                break
            self._waiting.popleft().set_result(link)
        self._top_up()

    # Workers come and go.

    def _top_up(self) -> None:
        """Have as many workers started as are waited for, and may be had."""
        room = self._size - len(self._links) - len(self._coming)
        for _ in range(min(room, len(self._waiting) - len(self._coming))):
            self._start()

    def _start(self) -> None:
        token, coming = self._listener.expect()
        invitation = Invitation(
            host=self._session.host,
            port=self._port,
            token=token,
            paths=self._session.paths,
            env_vars=dict(self._options.env_vars or {}),
            memory_bytes=self._options.memory_bytes,
        )
        group = f"asyncexec-{id(self)}-{next(self._numbers)}"
        job = partial(self._session.run, partial(serve, invitation), group)
        ended = asyncio.wrap_future(future_of(job, name="asyncexec-spark"))
        self._coming[group], self._jobs[group] = coming, ended
        coming.add_done_callback(partial(self._came, group))
        ended.add_done_callback(partial(self._ended, group))

    def _came(self, group: str, coming: asyncio.Future[Link]) -> None:
        self._coming.pop(group, None)
        if not coming.cancelled():
            self._failed_starts = 0
            self._links.add(coming.result())
            self.give_back(coming.result())

    def _ended(self, group: str, ended: asyncio.Future[None]) -> None:
        self._jobs.pop(group, None)
        # A worker that was killed ends its job with an error, which is known.
        error = None if ended.cancelled() else ended.exception()
        coming = self._coming.pop(group, None)
        if coming is None or coming.done():
            return
        coming.cancel()
        failure = self._failed_start(error)
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(failure)
                break
        self._top_up()

    def _failed_start(self, error: BaseException | None) -> Exception:
        """Return what to raise for a worker that did not come."""
        self._failed_starts += 1
        told = str(error) if error is not None else "executor 'spark': a worker did not come"
        if self._failed_starts >= MOST_FAILED_STARTS:
            return BackendError(
                f"{told}. Workers need Python {_PYTHON} with asyncexec and what tasks import, and must reach "
                f"the driver at {self._session.host}:{self._port}"
            )
        return ConnectionError(told)

    def _leave_queue(self, waiter: asyncio.Future[Link]) -> None:
        """Stop waiting; a worker that has just been handed over goes to the next."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
        elif waiter.done() and not waiter.cancelled() and waiter.exception() is None:
            self.give_back(waiter.result())

    def _check_for_life(self, waiter: asyncio.Future[Link]) -> None:
        """Say so when no worker has come, rather than wait for ever; those that are at work come back."""
        if not (waiter.done() or self._links):
            raise BackendError(
                f"executor 'spark': Spark has not started a worker within {self._options.start_timeout:g} s. "
                f"Look at what else its cluster does, or wait longer (start_timeout)"
            )

    def _let_go(self, link: Link) -> None:
        del self._idle[link]
        self._forget(link)
        self._serve()

    def _forget(self, link: Link) -> None:
        self._links.discard(link)
        link.hang_up()

    async def _all_ended(self) -> None:
        if self._jobs:
            await asyncio.wait(list(self._jobs.values()), timeout=LEAVE_SECONDS)
