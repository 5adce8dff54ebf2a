"""A call that Lithops has been given, and how it ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any, Protocol

from asyncexec.backends.adapters.blocking_system import CallLostError

_LATE_SECONDS = 2.0
"""How long after a job's process has ended its calls' answers may still be on their way."""


class Jobs(Protocol):
    """The executor as the handles of its calls see it; they ask in any thread."""

    @property
    def kills(self) -> bool:
        """Whether jobs run on this machine, where they can be killed."""
        ...

    @property
    def internal_storage(self) -> Any:
        """Lithops' storage."""
        ...

    def kill(self, future: Any) -> None:
        """End a job that runs on this machine, with all its processes."""
        ...

    def process_ended(self, future: Any) -> tuple[str, str] | None:
        """Return the name and the end of the job's process on this machine; None while it runs, or if none is known."""
        ...

    def forget(self, future: Any) -> None:
        """Take note that nobody waits for a call any more."""
        ...


class CallHandle:
    """A call and its future of Lithops; the future's state is set by a thread of Lithops."""

    def __init__(self, future: Any, executor: Jobs) -> None:
        self.future = future
        self.executor = executor
        self._lock = threading.Lock()
        self._done = False
        self._fetching = False
        self._answer: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Any], object]] = []
        self._dead_since: float | None = None

    # What the adapter asks.

    def cancel(self) -> bool:
        """Kill the job, where it runs on this machine; False if it cannot be, or has ended."""
        if not self.executor.kills or self._done or self._fetching:
            return False
        self.executor.kill(self.future)
        return self.finish(error=CancelledError())

    def running(self) -> bool:
        """Whether a worker is known to be at it."""
        return not self._done and (self.future.running or self._has_arrived())

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._answer

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Have ``callback(handle)`` called when the call has ended."""
        with self._lock:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

    # What the watch does.

    @property
    def done(self) -> bool:
        """Whether it has ended, one way or another."""
        return self._done

    def arrived(self) -> bool:
        """Return True, once, when the answer can be fetched."""
        if self._fetching or not self._has_arrived():
            return False
        self._fetching = True
        return True

    def fetch(self) -> None:
        """Get the answer from Lithops' storage."""
        try:
            # Without this `throw_except` Lithops replaces the program's `sys.excepthook`.
            answer = self.future.result(
                throw_except=False, internal_storage=self.executor.internal_storage
            )
            error = _failure(self.future) if self.future.error else None
        except Exception as raised:  # noqa: BLE001 - whatever it is, it is why there is no answer
            answer, error = None, raised
        self.finish(answer, error)

    def look_after(self) -> None:
        """Give the call up for lost when its job's process has ended without an answer."""
        ended = self.executor.process_ended(self.future)
        if ended is None:
            return
        now = time.monotonic()
        if self._dead_since is None:
            self._dead_since = now
        elif now - self._dead_since > _LATE_SECONDS:
            self.finish(error=CallLostError(*ended))

    def finish(self, answer: Any = None, error: BaseException | None = None) -> bool:
        """End it; False if it has ended already."""
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

    def _has_arrived(self) -> bool:
        future = self.future
        return bool(future.ready or future.success or future.done)


def _failure(future: Any) -> BaseException:
    """Return why Lithops has no answer, as an error that says what became of the worker."""
    told = getattr(future, "_exception", None)
    error = told[1] if isinstance(told, tuple) and len(told) > 1 else told
    if not isinstance(error, BaseException) or not str(error):
        error = RuntimeError("Lithops has no answer for the call, and does not say why")
    own = getattr(future, "_handler_exception", False)
    if not own or isinstance(error, MemoryError | TimeoutError):
        return error
    worker = f"{future.activation_id or 'lithops'}:{future.job_key}-{future.call_id}"
    return CallLostError(worker, str(error))
