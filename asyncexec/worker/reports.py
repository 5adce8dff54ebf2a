"""The buffer between the thread that runs a batch and whoever reports it."""

from __future__ import annotations

from collections import deque

from asyncexec.events.outcome import Outcome
from asyncexec.worker.control import BatchControl
from asyncexec.worker.records import Started


class ReportBuffer:
    """Takes the reports of one thread (see :class:`~asyncexec.worker.runner.ReportSink`) for another one.

    Neither thread waits for the other. The start of an attempt is returned once, if it still runs then; of one that has
    ended there is only its outcome.

    Parameters
    ----------
    control : BatchControl
        Of the batch.
    worker : str
        The worker's name in the starts.
    """

    __slots__ = ("_control", "_outcomes", "_reported", "ended", "worker")

    def __init__(self, control: BatchControl, worker: str = "") -> None:
        self.worker = worker
        self._control = control
        self._outcomes: deque[Outcome] = deque()
        self._reported: int | None = None
        self.ended = (
            self._outcomes.append
        )  # not a method of its own: it is called for every attempt

    def started(self, attempt: int) -> None:
        """Do nothing: the control says which attempt runs."""

    def outcomes(self) -> list[Outcome]:
        """Remove and return the outcomes so far."""
        taken = self._outcomes
        return [taken.popleft() for _ in range(len(taken))]

    def start(self, attempt: int | None) -> Started | None:
        """Return the start of ``attempt`` if it runs now and its start was not returned before."""
        if attempt is None or attempt == self._reported or attempt != self._control.running:
            return None
        self._reported = attempt
        return Started(attempt, self.worker)

    def collect(self) -> tuple[list[Outcome], Started | None]:
        """Remove and return the outcomes so far, and the start of the attempt that runs after them, if it is new."""
        return self.outcomes(), self.start(self._control.running)
