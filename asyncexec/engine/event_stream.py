"""The events of a run as a stream."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

import anyio

from asyncexec.events.fanout import as_observers
from asyncexec.events.records import AnyEvent, PlanCancelled, PlanFailed, PlanSucceeded

if TYPE_CHECKING:
    from anyio.streams.memory import MemoryObjectSendStream

    from asyncexec.engine.execution import Execution
    from asyncexec.engine.run_options import RunOptions


class EventStreamer:
    """Puts events into a stream, and closes it after the last event of the run."""

    def __init__(self, send: MemoryObjectSendStream[Sequence[AnyEvent]]) -> None:
        self._send = send

    def observe(self, events: Sequence[AnyEvent]) -> None:
        self._send.send_nowait(events)
        if isinstance(events[-1], PlanSucceeded | PlanFailed | PlanCancelled):
            self._send.close()


async def stream_events(
    start: Callable[..., Execution], options: RunOptions
) -> AsyncIterator[AnyEvent]:
    """Start an execution, yield its events, and then raise its exception; closing the iterator stops it."""
    send, receive = anyio.create_memory_object_stream[Sequence[AnyEvent]](math.inf)
    options["observers"] = (*as_observers(options.get("observers")), EventStreamer(send))
    with send, receive:
        execution = start(**options)
        try:
            async for events in receive:
                for event in events:
                    yield event
            await execution
        finally:
            await execution.stopped()
