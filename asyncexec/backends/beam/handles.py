"""A call that is an element of a pipeline, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock
from typing import Any

from asyncexec.backends.adapters.blocking_system import CallLostError


class CallHandle(Future[Any]):
    """A call and its answer.

    Parameters
    ----------
    call : callable
    near : bool
        Whether it is known at once when it begins. If not, it may have begun at any time, so that it is never certain
        that it was cancelled before.

    Attributes
    ----------
    begun : bool
        Whether it is known to have run.
    unwanted : bool
        Whether nobody waits for it any more, though it may be running.
    on_unwanted : callable
        Called when that is so.
    """

    def __init__(self, call: Callable[[], Any], *, near: bool) -> None:
        super().__init__()
        self.call = call
        self._near = near
        self.unwanted = False
        self.begun = False
        self.on_unwanted: Callable[[], None] = _nothing
        self._turn = Lock()

    def begin(self) -> bool:
        """Take note that it runs; False if it did before, or was cancelled."""
        with self._turn:
            if self.running() or self.done():
                return False
            self.begun = self.set_running_or_notify_cancel()
            return self.begun

    def cancel(self) -> bool:
        """Have it not begin; False if it has begun, or may have."""
        with self._turn:
            stopped = self._near and super().cancel()
        self.unwanted = True
        self.on_unwanted()
        return stopped

    def finish(self, answer: Any) -> None:
        """Take its answer."""
        with self._turn, suppress(Exception):  # Given up with its pipeline: nobody waits.
            self.set_result(answer)

    def lose(self, worker: str, why: str = "its worker died, and Beam ran it again") -> None:
        """Take note that there will be no answer."""
        self.fail(CallLostError(worker, why))

    def fail(self, error: BaseException) -> None:
        """Take note why there will be no answer, unless there is one."""
        with self._turn:
            if not self.done():
                self.set_exception(error)


def _nothing() -> None:
    pass
