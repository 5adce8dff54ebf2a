"""The blocking calls of one run: one after another in a lane; where the run is to end, each has a little time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from asyncexec.engine.own_task import outlast

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncexec.engine.call_threads import CallThreads, LaneCall

logger = logging.getLogger("asyncexec")

GRACE_SECONDS = 0.35
"""The time that a blocking call of a cancelled run has to come back, before nobody waits for it any longer."""


class RunCalls:
    """Makes the blocking calls of one run, and gives up what does not come back after :meth:`hurry`.

    Parameters
    ----------
    threads : CallThreads
    name : str

    Attributes
    ----------
    name : str
        Of the run, for messages.
    doing : str
        What the call does that is waited for; a call of several steps says which.
    """

    def __init__(self, threads: CallThreads, name: str) -> None:
        self.name = name
        self.doing = ""
        self._lane = threads.lane()
        self._hurried = False
        self._call: LaneCall[Any] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        """True while a call has not come back."""
        return self._lane.is_busy

    async def wait_for[T](
        self,
        doing: str,
        function: Callable[[], T],
        cancelled: Callable[[asyncio.CancelledError], object],
    ) -> T:
        """Return the result of a blocking call; ``cancelled`` is called with each cancellation meanwhile.

        Raises
        ------
        AbandonedCallError
            If the run was cancelled, and the call did not come back in time.
        ExecutionError
            If it raises what is no ``Exception``, which would end more than this run.
        """
        self.doing, self._call = doing, (call := self._lane.call(function))
        if self._hurried:
            self._limit()
        await outlast(call.done, cancelled)
        self._call = None
        if self._alarm is not None:
            self._alarm.cancel()
        return call.result(f"execution {self.name}: {self.doing}")

    async def beside[T](self, function: Callable[[], T]) -> T:
        """Return the result of a blocking call, while the run goes on; the storage is closed only after it."""
        call = self._lane.call(function)
        await call.done.wait()
        return call.result(f"execution {self.name}: the sizing of its arrays")

    def hurry(self) -> None:
        """Give up what is waited for, now or later, if it does not come back in time."""
        self._hurried = True
        self._limit()

    def _limit(self) -> None:
        if (call := self._call) is not None and not call.done.is_set():
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(GRACE_SECONDS, self._give_up, call)

    def _give_up(self, call: LaneCall[Any]) -> None:
        if not call.done.is_set():
            logger.warning(
                "execution %s has been stopped, and %s does not end; its thread is left to itself, and removes what it "
                "has made when it goes on",
                self.name,
                self.doing,
            )
            self._lane.abandon()
