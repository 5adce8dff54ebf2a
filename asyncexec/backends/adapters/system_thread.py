"""Threads for systems that block."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self


class SystemThread:
    """One daemon thread that calls functions in order, for systems that block and are not thread-safe."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name=f"asyncexec-{name}", daemon=True)
        self._thread.start()

    @classmethod
    async def opened[T](cls, name: str, function: Callable[[], T]) -> tuple[Self, T]:
        """Return a new thread, and the result of calling ``function`` in it first; if that raises, the thread ends."""
        thread = cls(name)
        try:
            return thread, await thread.run(function)
        except BaseException:
            thread.end()
            raise

    async def close(self, function: Callable[[], object]) -> None:
        """Call ``function`` in the thread, and end the thread, also if that raises."""
        try:
            await self.run(function)
        finally:
            self.end()

    def post(self, function: Callable[[], object]) -> None:
        """Queue ``function``, which must not raise."""
        self._tasks.put(function)

    async def run[T](self, function: Callable[[], T]) -> T:
        """Call ``function`` in the thread, and return its result or raise its exception."""
        return await asyncio.wrap_future(self._future(function))

    def _future[T](self, function: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        self._tasks.put(lambda: _fulfil(future, function))
        return future

    def end(self) -> None:
        """End the thread after the functions that are queued, and wait for that."""
        self._tasks.put(None)
        self._thread.join()

    def _main(self) -> None:
        while (task := self._tasks.get()) is not None:
            task()


def future_of(call: Callable[[], Any], *, name: str) -> Future[Any]:
    """Make a blocking call in a new daemon thread, and return its future.

    It serves as the handle in a :class:`~asyncexec.backends.adapters.blocking_system.BlockingSystem` that has none.
    """
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    thread = threading.Thread(target=_fulfil, args=(future, call), name=name, daemon=True)
    thread.start()
    return future


def _fulfil(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - the future raises it
        if not future.cancelled():
            future.set_exception(error)
    else:
        if not future.cancelled():
            future.set_result(result)
