"""The budget of requests that one process has under way at a time, for its threads and event loops together."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from contextlib import suppress
from functools import lru_cache
from types import TracebackType

WIDTH = 128
"""The requests that a process has under way at a time."""


class RequestBudget:
    """So many requests at a time; held by ``with`` in threads and by ``async with`` in any event loop.

    Those that wait are served in their order.

    Parameters
    ----------
    width : int
        How many are held at a time.
    """

    def __init__(self, width: int = WIDTH) -> None:
        self.width = width
        self.held = 0
        self._lock = threading.Lock()
        self._waiting: deque[_Turn] = deque()

    def widen(self, width: int) -> None:
        """Let so many be held at a time, unless it is more already."""
        self.width = max(self.width, width)

    def __enter__(self) -> None:
        turn = self._turn()
        if turn is not None:
            turn.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._give_back()

    async def __aenter__(self) -> None:
        turn = self._turn(asyncio.get_running_loop())
        if turn is None:
            return
        try:
            await turn.awaited()
        except BaseException:
            if not self._withdraw(turn):
                # Its turn had come by then.
                self._give_back()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._give_back()

    def _turn(self, loop: asyncio.AbstractEventLoop | None = None) -> _Turn | None:
        with self._lock:
            # A place that is given back goes to the first that waits, and `held` stays: nobody overtakes it.
            if self.held < self.width:
                self.held += 1
                return None
            turn = _Turn(loop)
            self._waiting.append(turn)
            return turn

    def _withdraw(self, turn: _Turn) -> bool:
        with self._lock, suppress(ValueError):
            self._waiting.remove(turn)
            return True
        return False

    def _give_back(self) -> None:
        with self._lock:
            # Of a loop that was closed meanwhile, nobody waits any more.
            while self._waiting:
                if self._waiting.popleft().come():
                    return
            self.held -= 1


class _Turn:
    """One that waits for its turn, in a thread or in an event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._loop = loop
        self._future = None if loop is None else loop.create_future()
        self._event = threading.Event() if loop is None else None

    def come(self) -> bool:
        """Say that the turn has come; return whether anybody can hear it."""
        if self._event is not None:
            self._event.set()
        elif self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._set)
            except RuntimeError:
                return False
        return True

    def wait(self) -> None:
        if self._event is not None:
            self._event.wait()

    async def awaited(self) -> None:
        if self._future is not None:
            await self._future

    def _set(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


def shared_budget() -> RequestBudget:
    """Return the budget of this process."""
    # The process is part of the key: in a copy made by a fork, nobody would give back what the original held.
    return _budget(os.getpid())


@lru_cache(maxsize=1)
def _budget(_process: int) -> RequestBudget:
    return RequestBudget()
