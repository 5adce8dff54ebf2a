"""A batch for a worker that shares the driver's memory: run by one thread, collected and cancelled by another."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.concurrent_batch import (
    ConcurrentBatchRunner,
    ConcurrentControl,
    ConcurrentReports,
)
from asyncexec.worker.control import BatchControl
from asyncexec.worker.records import AttemptSpec, attempts_of
from asyncexec.worker.reports import ReportBuffer
from asyncexec.worker.runner import BatchRunner

if TYPE_CHECKING:
    from asyncexec.worker.programs import LoadedProgram
    from asyncexec.worker.reports import ReportSink


class LocalBatch:
    """Attempts of one stage on their way through one thread.

    Parameters
    ----------
    program : LoadedProgram
    specs : sequence of AttemptSpec
    concurrency : int
        How many run at once: more than one on the worker's event loop, for whose end the thread waits.
    """

    __slots__ = ("_concurrency", "_specs", "control", "program", "reports")

    def __init__(
        self, program: LoadedProgram, specs: Sequence[AttemptSpec], *, concurrency: int = 1
    ) -> None:
        self.program = program
        self.control: BatchControl | ConcurrentControl
        self.reports: ReportBuffer | ConcurrentReports
        if concurrency > 1:
            self.control, self.reports = ConcurrentControl(), ConcurrentReports()
        else:
            self.control = BatchControl(attempts_of(specs))
            self.reports = ReportBuffer(self.control)
        self._specs = specs
        self._concurrency = concurrency

    @property
    def attempts(self) -> list[int]:
        """The ids of all its attempts."""
        return attempts_of(self._specs)

    def run(self, worker: str, *, sink: ReportSink | None = None) -> bool:
        """Run the attempts in this thread; return False if it was left behind meanwhile, so that it must end.

        ``sink`` takes the place of ``reports``, to which it passes what it takes.
        """
        self.reports.worker = worker
        if isinstance(self.control, ConcurrentControl):
            return ConcurrentBatchRunner(
                self._specs,
                lambda: self.program,
                concurrency=self._concurrency,
                control=self.control,
                sink=sink or self.reports,
                worker=worker,
                keep_exception=True,
            ).run()
        return BatchRunner(
            self._specs,
            lambda: self.program,
            control=self.control,
            sink=sink or self.reports,
            worker=worker,
            keep_exception=True,
        ).run()

    def __call__(self) -> None:
        """Run the attempts in this thread, whose name is the worker's."""
        self.run(threading.current_thread().name)

    def cancel(self, attempts: Collection[int]) -> tuple[list[Outcome], LocalBatch | None]:
        """Drop attempts that have not started, and leave the one that runs behind, unless it is saving.

        Returns
        -------
        list of Outcome
            Those of the cancelled attempts, after those that were there to collect.
        LocalBatch or None
            If the attempt that runs was left behind: what is left of the batch, for another thread.
        """
        stopped = self.control.stop(attempts)
        # Looked at after the stop: what ended just before it is in neither list, and has its outcome here.
        outcomes = self.reports.outcomes()
        outcomes += [Outcome(attempt, Status.CANCELLED) for attempt in stopped.not_started]
        if not stopped.left:
            return outcomes, None
        outcomes += [self._cancelled(attempt) for attempt in stopped.left]
        return outcomes, self._rest()

    def leave_saves(self, attempts: Collection[int]) -> dict[int, threading.Event]:
        """Give up those of ``attempts`` that save, of a batch that runs many at once; the others go on.

        Returns for each an event that is set as its save ends.
        """
        if not isinstance(self.control, ConcurrentControl):
            return {}
        return self.control.leave_saves(attempts)

    def leave_save(self, attempts: Collection[int]) -> tuple[threading.Event, LocalBatch] | None:
        """Leave the attempt behind that saves, if it is among ``attempts``, as its save does not end.

        Returns
        -------
        Event
            Set once the save has ended after all.
        LocalBatch
            What is left of the batch, for another thread.
        """
        if not isinstance(self.control, BatchControl):
            return None
        saved = self.control.leave_save(attempts)
        return None if saved is None else (saved, self._rest())

    def _rest(self) -> LocalBatch:
        """Return what has not started, once this batch is left behind."""
        waiting = self.control.waiting
        return LocalBatch(self.program, [spec for spec in self._specs if spec.attempt in waiting])

    def _cancelled(self, attempt: int) -> Outcome:
        # Its thread reports nothing of it any more, so that what it took is known from outside only.
        since = self.control.running_since
        seconds = max(time.time() - since, 0.0)
        return Outcome(attempt, Status.CANCELLED, self.reports.worker, since, seconds)
