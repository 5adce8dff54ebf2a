"""The handle of a call that is an element of a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Lock
from typing import Any

from asyncexec.backends.adapters.blocking_system import CallLostError


class BeamHandle(Future[Any]):
    """A call, and the future of its answer.

    Parameters
    ----------
    call : callable
    in_process : bool
        True if its start is known at once. If not, it may have started at any time, so it is never certain that it was
        cancelled before.
    """

    def __init__(self, call: Callable[[], Any], *, in_process: bool) -> None:
        super().__init__()
        self.call = call
        self._in_process = in_process
        self.abandoned = False
        """True if it was cancelled, though it may be running."""
        self.begun = False
        """True if it is known to have started."""
        self.on_abandoned: Callable[[], None] = _nothing
        """Called when it is cancelled."""
        self._lock = Lock()

    def begin(self) -> bool:
        """Mark the call as started; return False if it was started before, or cancelled."""
        with self._lock:
            if self.running() or self.done():
                return False
            self.begun = self.set_running_or_notify_cancel()
            return self.begun

    def cancel(self) -> bool:
        """Prevent the start; return False if the call has started, or may have."""
        with self._lock:
            stopped = self._in_process and super().cancel()
        self.abandoned = True
        self.on_abandoned()
        return stopped

    def finish(self, answer: Any) -> None:
        """Set the answer."""
        with self._lock, suppress(Exception):  # The call was abandoned with its pipeline.
            self.set_result(answer)

    def lose(self, worker: str, why: str = "its worker died, and Beam ran it again") -> None:
        """Set the error of a lost worker."""
        self.fail(CallLostError(worker, why))

    def fail(self, error: BaseException) -> None:
        """Set the error, unless the call is done."""
        with self._lock:
            if not self.done():
                self.set_exception(error)


def _nothing() -> None:
    pass
