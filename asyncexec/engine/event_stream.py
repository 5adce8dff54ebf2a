"""The events of a run as a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from asyncexec.events.records import AnyEvent, PlanCancelled, PlanFailed, PlanSucceeded

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream


class EventStreamer:
    """Puts events into a stream, and closes it after the last event of the run."""

    def __init__(self, send: MemoryObjectSendStream[Sequence[AnyEvent]]) -> None:
        self._send = send

    def observe(self, events: Sequence[AnyEvent]) -> None:
        self._send.send_nowait(events)
        if isinstance(events[-1], PlanSucceeded | PlanFailed | PlanCancelled):
            self._send.close()
