"""Threads for systems that block.

A blocking call cannot be interrupted. A task that waits for one goes on at once when it is cancelled: the call is
*abandoned*. Its thread, a daemon, goes on by itself, and undoes what the call has made once it returns.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Self

_RETURN_SECONDS = 0.5
"""The time that an interrupted call has to return, so that what it has made is undone by then."""

_JOIN_SECONDS = 0.25
"""The time that an idle thread has to end; one that hangs in a call ends when the call returns."""


class SystemThread:
    """One daemon thread that calls functions in order, for systems that block and are not thread-safe."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name=f"asyncexec-{name}", daemon=True)
        self._thread.start()

    @classmethod
    async def opened[T](
        cls, name: str, function: Callable[[], T], *, undo: Callable[[T], object]
    ) -> tuple[Self, T]:
        """Return a new thread, and the result of calling ``function`` in it first; if that raises, the thread ends.

        Where this is cancelled, the call is abandoned: ``undo`` is called with its result once it has returned.
        """
        thread = cls(name)
        future = thread._future(function)
        try:
            return thread, await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            thread.post(partial(_undo, future, undo))
            thread.leave()
            raise
        except BaseException:
            thread.end()
            raise

    async def close(self, function: Callable[[], object]) -> None:
        """Call ``function`` in the thread, and end the thread, also if that raises; abandon both when cancelled."""
        try:
            await self.run(function)
        except asyncio.CancelledError:
            self.leave()
            raise
        except BaseException:
            self.end()
            raise
        self.end()

    def post(self, function: Callable[[], object]) -> None:
        """Queue ``function``, which must not raise."""
        self._tasks.put(function)

    async def run[T](self, function: Callable[[], T]) -> T:
        """Call ``function`` in the thread, and return its result or raise its exception."""
        return await asyncio.wrap_future(self._future(function))

    def _future[T](self, function: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()
        # It is called even if nobody waits for it any longer.
        future.set_running_or_notify_cancel()
        self._tasks.put(lambda: _fulfil(future, function))
        return future

    def end(self) -> None:
        """End the thread after the functions that are queued, and wait for that, unless one of them hangs."""
        self.leave()
        self._thread.join(_JOIN_SECONDS)

    def leave(self) -> None:
        """Let the thread end by itself, after the functions that are queued."""
        self._tasks.put(None)

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


async def call_abandonably[T](
    function: Callable[[], T],
    *,
    name: str,
    undo: Callable[[T], object],
    interrupt: Callable[[], object] | None = None,
) -> T:
    """Make a blocking call in a new daemon thread, and return its result; when cancelled, abandon the call.

    Parameters
    ----------
    function : callable
    name : str
        The name of the thread.
    undo : callable
        Called with the result of an abandoned call, in its thread, once it has returned.
    interrupt : callable, optional
        Makes an abandoned call return sooner, as by ending the process that it waits for; it must not block.
    """
    future: Future[T] = future_of(function, name=name)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.add_done_callback(partial(_undo, undo=undo))
        if interrupt is not None:
            interrupt()
            await asyncio.wait([asyncio.wrap_future(_end_of(future))], timeout=_RETURN_SECONDS)
        raise


def _end_of(future: Future[Any]) -> Future[None]:
    """Return a future that ends after ``future`` and its callbacks so far, whatever that one has raised."""
    ended: Future[None] = Future()
    future.add_done_callback(lambda _: ended.set_result(None))
    return ended


def _undo[T](future: Future[T], undo: Callable[[T], object]) -> None:
    """Undo what an abandoned call has made, which has returned; its errors concern nobody any more."""
    if future.exception() is None:
        with suppress(Exception):
            undo(future.result())


def _fulfil(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        result = function()
    except BaseException as error:  # noqa: BLE001 - the future raises it
        future.set_exception(error)
    else:
        future.set_result(result)
