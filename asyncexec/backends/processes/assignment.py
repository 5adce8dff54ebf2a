"""The state of a batch at one worker process: finished attempts, forbidden ones, and what is left; no IO.

Outcomes of one batch arrive in the order of its attempts, but by two ways, in frames and on the page, so some arrive
twice: ``done`` counts those that were processed, and any before it is ignored. The page may also be ahead of a frame
that has not been read yet: its outcomes are processed only once those between ``done`` and them have arrived.

How an attempt leaves its assignment:

=====================================  ==================================================
its row says that it ran               its outcome is reported
its row says that it was passed over   CANCELLED if that was asked for, else it goes back
it had not started when forbidden      the same, without waiting for its row
its worker was ended, it had started   CANCELLED if that was asked for, else LOST
its worker was ended, it had not       CANCELLED if asked for; goes back if we ended it
                                       or it was never ready; else LOST
=====================================  ==================================================

"Goes back" means that it is queued for another worker, and nothing is reported.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from asyncexec.backends.contract import AttemptSpec, StageProgram
from asyncexec.backends.processes.frames import Row
from asyncexec.events.outcome import ErrorInfo, Outcome, Status


class WorkerExit(Enum):
    """The reason for the end of a worker process."""

    NEVER_READY = auto()
    """It ended before it could take work."""
    KILLED = auto()
    """It was killed to stop an attempt."""
    DIED = auto()
    """It ended by itself."""


@dataclass(slots=True, eq=False)
class Released:
    """The attempts that have left an assignment: outcomes to report, and attempts to queue again."""

    outcomes: list[Outcome] = field(default_factory=list)
    requeued: list[AttemptSpec] = field(default_factory=list)


class Assignment:
    """Attempts of one program that are assigned to one worker."""

    __slots__ = (
        "_gone",
        "_to_cancel",
        "apart_from",
        "done",
        "jobs",
        "last_reported",
        "number",
        "program",
        "revoked",
    )

    def __init__(
        self,
        program: StageProgram,
        jobs: Sequence[AttemptSpec],
        apart_from: frozenset[str] = frozenset(),
    ) -> None:
        self.program = program
        self.jobs = jobs
        self.apart_from = apart_from
        """The workers that should rather not run it."""
        self.number = 0
        """The number of the batch at its worker, from 1; 0 while it is queued."""
        self.done = 0
        """The number of rows that were processed."""
        self.last_reported = -1
        """The position of the last attempt reported as started."""
        self.revoked = False
        # Positions from ``done`` on: those to be cancelled, and those that have left already.
        self._to_cancel: set[int] = set()
        self._gone: set[int] = set()

    @property
    def complete(self) -> bool:
        """True when all its attempts have ended."""
        return self.done == len(self.jobs)

    @property
    def unsettled(self) -> bool:
        """True while some attempts must leave it without being run."""
        return self.revoked or bool(self._to_cancel)

    def is_cancelled(self, position: int) -> bool:
        """Return whether the attempt at ``position`` is to be cancelled."""
        return position in self._to_cancel

    def start(self, position: int) -> AttemptSpec | None:
        """Return the attempt at ``position``, if its start was not reported before and it still belongs here."""
        if position <= self.last_reported or position < self.done or position in self._gone:
            return None
        self.last_reported = position
        return self.jobs[position]

    def drop(self, attempts: Collection[int]) -> list[int]:
        """Mark these attempts for cancelling, and return their positions."""
        found = [
            position
            for position, job in enumerate(self.jobs)
            if position >= self.done and position not in self._gone and job.attempt in attempts
        ]
        self._to_cancel.update(found)
        return found

    def take(self, first: int, rows: Iterable[Row], worker: str) -> Released:
        """Process outcomes from position ``first`` on."""
        released = Released()
        if first > self.done:
            return released
        plain = not (self._gone or self.unsettled)
        for position, row in enumerate(rows, first):
            if position < self.done:
                continue
            self.done = position + 1
            job = self.jobs[position]
            if plain:
                released.outcomes.append(row.outcome(job.attempt, worker))
            else:
                self._take_one(position, job, row, worker, released)
        return released

    def _take_one(
        self, position: int, job: AttemptSpec, row: Row, worker: str, released: Released
    ) -> None:
        is_cancelled = position in self._to_cancel
        self._to_cancel.discard(position)
        if position in self._gone:
            self._gone.discard(position)
        elif not row.skipped:
            released.outcomes.append(row.outcome(job.attempt, worker))
        elif is_cancelled:
            released.outcomes.append(Outcome(job.attempt, Status.CANCELLED))
        else:
            released.requeued.append(job)

    def resolve_cancelled(self, begun: int) -> Released:
        """Release the forbidden attempts after position ``begun``, the last that has started (-1: none has)."""
        released = Released()
        for position, job in self._unfinished():
            if position <= begun:
                continue
            if position in self._to_cancel:
                released.outcomes.append(Outcome(job.attempt, Status.CANCELLED))
            elif self.revoked:
                released.requeued.append(job)
            else:
                continue
            self._to_cancel.discard(position)
            self._gone.add(position)
        return released

    def end(
        self, exit_kind: WorkerExit, running: int | None, lost: Outcome, error: ErrorInfo | None
    ) -> Released:
        """Release all attempts, because the worker has ended.

        Parameters
        ----------
        exit_kind : WorkerExit
        running : int or None
            The position of the attempt that was running.
        lost : Outcome
            The outcome of that attempt, as ``LOST``; its id is filled in here.
        error : ErrorInfo or None
            The error of attempts that were lost before they started.
        """
        released = Released()
        for position, job in self._unfinished():
            if position in self._to_cancel:
                ended = Outcome(job.attempt, Status.CANCELLED)
                if position == running:
                    ended = lost._replace(attempt=job.attempt, status=Status.CANCELLED, error=None)
                released.outcomes.append(ended)
            elif position == running and exit_kind is not WorkerExit.NEVER_READY:
                released.outcomes.append(lost._replace(attempt=job.attempt))
            elif exit_kind is WorkerExit.DIED:
                released.outcomes.append(Outcome(job.attempt, Status.LOST, error=error))
            else:
                released.requeued.append(job)
        self.done = len(self.jobs)
        return released

    def _unfinished(self) -> Iterator[tuple[int, AttemptSpec]]:
        for position in range(self.done, len(self.jobs)):
            if position not in self._gone:
                yield position, self.jobs[position]
