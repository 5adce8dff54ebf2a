"""A run as the dispatch has it: with its number, its observers, and the event that is set at its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from asyncexec.events.fanout import Fanout
    from asyncexec.scheduler.run import Run
    from asyncexec.worker.records import Note


class RunHandle:
    """A run with its observers, and the event that is set at its end."""

    def __init__(
        self,
        number: int,
        run: Run,
        fanout: Fanout,
        log: Callable[[Sequence[Note]], None] | None = None,
    ) -> None:
        self.number = number
        self.run = run
        self.fanout = fanout
        self.log = log
        """Takes what tasks and workers say, for the driver's logging."""
        self.finished = anyio.Event()
        self.drain_by: float | None = None

    def pass_on(self) -> None:
        """Pass the run's notes to the driver's logging, and its events to observers."""
        run = self.run
        notes, run.notes = run.notes, []
        if notes and self.log is not None:
            self.log(notes)
        events, run.event_buffer.events = run.event_buffer.events, []
        if events:
            self.fanout.send(events)
