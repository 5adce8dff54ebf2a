"""The interface of a system whose calls block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from asyncexec.backends.contract import Capabilities


class CallLostError(Exception):
    """Raised by a handle when the worker that ran the call is gone and the other workers are not.

    Parameters
    ----------
    worker : str
        Its name, unique among the workers.
    why : str
        The cause of its end, as far as it is known.
    """

    def __init__(self, worker: str, why: str) -> None:
        super().__init__(why)
        self.worker = worker


class Handle(Protocol):
    """The result of submitting: this part of a ``concurrent.futures.Future``. Its methods must not block."""

    def cancel(self) -> bool:
        """Stop the call, and return whether that worked; a call that was stopped is done."""
        ...

    def running(self) -> bool:
        """Return whether a worker runs the call."""
        ...

    def result(self) -> Any:
        """Return what the call returned, or raise what it raised; only called when done."""
        ...

    def add_done_callback(self, callback: Callable[[Any], object], /) -> None:
        """Call ``callback(handle)``, in any thread, when it is done."""
        ...


class BlockingSystem(Protocol):
    """A system whose calls block. Its methods are called in one thread, one after another."""

    @property
    def capabilities(self) -> Capabilities:
        """Its capabilities; calls in the same process are not pickled, and return their outcomes as objects."""
        ...

    def open(self) -> int:
        """Start the system or connect to it, and return the number of calls it runs at once.

        Called again after it has broken; raises ``BackendError`` if it cannot be opened again.
        """
        ...

    def submit(self, call: Callable[[], Any], /) -> Handle:
        """Submit ``call``, so that a worker calls it; it can be pickled unless memory is shared.

        A system without handles of its own returns ``system_thread.future_of(...)`` of its blocking call.
        """
        ...

    def broken_by(self, error: BaseException, /) -> bool:
        """Return whether this error, of a handle or of ``submit``, means that all workers of the system are gone."""
        ...

    def close(self, *, idle: bool) -> None:
        """End the system; ``idle`` is False while abandoned calls still run."""
        ...


@runtime_checkable
class JobSystem(BlockingSystem, Protocol):
    """A system whose submissions are expensive: all calls that are ready are submitted at once."""

    def submit_many(self, calls: Sequence[Callable[[], Any]], /) -> Sequence[Handle]:
        """Submit several calls: return a handle for each, or raise for all of them."""
        ...
