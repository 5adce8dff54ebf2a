"""The places where a batch is reported; the buffer between the thread that runs it and whoever reports it."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from asyncexec.events.outcome import Outcome
from asyncexec.worker.control import BatchControl
from asyncexec.worker.records import Note, Started

MOST_NOTES = 10_000
"""The most notes that wait; of more, the oldest are lost."""


class AttemptMarks(Protocol):
    """Notes at once which attempt runs, for whoever finds this worker dead."""

    def started(self, attempt: int, /) -> None:
        """Note that an attempt runs from now on."""
        ...

    def ended(self, outcome: Outcome, /) -> None:
        """Note how it ended."""
        ...


class ReportSink(AttemptMarks, Protocol):
    """The place where a batch is reported, by any medium: a buffer, a file, lines of a log, frames of a stream."""

    def noted(self, note: Note, /) -> None:
        """Take a note, in any thread, also one that a task has started; it must not block."""
        ...


class ReportBuffer:
    """Takes the reports of one thread (see :class:`ReportSink`) for another one.

    Neither thread waits for the other. The start of an attempt is returned once, if it still runs then; of one that has
    ended there is only its outcome.

    Parameters
    ----------
    control : BatchControl
        Of the batch.
    worker : str
        The worker's name in the starts.
    """

    __slots__ = ("_control", "_notes", "_outcomes", "_reported", "ended", "noted", "worker")

    def __init__(self, control: BatchControl, worker: str = "") -> None:
        self.worker = worker
        self._control = control
        self._outcomes: deque[Outcome] = deque()
        self._notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self._reported: int | None = None
        # Not methods of its own: the first is called for every attempt.
        self.ended = self._outcomes.append
        self.noted = self._notes.append

    def started(self, attempt: int) -> None:
        """Do nothing: the control says which attempt runs."""

    def outcomes(self) -> list[Outcome]:
        """Remove and return the outcomes so far."""
        taken = self._outcomes
        return [taken.popleft() for _ in range(len(taken))]

    def notes(self) -> list[Note]:
        """Remove and return the notes so far; those of an attempt are taken before its outcome."""
        taken = self._notes
        return [taken.popleft() for _ in range(len(taken))] if taken else []

    def start(self, attempt: int | None) -> Started | None:
        """Return the start of ``attempt`` if it runs now and its start was not returned before."""
        # It may have ended since the caller looked: a start after the outcome would look like another attempt.
        if attempt is None or attempt == self._reported or attempt != self._control.running:
            return None
        self._reported = attempt
        return Started(attempt, self.worker)

    def starts(self) -> list[Started]:
        """Return the start of the attempt that runs now, if it was not returned before."""
        start = self.start(self._control.running)
        return [] if start is None else [start]
