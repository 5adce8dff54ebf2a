"""Report a batch while it runs: attempts run in one thread, and another yields their reports as bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol

from asyncexec.events.outcome import Outcome
from asyncexec.worker.codec import encode_reports
from asyncexec.worker.concurrent_batch import (
    START_SECONDS,
    ConcurrentControl,
    ConcurrentReports,
)
from asyncexec.worker.control import BatchControl
from asyncexec.worker.records import Note, Report
from asyncexec.worker.reports import AttemptMarks, ReportBuffer

GATHER_SECONDS = 0.002


type Control = BatchControl | ConcurrentControl


class Runner(Protocol):
    """Runs one batch."""

    def run(self) -> object:
        """Run it in this thread, and return when it has ended."""
        ...


def buffer_of(control: Control, worker: str = "") -> ReportBuffer | ConcurrentReports:
    """Return a buffer for the reports of the batch that ``control`` controls."""
    if isinstance(control, ConcurrentControl):
        return ConcurrentReports(worker)
    return ReportBuffer(control, worker)


class Streamed:
    """The sink of a batch that is streamed.

    Parameters
    ----------
    worker : str
        The worker's name in reports.
    control : BatchControl
        The batch's; when its thread is left behind, the stream ends.
    marks : AttemptMarks, optional
        Called for every start and end before it is reported.
    held : bool
        Whether an attempt whose start is reported is the last of the batch here: what remains of the batch has then
        not begun, as the driver knows, and goes back to it.
    """

    def __init__(
        self,
        worker: str,
        control: Control,
        *,
        marks: AttemptMarks | None = None,
        held: bool = False,
    ) -> None:
        self.worker = worker
        self.control = control
        self._held = held
        self._marks = marks
        self._changed = threading.Event()
        self._finished = threading.Event()
        self._buffer = buffer_of(control, worker)
        # The driver has the outcome of what is left behind by then, and may send to this worker's slot again.
        control.on_left = self.finish

    @property
    def finished(self) -> bool:
        """True when nothing more will come."""
        return self._finished.is_set()

    def started(self, attempt: int) -> None:
        """Note that an attempt runs from now on."""
        self._buffer.started(attempt)
        if self._marks is not None:
            self._marks.started(attempt)

    def ended(self, outcome: Outcome) -> None:
        """Note how it ended."""
        # The mark first: a worker that dies in between has run the attempt, whether its report arrives or not.
        if self._marks is not None:
            self._marks.ended(outcome)
        self._buffer.ended(outcome)
        self._changed.set()

    def noted(self, note: Note) -> None:
        """Take a note; it goes with the next reports."""
        self._buffer.noted(note)

    def finish(self) -> None:
        """End the stream after the reports so far."""
        self._finished.set()
        self._changed.set()

    def wait(self, gather_seconds: float) -> int | None:
        """Wait for an outcome, or a moment; return the attempt that ran before."""
        running = self.control.running
        if self._changed.wait(START_SECONDS):
            # Cleared before reports are taken, so that one that comes in between wakes the next wait.
            self._changed.clear()
            self._finished.wait(gather_seconds)
        return running

    def collect(self, running: int | None) -> list[Report]:
        """Return what there is to report: outcomes, and a start if ``running`` still runs."""
        outcomes = self._buffer.outcomes()
        reports: list[Report] = [*self._buffer.notes(), *outcomes]
        if isinstance(self._buffer, ConcurrentReports):
            return [*reports, *self._buffer.starts()]
        # It has ended since, and others have begun: the driver is not told of a start that would hold those back.
        if running is not None and self._held and not self.control.hold(running):
            return reports
        start = self._buffer.start(running)
        if start is not None:
            reports.append(start)
        return reports


def stream(
    runner: Runner,
    streamed: Streamed,
    *,
    gather_seconds: float = GATHER_SECONDS,
) -> Iterator[bytes]:
    """Run a batch in a thread of its own, and yield its reports as bytes while it runs.

    An outcome is yielded at once, or together with those that come within ``gather_seconds``; a start, if its attempt
    has not ended within 20 ms. The frames end with the batch, or when its thread is left behind.
    """
    thread = threading.Thread(target=_run, args=(runner, streamed), daemon=True)
    thread.start()
    finished = False
    while not finished:
        running = streamed.wait(gather_seconds)
        finished = streamed.finished  # read before the last reports are taken
        reports = streamed.collect(running)
        if reports:
            yield encode_reports(reports)
    # A thread that was left behind may run for ever.
    if not streamed.control.left:
        thread.join()


def _run(runner: Runner, streamed: Streamed) -> None:
    try:
        runner.run()
    finally:
        streamed.finish()
