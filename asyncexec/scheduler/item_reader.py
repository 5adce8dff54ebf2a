"""The reading of items for growing stages: generators in a thread, async generators on the event loop.

Generators of users may block. One that does never blocks the event loop, nor the end of a run: it is left to its
thread, which closes it as soon as it comes back.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Self

import anyio
from anyio import to_thread
from anyio.lowlevel import checkpoint

from asyncexec.errors import InputError
from asyncexec.scheduler.growth import ReadItems

if TYPE_CHECKING:
    from types import TracebackType

    from asyncexec.plan.item_stream import ItemStream

logger = logging.getLogger("asyncexec")

_STEP_ITEMS = 16
"""After so many items of an async generator that never waits, others on the event loop have their turn."""

CLOSE_SECONDS = 0.35
"""The time that a generator has to close, before it is left to itself."""

_END = object()


class ItemReader:
    """Reads the items of one stream, for one execution; an async context manager.

    What is read is passed on at once: no item waits for the next, which may take long to come.

    Parameters
    ----------
    stream : ItemStream
    plan, stage : str
        Names for messages.
    """

    def __init__(self, stream: ItemStream, *, plan: str, stage: str) -> None:
        self._sources = stream.sources
        self._plan = plan
        self._stage = stage
        self._iterators: list[Iterator[Any] | AsyncIterator[Any]] | None = None
        # Filled in a thread and emptied on the loop: appends and pops of a deque need no lock.
        self._rows: deque[tuple[Any, ...]] = deque()
        self._arrived = anyio.Event()
        self._count = 0
        self._ended = False
        self._error: InputError | None = None
        self._lock = threading.Lock()
        self._reading = self._in_thread = self._closed = False
        # Not one of the threads that everybody shares: it may be held for long.
        self._thread = anyio.CapacityLimiter(1)
        self._tasks = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._tasks.cancel_scope.cancel()
        try:
            return await self._tasks.__aexit__(kind, error, traceback)
        finally:
            with anyio.CancelScope(shield=True):
                await self._close()

    async def read(self, most: int) -> ReadItems:
        """Return the items that are there by now, at least one if there are more; ask for up to ``most``."""
        while not (self._rows or self._ended):
            if not self._reading:
                self._reading = True
                self._tasks.start_soon(self._read, most)
            self._arrived = anyio.Event()
            await self._arrived.wait()
        ended = self._ended  # Before the items are taken: those before the end are there then.
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        return ReadItems(rows=rows, ended=ended, error=self._error if ended else None)

    # -- reading

    async def _read(self, most: int) -> None:
        try:
            if any(isinstance(source, AsyncIterable) for source in self._sources):
                await self._read_async(most)
            else:
                await to_thread.run_sync(
                    self._read_in_thread, most, abandon_on_cancel=True, limiter=self._thread
                )
        finally:
            self._reading = False
            self._wake()

    async def _read_async(self, most: int) -> None:
        try:
            for _ in range(most):
                row = tuple([await self._next(iterator) for iterator in self._opened()])
                if not self._take(row):
                    return
                self._wake()
                if self._count % _STEP_ITEMS == 0:
                    await checkpoint()  # Perhaps it never waits.
        except BaseException as error:
            # Its own cancellation is one that somebody has asked of this task; a generator may raise one as well.
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            self._fail(error)

    async def _next(self, iterator: Iterator[Any] | AsyncIterator[Any]) -> Any:
        if isinstance(iterator, AsyncIterator):
            return await anext(iterator, _END)
        return await to_thread.run_sync(
            next, iterator, _END, abandon_on_cancel=True, limiter=self._thread
        )

    def _read_in_thread(self, most: int) -> None:
        with self._lock:
            if self._closed:
                return
            self._in_thread = True
        try:
            for _ in range(most):
                if self._closed:
                    return
                row = tuple(next(i, _END) for i in self._opened())  # type: ignore[arg-type] # all plain
                if not self._take(row):
                    return
                if len(self._rows) == 1:
                    self._loop.call_soon_threadsafe(self._wake)
        except BaseException as error:  # noqa: BLE001 - whatever a user's generator raises ends the run
            self._fail(error)
        finally:
            with self._lock:
                self._in_thread = False
                left = self._closed
            if left:
                self._close_plain()

    def _take(self, row: tuple[Any, ...]) -> bool:
        """Take in the next items; return False at their end."""
        ended = sum(item is _END for item in row)
        if 0 < ended < len(row):
            raise ValueError(
                f"{ended} of the {len(row)} iterables of items ended, and the others did not: they must be of equal "
                f"length"
            )
        if ended:
            self._ended = True
            return False
        self._rows.append(row)
        self._count += 1
        return True

    def _wake(self) -> None:
        self._arrived.set()

    def _opened(self) -> list[Iterator[Any] | AsyncIterator[Any]]:
        if self._iterators is None:
            self._iterators = [
                aiter(source) if isinstance(source, AsyncIterable) else iter(source)
                for source in self._sources
            ]
        return self._iterators

    def _fail(self, error: BaseException) -> None:
        self._error = InputError(
            f"plan {self._plan!r}, stage {self._stage!r}: item {self._count} could not be read from what gives its "
            f"items: {type(error).__name__}: {error}",
            plan=self._plan,
            stage=self._stage,
            item=self._count,
        )
        self._error.__cause__ = error
        self._ended = True

    # -- closing

    async def _close(self) -> None:
        """Close what can be closed; a generator that is just running is closed by its thread."""
        with self._lock:
            self._closed = True
            if self._in_thread:
                return
        plain = [i for i in self._iterators or () if isinstance(i, Iterator)]
        if any(hasattr(iterator, "close") for iterator in plain):
            with anyio.move_on_after(CLOSE_SECONDS):
                await to_thread.run_sync(
                    self._close_plain, abandon_on_cancel=True, limiter=self._thread
                )
        for iterator in self._iterators or ():
            if isinstance(iterator, AsyncGenerator):
                try:
                    with anyio.move_on_after(CLOSE_SECONDS):
                        await iterator.aclose()
                except Exception as error:  # noqa: BLE001 - a user's; the run has ended
                    self._log(error)

    def _close_plain(self) -> None:
        for iterator in self._iterators or ():
            close = getattr(iterator, "close", None)
            if isinstance(iterator, Iterator) and close is not None:
                try:
                    close()
                except BaseException as error:  # noqa: BLE001 - a user's; the run has ended
                    self._log(error)

    def _log(self, error: BaseException) -> None:
        logger.warning(
            "plan %s, stage %s: what gives its items could not be closed",
            self._plan,
            self._stage,
            exc_info=error,
        )
