"""Two watches over an event loop: one finds who holds it, one measures how late it answers."""

import asyncio
import sys
import threading
import time
import traceback
from typing import Self

import numpy as np


class BlockedLoopWatch:
    """Looks at the loop from a thread, and keeps the stack that holds it when it does not answer.

    A lateness alone proves little on a shared machine. Blame needs three things together: the
    loop has not answered, the watcher itself was woken in time, and the loop's thread is in a
    callback rather than waiting for events.
    """

    def __init__(self, *, limit_seconds: float = 0.1, tick_seconds: float = 0.01) -> None:
        self.limit_seconds = limit_seconds
        self.tick_seconds = tick_seconds
        self.held: list[str] = []
        self._answered = True
        self._stop = threading.Event()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)
        self._thread.start()
        return self

    async def __aexit__(self, *error: object) -> None:
        self._stop.set()
        await asyncio.to_thread(self._thread.join)
        if error[0] is None and self.held:
            raise AssertionError("the event loop was held here:\n" + self.held[0])

    def _watch(self) -> None:
        waited = 0.0
        while not self._stop.is_set():
            if self._answered:
                self._answered, waited = False, 0.0
                self._loop.call_soon_threadsafe(self._answer)
            before = time.monotonic()
            self._stop.wait(self.tick_seconds)
            # When the watcher starves, so does the loop: that is the machine, not the code.
            waited += min(time.monotonic() - before, 2 * self.tick_seconds)
            if not self._answered and waited > self.limit_seconds:
                self._blame()
                waited = 0.0

    def _answer(self) -> None:
        self._answered = True

    def _blame(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        if frame is not None and not frame.f_code.co_filename.endswith("selectors.py"):
            self.held.append("".join(traceback.format_stack(frame, limit=12)))


class Heartbeat:
    """Sleeps a millisecond again and again, and keeps how late each sleep ended."""

    def __init__(self, *, every_seconds: float = 0.001) -> None:
        self.every_seconds = every_seconds
        self.late_seconds: list[float] = []

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _beat(self) -> None:
        while True:
            due = time.monotonic() + self.every_seconds
            await asyncio.sleep(self.every_seconds)
            self.late_seconds.append(max(0.0, time.monotonic() - due))

    def lateness(self, quantile: float) -> float:
        """The lateness that this part of the beats stays under, in seconds."""
        return float(np.quantile(self.late_seconds, quantile))
