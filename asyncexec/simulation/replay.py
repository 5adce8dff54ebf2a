"""The backend of a replay: attempts start when they did in a recorded run, where they did, for as long as they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from asyncexec.backends.contract import Batch, Started
from asyncexec.events.outcome import Outcome, Status
from asyncexec.simulation.model_workers import REPORT_SECONDS
from asyncexec.simulation.recorded import RUNS_ON, Attempts, RecordedRun
from asyncexec.simulation.virtual_backend import EPOCH, FAILURE, VirtualBackend

# What ended otherwise was stopped by the scheduler, which decides again.
_BY_ITSELF = {str(each): each for each in (Status.SUCCEEDED, Status.FAILED, Status.LOST)}


class _Known(NamedTuple):
    started: float
    seconds: float
    worker: str
    status: Status


@dataclass(slots=True, eq=False)
class _Sent:
    attempt: int
    known: _Known
    begin: float | None = None


class ReplayBackend(VirtualBackend):
    """Replays attempts by stage, task and number; the scheduler decides which there are.

    An attempt starts when it did, or when it is sent if that is later; one that was stopped would have run on
    (``RUNS_ON``). One that never started in the run waits for a worker that has nothing else to do, and takes what is
    typical of its stage.

    Parameters
    ----------
    run : RecordedRun
    on_avoid : callable
        Called with the workers to leave idle, and the time, when they change.
    """

    def __init__(
        self,
        *given: Any,
        run: RecordedRun,
        on_avoid: Callable[[frozenset[str], float], object],
        **options: Any,
    ) -> None:
        super().__init__(*given, **options)
        self._known = {stage.name: _known(stage.attempts) for stage in run.stages}
        self._typical = {
            stage.name: float(np.median(stage.attempts.seconds[stage.attempts.succeeded]))
            for stage in run.stages
            if stage.measured
        }
        self._on_avoid = on_avoid
        self._starts: Counter[tuple[str, int]] = Counter()
        self._sent: dict[int, _Sent] = {}
        self._unknown: dict[int, _Sent] = {}  # Those that wait for a worker.

    def send(self, batch: Batch) -> None:
        """Have attempts start at their times."""
        stage = batch.program.stage
        for job in batch.jobs:
            self._starts[stage, job.task] += 1
            number = self._starts[stage, job.task]
            known = self._known[stage].get((job.task, number))
            if known is None:
                known = _Known(self.now, self._typical[stage], "a new worker", Status.SUCCEEDED)
                self._unknown[job.attempt] = _Sent(job.attempt, known)
            else:
                sent = self._sent[job.attempt] = _Sent(job.attempt, known)
                self.at(max(self.now, known.started), self._start, sent)
        self._start_unknown()

    def cancel(self, attempts: Collection[int]) -> None:
        """Stop attempts at once."""
        for attempt in attempts:
            sent = self._sent.pop(attempt, None) or self._unknown.pop(attempt, None)
            if sent is not None:
                self._report_end(sent, Status.CANCELLED)
        self._start_unknown()

    def avoid(self, workers: Collection[str]) -> None:
        """Report the workers to leave idle: what started on them in the run starts on them here."""
        self._on_avoid(frozenset(workers), self.now)

    def _start_unknown(self) -> None:
        while self._unknown and len(self._sent) < self.cluster.workers:
            sent = self._unknown.pop(next(iter(self._unknown)))
            self._sent[sent.attempt] = sent
            self._start(sent)

    def _start(self, sent: _Sent) -> None:
        if sent.attempt not in self._sent:
            return
        sent.begin = self.now
        if sent.known.seconds > REPORT_SECONDS:
            self.report(Started(sent.attempt, sent.known.worker))
        self.at(self.now + sent.known.seconds, self._end, sent)

    def _end(self, sent: _Sent) -> None:
        if self._sent.pop(sent.attempt, None) is not None:
            self._report_end(sent, sent.known.status)
            self._start_unknown()

    def _report_end(self, sent: _Sent, status: Status) -> None:
        if sent.begin is None:
            self.report(Outcome(sent.attempt, status))
            return
        seconds, began = self.now - sent.begin, EPOCH + sent.begin
        error = FAILURE if status is Status.FAILED else None
        self.report(Outcome(sent.attempt, status, sent.known.worker, began, seconds, error=error))


def _known(attempts: Attempts) -> dict[tuple[int, int], _Known]:
    """Return attempts by task and number, from 1 in the order of their starts."""
    numbers: Counter[int] = Counter()
    found: dict[tuple[int, int], _Known] = {}
    for place in np.argsort(attempts.started, kind="stable").tolist():
        task = int(attempts.task[place])
        numbers[task] += 1
        status = _BY_ITSELF.get(str(attempts.status[place]))
        found[task, numbers[task]] = _Known(
            float(attempts.started[place]),
            float(attempts.seconds[place]) * (RUNS_ON if status is None else 1.0),
            str(attempts.worker[place]),
            status or Status.SUCCEEDED,
        )
    return found
