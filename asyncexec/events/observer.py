"""The protocol of objects that receive events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from asyncexec.events.records import AnyEvent


@runtime_checkable
class Observer(Protocol):
    """Receives every event of an execution, in order, in batches, on the event loop; must not block.

    The first event is ``PlanStarted``; the last is ``PlanSucceeded``, ``PlanFailed`` or ``PlanCancelled``, after
    which nothing follows for that execution. One observer may be given to several executions; events name theirs.
    An observer that raises is logged and dropped; the run goes on.

    An observer that reads neither the fingerprint nor the relations in ``PlanStarted`` may say so with an attribute
    ``wants_plan_details = False``: they are worked out only where somebody wants them, which takes longer than to run
    a small plan.
    """

    def observe(self, events: Sequence[AnyEvent]) -> None:
        """Take note of ``events``."""
        ...


@runtime_checkable
class FinishingObserver(Observer, Protocol):
    """An observer that has something to put away at the end, such as a file to close.

    The run returns when that is done, so that what was written can be read.
    """

    def finish(self, execution: str) -> None:
        """Wait until everything of ``execution`` is put away; called once in a worker thread, after its last event."""
        ...


def wants_plan_details(observer: Observer) -> bool:
    """Whether ``PlanStarted`` shall hold fingerprint and relations for ``observer``: unless it says no, it shall."""
    return bool(getattr(observer, "wants_plan_details", True))
