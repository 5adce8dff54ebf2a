"""The attempts that run at once in a worker process, as the driver sees them; no IO.

They have no order, so they are known by their ids. Those that run are also in the lanes of the page, which the driver
reads when the worker has ended. How an attempt leaves:

=====================================  ==================================================
its outcome arrives                    it is reported
its worker was ended, it had started   CANCELLED if that was asked for, else LOST
its worker was ended, it had not       CANCELLED if asked for; goes back if we ended it
                                       or it was never ready; else LOST
the same, while it loaded or saved     CANCELLED if asked for; else LOST, as if it had
and another's kernel ran, or we        not started: what ended the worker was not it
ended the worker
the same, and no kernel ran            CANCELLED if asked for; else LOST with no worker's
                                       name: any of those that ran may have ended it
=====================================  ==================================================
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from asyncexec.backends.processes.assignment import Released, WorkerExit
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.worker.event_loop import GRACE_SECONDS
from asyncexec.worker.records import Note, Started

if TYPE_CHECKING:
    from asyncexec.backends.contract import AttemptSpec, Report
    from asyncexec.backends.processes.assignment import Assignment

STOP_SECONDS = 1.5 * GRACE_SECONDS
"""The time from a request to stop an attempt to its outcome, after which the worker's event loop counts as blocked."""

STOP_ALL_SECONDS = 0.6 * GRACE_SECONDS
"""The same where all that a worker has is to be stopped and overlaps: its end costs no other attempt, and is sooner."""


class ConcurrentWork:
    """The attempts of one worker process that run at once, or wait in it for a lane."""

    def __init__(self) -> None:
        self._jobs: dict[int, AttemptSpec] = {}
        self._assignments: dict[int, Assignment] = {}
        self._started: dict[int, float] = {}
        self._stopping: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def holds(self, attempts: Collection[int]) -> bool:
        """Return whether any of these attempts is here."""
        return not self._jobs.keys().isdisjoint(attempts)

    def add(self, assignment: Assignment) -> None:
        """Add the attempts of an assignment."""
        for job in assignment.jobs:
            self._jobs[job.attempt] = job
            self._assignments[job.attempt] = assignment

    def stop(self, attempts: Collection[int], now: float) -> list[int]:
        """Return those of ``attempts`` that the worker is to stop; ``now`` is monotonic."""
        found = [a for a in attempts if a in self._jobs and a not in self._stopping]
        self._stopping.update(dict.fromkeys(found, now + STOP_SECONDS))
        return found

    def unreported(self, running: Collection[int]) -> list[int]:
        """Return those of the attempts ``running`` whose start was not reported; it is now."""
        found = [a for a in running if a in self._jobs and a not in self._started]
        self._started.update(dict.fromkeys(found, time.time()))
        return found

    def is_overdue(self, now: float) -> bool:
        """Return whether an attempt that is to be stopped has not ended in time."""
        if not self._stopping:
            return False
        due = min(self._stopping.values())
        if len(self._stopping) == len(self._jobs) and self._all_overlap():
            due = max(self._stopping.values()) - STOP_SECONDS + STOP_ALL_SECONDS
        return now > due

    def take(self, reports: Iterable[Report]) -> tuple[list[Report], list[Outcome], bool]:
        """Return what is said of attempts that are here, their outcomes, and whether one of them goes on.

        Such an attempt is reported as cancelled, and has ignored it.
        """
        said: list[Report] = []
        outcomes: list[Outcome] = []
        goes_on = False
        for report in reports:
            attempt = report.attempt
            if isinstance(report, Note):
                said.append(report)
                continue
            if attempt not in self._jobs:
                continue
            if isinstance(report, Started):
                if attempt not in self._started:  # Else it was read from the page before this came.
                    said.append(report)
                    self._started[attempt] = time.time()
                continue
            outcomes.append(report)
            is_left = report.status is Status.CANCELLED and report.started and report.error is None
            goes_on = goes_on or is_left
            self._forget(attempt)
        return said, outcomes, goes_on

    def end(
        self,
        exit_kind: WorkerExit,
        running: Collection[int],
        worker: str,
        error: ErrorInfo,
        *,
        kernel: int = 0,
    ) -> Iterator[tuple[Assignment, Released]]:
        """Release all attempts, because the worker has ended while those in ``running`` ran, one its ``kernel``."""
        released: dict[Assignment, Released] = {}
        now = time.time()
        together = sum(attempt in running or attempt in self._started for attempt in self._jobs) > 1
        for attempt, job in self._jobs.items():
            assignment = self._assignments[attempt]
            mine = released.setdefault(assignment, Released())
            since = self._started.get(attempt, now if attempt in running else 0.0)
            seconds = now - since if since else 0.0
            name = worker if since else ""
            if attempt in self._stopping:
                stopped = Outcome(attempt, Status.CANCELLED, name, since, seconds)
                mine.outcomes.append(stopped)
            elif (
                since
                and assignment.program.overlaps
                and self._is_innocent(attempt, exit_kind, kernel)
            ):
                mine.outcomes.append(Outcome(attempt, Status.LOST, error=error))
            elif since and assignment.program.overlaps and together and not kernel:
                mine.outcomes.append(Outcome(attempt, Status.LOST, "", since, seconds, error=error))
            elif since or exit_kind is WorkerExit.DIED:
                lost = Outcome(attempt, Status.LOST, name, since, seconds, error=error)
                mine.outcomes.append(lost)
            else:
                mine.requeued.append(job)
        for table in (self._jobs, self._assignments, self._started, self._stopping):
            table.clear()
        yield from released.items()

    def _all_overlap(self) -> bool:
        return all(assignment.program.overlaps for assignment in self._assignments.values())

    def _is_innocent(self, attempt: int, exit_kind: WorkerExit, kernel: int) -> bool:
        """Return whether the worker has not ended because of an attempt: we ended it, or another ran its kernel."""
        if exit_kind is WorkerExit.KILLED or self._stopping:
            return True
        return kernel not in {0, attempt}

    def _forget(self, attempt: int) -> None:
        del self._jobs[attempt], self._assignments[attempt]
        self._started.pop(attempt, None)
        self._stopping.pop(attempt, None)
