"""What a system whose calls block has to say for itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from asyncexec.backends.contract import Capabilities


class CallLostError(Exception):
    """What a handle raises when the worker that had the call is gone, and the others are not.

    Parameters
    ----------
    worker : str
        Its name, which no other worker has.
    why : str
        What is known of its end.
    """

    def __init__(self, worker: str, why: str) -> None:
        super().__init__(why)
        self.worker = worker


class Handle(Protocol):
    """What submitting returns: this much of a ``concurrent.futures.Future``. Its methods must not block."""

    def cancel(self) -> bool:
        """Stop it, and return whether that worked; a call that was stopped is done."""
        ...

    def running(self) -> bool:
        """Whether a worker is at it."""
        ...

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised; only called when done."""
        ...

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Have ``callback(handle)`` called, in any thread, when it is done."""
        ...


class BlockingSystem(Protocol):
    """What is particular to a system whose calls block; its methods are called in one thread, one after another."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; with ``shares_memory``, calls are not pickled and return their outcomes as they are."""
        ...

    def open(self) -> int:
        """Start it or connect to it, and return how many calls it runs at once.

        Called again after it has broken; raises ``BackendError`` where it cannot be had again.
        """
        ...

    def submit(self, call: Callable[[], Any], /) -> Handle:
        """Have ``call()``, which is picklable unless memory is shared, called by a worker.

        A system that has no handles returns ``system_thread.future_of(...)`` of its blocking call.
        """
        ...

    def broken_by(self, error: BaseException, /) -> bool:
        """Whether this error of a handle, or of ``submit``, means that the system is gone with all its workers."""
        ...

    def close(self, *, idle: bool) -> None:
        """End it; ``idle`` is False while calls that were given up still run."""
        ...


@runtime_checkable
class JobSystem(BlockingSystem, Protocol):
    """A system to which a submission is dear: it is handed all calls that are ready, at once."""

    def submit_many(self, calls: Sequence[Callable[[], Any]], /) -> Sequence[Handle]:
        """Do as ``submit``, for several calls: return a handle for each, or raise for all of them."""
        ...
