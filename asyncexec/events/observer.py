"""The protocol of objects that receive events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from asyncexec.events.records import AnyEvent


@runtime_checkable
class Observer(Protocol):
    """Receives every event of an execution, in order, in batches, on the event loop; must not block.

    The first event is ``PlanStarted``; the last is ``PlanSucceeded``, ``PlanFailed`` or ``PlanCancelled``, after
    which nothing follows for that execution. One observer may be given to several executions; events name theirs.
    An observer that raises is logged and dropped; the run goes on.

    An observer that reads neither the fingerprint nor the relations in ``PlanStarted`` may say so with an attribute
    ``wants_plan_details = False``: computing them takes longer than running a small plan, so they are computed only
    where an observer of the run reads them.
    """

    def observe(self, events: Sequence[AnyEvent]) -> None:
        """Receive ``events``, in the order in which they happened."""
        ...


@runtime_checkable
class FinishingObserver(Observer, Protocol):
    """An observer with something to close at the end of a run, such as a file.

    The run returns only after ``finish`` has, so that what was written can be read at once.
    """

    def finish(self, execution: str) -> None:
        """Close what is open for ``execution``; called once, in a worker thread, after its last event. It may block."""
        ...


@runtime_checkable
class RecordingObserver(Observer, Protocol):
    """An observer that keeps results of runs, in a database, say.

    The run returns only after ``record`` has, which is awaited on the event loop.
    """

    async def record(self, execution: str, value: Any, error: BaseException | None) -> None:
        """Keep the end of ``execution``: its value, or the error that ended it; called once, after its last event."""
        ...


def wants_plan_details(observer: Observer) -> bool:
    """Return whether ``observer`` reads the fingerprint or the relations in ``PlanStarted``: yes, unless it says no."""
    return bool(getattr(observer, "wants_plan_details", True))
