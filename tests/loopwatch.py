"""Two watches over an event loop: one finds who holds it, one measures how late it answers."""

import asyncio
import sys
import threading
import time
import traceback
from array import array
from types import TracebackType
from typing import Self

from asyncexec.errors import UsageError
from asyncexec.testing.patience import scaled


class BlockedLoopWatch:
    """Looks at the loop from a thread, and keeps the stack that holds it when it does not answer.

    A lateness alone proves little on a shared machine. Blame needs three things together: the
    loop has not answered, the watcher itself was woken in time, and the loop's thread is in a
    callback rather than waiting for events. On a busy machine it may take longer to answer.
    """

    def __init__(self, *, limit_seconds: float = 0.1, tick_seconds: float = 0.01) -> None:
        self.limit_seconds = limit_seconds
        self.tick_seconds = tick_seconds
        self.held: list[str] = []
        self._answered = True
        self._stop = threading.Event()

    async def __aenter__(self) -> Self:
        self._limit = scaled(self.limit_seconds)
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
            if not self._answered and waited > self._limit:
                self._blame()
                waited = 0.0

    def _answer(self) -> None:
        self._answered = True

    def _blame(self) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        if frame is not None and not frame.f_code.co_filename.endswith("selectors.py"):
            self.held.append("".join(traceback.format_stack(frame, limit=12)))


class Heartbeat:
    """Sleeps again and again while its block runs, and keeps how late each sleep ended.

    ::

        async with Heartbeat() as beats:
            await engine.execute(plan)
        assert beats.lateness_seconds(0.99) < 0.010

    Lateness is measured in real time, whatever the loop's clock.

    Parameters
    ----------
    every_seconds : float
        How long each sleep is.

    Attributes
    ----------
    late_seconds : array of float
        How late each sleep ended.
    """

    def __init__(self, *, every_seconds: float = 0.001) -> None:
        self.every_seconds = every_seconds
        self.late_seconds = array("d")
        self._task: asyncio.Task[None] | None = None

    def lateness_seconds(self, quantile: float) -> float:
        """Return the lateness that this share of the beats did not exceed (0.5 is the median, 1.0 the worst).

        Raises
        ------
        UsageError
            If there was no beat, which is what a loop that was held all the time looks like.
        """
        if not self.late_seconds:
            raise UsageError("no heartbeat: the block was shorter than a beat, or held the loop")
        ordered = sorted(self.late_seconds)
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat(), name="heartbeat")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        stack: TracebackType | None,
    ) -> None:
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _beat(self) -> None:
        while True:
            due = time.perf_counter() + self.every_seconds
            try:
                await asyncio.sleep(self.every_seconds)
            finally:
                # A loop that was held to the end of the block ends the last sleep by cancelling it.
                late = time.perf_counter() - due
                if late > 0:
                    self.late_seconds.append(late)
