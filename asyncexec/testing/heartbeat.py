"""Measures how alive an event loop is: short sleeps, and how late each of them ends."""

from __future__ import annotations

import asyncio
import time
from array import array
from types import TracebackType
from typing import Self

from asyncexec.errors import UsageError


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
        traceback: TracebackType | None,
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
