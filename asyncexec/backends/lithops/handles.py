"""The handle of a call that was submitted to Lithops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any, Protocol

from asyncexec.backends.adapters.blocking_system import CallLostError

_LATE_ANSWER_SECONDS = 2.0
"""Seconds after the end of a job's process in which answers of its calls may still arrive."""


class JobControl(Protocol):
    """The part of an executor that the handles of its calls use, in any thread."""

    @property
    def kills(self) -> bool:
        """True if jobs run on this machine, where they can be killed."""
        ...

    @property
    def internal_storage(self) -> Any:
        """The storage of Lithops."""
        ...

    def kill(self, future: Any) -> None:
        """Kill a job that runs on this machine, with all its processes."""
        ...

    def process_ended(self, future: Any) -> tuple[str, str] | None:
        """Return the name of the job's process on this machine and how it ended; None while it runs, or if unknown."""
        ...

    def forget(self, future: Any) -> None:
        """Drop a call that has ended."""
        ...


class LithopsHandle:
    """A call, and its future in Lithops, whose state is set by a thread of Lithops."""

    def __init__(self, future: Any, executor: JobControl) -> None:
        self.future = future
        self.executor = executor
        self._lock = threading.Lock()
        self._done = False
        self._fetching = False
        self._answer: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Any], object]] = []
        self._dead_since: float | None = None

    # Called by the adapter.

    def cancel(self) -> bool:
        """Kill the job, if it runs on this machine; return False if it cannot be killed, or has ended."""
        if not self.executor.kills or self._done or self._fetching:
            return False
        self.executor.kill(self.future)
        return self.finish(error=CancelledError())

    def running(self) -> bool:
        """Return whether a worker is known to run the call."""
        return not self._done and (self.future.running or self._has_answer())

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._answer

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Call ``callback(handle)`` when the call has ended."""
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    # Called by the watcher.

    @property
    def done(self) -> bool:
        """True when the call has ended in any way."""
        return self._done

    def claim_fetch(self) -> bool:
        """Return True once, when the answer can be fetched."""
        if self._fetching or not self._has_answer():
            return False
        self._fetching = True
        return True

    def fetch(self) -> None:
        """Fetch the answer from Lithops' storage."""
        try:
            # Without this `throw_except` Lithops replaces the program's `sys.excepthook`.
            answer = self.future.result(
                throw_except=False, internal_storage=self.executor.internal_storage
            )
            error = _failure(self.future) if self.future.error else None
        except Exception as raised:  # noqa: BLE001 - any error here is the reason that there is no answer
            answer, error = None, raised
        self.finish(answer, error)

    def check_lost(self) -> None:
        """Finish the call as lost when its job's process has ended without an answer."""
        ended = self.executor.process_ended(self.future)
        if ended is None:
            return
        now = time.monotonic()
        if self._dead_since is None:
            self._dead_since = now
        elif now - self._dead_since > _LATE_ANSWER_SECONDS:
            self.finish(error=CallLostError(*ended))

    def finish(self, answer: Any = None, error: BaseException | None = None) -> bool:
        """Finish the call; return False if it was finished before."""
        with self._lock:
            if self._done:
                return False
            self._done = True
            self._answer, self._error = answer, error
            callbacks, self._callbacks = self._callbacks, []
        self.executor.forget(self.future)
        for callback in callbacks:
            callback(self)
        return True

    def _has_answer(self) -> bool:
        future = self.future
        return bool(future.ready or future.success or future.done)


def _failure(future: Any) -> BaseException:
    """Return the error for a call without an answer: a lost worker, or what Lithops raised."""
    found = getattr(future, "_exception", None)
    error = found[1] if isinstance(found, tuple) and len(found) > 1 else found
    if not isinstance(error, BaseException) or not str(error):
        error = RuntimeError("Lithops has no answer for the call, and does not say why")
    own = getattr(future, "_handler_exception", False)
    if not own or isinstance(error, MemoryError | TimeoutError):
        return error
    worker = f"{future.activation_id or 'lithops'}:{future.job_key}-{future.call_id}"
    return CallLostError(worker, str(error))
