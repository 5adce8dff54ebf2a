"""The backend of a replay: attempts start when they did in a recorded run, where they did, for as long as they took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.backends.contract import Batch, Started
from asyncexec.backends.model_workers import REPORT_SECONDS
from asyncexec.events.outcome import Outcome, Status
from asyncexec.histories.recorded import RUNS_ON, Attempts, RecordedRun
from asyncexec.simulation.virtual_backend import VirtualBackend

# What ended otherwise was stopped by the scheduler, which decides again.
_BY_ITSELF = {str(each): each for each in (Status.SUCCEEDED, Status.FAILED, Status.LOST)}


@dataclass(slots=True, eq=False)
class _Replayed:
    """An attempt as it was, and when it begins here."""

    earliest: float
    seconds: float
    worker: str
    status: Status
    id: int = 0
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
        self._attempts = {stage.name: stage.attempts for stage in run.stages}
        self._on_avoid = on_avoid
        self._starts: Counter[tuple[str, int]] = Counter()
        self._sent: dict[int, _Replayed] = {}
        self._unknown: dict[int, _Replayed] = {}  # Those that wait for a worker.

    def send(self, batch: Batch) -> None:
        """Have attempts start at their times."""
        stage = batch.program.stage
        for job in batch.jobs:
            self._starts[stage, job.task] += 1
            sent = self._known[stage].get((job.task, self._starts[stage, job.task]))
            if sent is None:
                self._unknown[job.attempt] = self._typical(stage, job.attempt)
            else:
                sent.id = job.attempt
                self._sent[sent.id] = sent
                self.at(max(self.now, sent.earliest), self._start, sent)
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

    def _typical(self, stage: str, attempt: int) -> _Replayed:
        attempts = self._attempts[stage]
        seconds = float(np.median(attempts.seconds[attempts.succeeded]))
        return _Replayed(self.now, seconds, "a new worker", Status.SUCCEEDED, attempt)

    def _start_unknown(self) -> None:
        while self._unknown and len(self._sent) < self.cluster.workers:
            sent = self._unknown.pop(next(iter(self._unknown)))
            self._sent[sent.id] = sent
            self._start(sent)

    def _start(self, sent: _Replayed) -> None:
        if sent.id not in self._sent:
            return
        sent.begin = self.now
        if sent.seconds > REPORT_SECONDS:
            self.report(Started(sent.id, sent.worker))
        self.at(self.now + sent.seconds, self._end, sent)

    def _end(self, sent: _Replayed) -> None:
        if self._sent.pop(sent.id, None) is not None:
            self._report_end(sent, sent.status)
            self._start_unknown()

    def _report_end(self, sent: _Replayed, status: Status) -> None:
        if sent.begin is None:
            self.report(Outcome(sent.id, status))
        else:
            self.report(self.outcome_of(sent.id, status, sent.worker, sent.begin))


def _known(attempts: Attempts) -> dict[tuple[int, int], _Replayed]:
    """Return attempts by task and number, from 1 in the order of their starts."""
    numbers: Counter[int] = Counter()
    found: dict[tuple[int, int], _Replayed] = {}
    for task, started, seconds, worker, ended in attempts.rows(
        "task", "started", "seconds", "worker", "status"
    ):
        numbers[task] += 1
        status = _BY_ITSELF.get(ended)
        found[task, numbers[task]] = _Replayed(
            started,
            seconds * (RUNS_ON if status is None else 1.0),
            worker,
            status or Status.SUCCEEDED,
        )
    return found
