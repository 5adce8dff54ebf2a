"""A rate limiter for redraws, with a timer for when no events come."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Ticker:
    """Calls ``action`` soon after each :meth:`note`, but not more often than every ``least_seconds``.

    On an event loop it also calls it ``most_seconds`` after the last time, and a note that came too early is acted on
    as soon as it may be; :meth:`stop` cancels both timers. Without a running loop there are no timers, and ``action``
    is called within :meth:`note` only.
    """

    def __init__(
        self, action: Callable[[], None], *, least_seconds: float, most_seconds: float
    ) -> None:
        self._action = action
        self._least_seconds = least_seconds
        self._most_seconds = most_seconds
        self._due = 0.0
        self._handle: asyncio.TimerHandle | None = None
        self._catching_up = False

    def note(self) -> None:
        """Call ``action``, now or as soon as it may be called again."""
        loop = _running_loop()
        now = time.monotonic() if loop is None else loop.time()
        if now >= self._due:
            self._act(loop, now)
        elif loop is not None and not self._catching_up:
            self._catching_up = True
            self._wake(loop, self._due)

    def stop(self) -> None:
        """Cancel the timers; the next note is acted on at once."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None
        self._catching_up = False
        self._due = 0.0

    def _act(self, loop: asyncio.AbstractEventLoop | None, now: float) -> None:
        self._due = now + self._least_seconds
        self._catching_up = False
        if loop is not None:
            self._wake(loop, now + self._most_seconds)
        self._action()

    def _wake(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = loop.call_at(at, self._woken, loop)

    def _woken(self, loop: asyncio.AbstractEventLoop) -> None:
        self._handle = None
        self._act(loop, loop.time())


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
