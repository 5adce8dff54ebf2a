"""Jobs on their way through one worker process: which have ended, which are forbidden, what is left.

No IO here. Outcomes of one batch arrive in the order of its jobs, but by two ways, in frames and on the page, so that
some arrive twice: ``done`` counts those taken in, and whatever lies before it is dropped. The page may also be ahead of
a frame that has not been read yet: what begins behind ``done`` is left alone, until what lies between has come.

How a job leaves its assignment:

=====================================  ==================================================
its row says that it ran               its outcome is reported
its row says that it was passed over   CANCELLED if that was asked for, else it goes back
it had not started when forbidden      the same, without waiting for its row
its worker was ended, it had started   CANCELLED if that was asked for, else LOST
its worker was ended, it had not       CANCELLED if asked for; goes back if we ended it
                                       or it was never ready; else LOST
=====================================  ==================================================

"Goes back" means that it is handed to another worker, and nobody hears of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from asyncexec.backends.contract import AttemptSpec, StageProgram
from asyncexec.backends.processes.frames import Row
from asyncexec.events.outcome import ErrorInfo, Outcome, Status


class Ending(Enum):
    """Why a worker process is no more."""

    NEVER_READY = auto()
    """It ended before it could take work."""
    KILLED = auto()
    """It was killed to stop a job."""
    DIED = auto()
    """Nobody here asked it to end."""


@dataclass(slots=True, eq=False)
class Freed:
    """What has left an assignment: outcomes to report, and jobs that go back."""

    outcomes: list[Outcome] = field(default_factory=list)
    back: list[AttemptSpec] = field(default_factory=list)


class Assignment:
    """Jobs of one program in the hands of one worker."""

    __slots__ = (
        "_gone",
        "_unwanted",
        "apart_from",
        "done",
        "jobs",
        "number",
        "program",
        "revoked",
        "told",
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
        """Workers by which it is better not run."""
        self.number = 0
        """The batch's number at its worker, from 1; 0 while it waits for one."""
        self.done = 0
        """How many rows have been taken in."""
        self.told = -1
        """Position of the last job reported as started."""
        self.revoked = False
        # Positions from `done` on: those that were asked to be cancelled, and those that have left already.
        self._unwanted: set[int] = set()
        self._gone: set[int] = set()

    @property
    def complete(self) -> bool:
        """Whether its worker is through with it."""
        return self.done == len(self.jobs)

    @property
    def unsettled(self) -> bool:
        """Whether jobs are to leave it without being run."""
        return self.revoked or bool(self._unwanted)

    def unwanted(self, position: int) -> bool:
        """Whether the job at ``position`` is to be cancelled."""
        return position in self._unwanted

    def start(self, position: int) -> AttemptSpec | None:
        """Return the job that has started at ``position``, if that is news and the job still belongs here."""
        if position <= self.told or position < self.done or position in self._gone:
            return None
        self.told = position
        return self.jobs[position]

    def drop(self, attempts: Collection[int]) -> list[int]:
        """Want these attempts cancelled, and return their positions."""
        found = [
            position
            for position, job in enumerate(self.jobs)
            if position >= self.done and position not in self._gone and job.attempt in attempts
        ]
        self._unwanted.update(found)
        return found

    def take(self, first: int, rows: Iterable[Row], worker: str) -> Freed:
        """Take in outcomes from position ``first`` on."""
        freed = Freed()
        if first > self.done:
            return freed
        plain = not (self._gone or self.unsettled)
        for position, row in enumerate(rows, first):
            if position < self.done:
                continue
            self.done = position + 1
            job = self.jobs[position]
            if plain:
                freed.outcomes.append(row.outcome(job.attempt, worker))
            else:
                self._take_one(position, job, row, worker, freed)
        return freed

    def _take_one(
        self, position: int, job: AttemptSpec, row: Row, worker: str, freed: Freed
    ) -> None:
        unwanted = position in self._unwanted
        self._unwanted.discard(position)
        if position in self._gone:
            self._gone.discard(position)
        elif not row.skipped:
            freed.outcomes.append(row.outcome(job.attempt, worker))
        elif unwanted:
            freed.outcomes.append(Outcome(job.attempt, Status.CANCELLED))
        else:
            freed.back.append(job)

    def settle(self, begun: int) -> Freed:
        """Free what is forbidden and lies behind position ``begun``, the last that has started (-1: none has)."""
        freed = Freed()
        for position, job in self._left():
            if position <= begun:
                continue
            if position in self._unwanted:
                freed.outcomes.append(Outcome(job.attempt, Status.CANCELLED))
            elif self.revoked:
                freed.back.append(job)
            else:
                continue
            self._unwanted.discard(position)
            self._gone.add(position)
        return freed

    def end(
        self, ending: Ending, running: int | None, lost: Outcome, error: ErrorInfo | None
    ) -> Freed:
        """Free everything, because the worker has ended.

        Parameters
        ----------
        ending : Ending
        running : int or None
            Position of the job that was running.
        lost : Outcome
            Of that job, as ``LOST``; its attempt is filled in here.
        error : ErrorInfo or None
            What to say of those that were lost before they started.
        """
        freed = Freed()
        for position, job in self._left():
            if position in self._unwanted:
                gone = Outcome(job.attempt, Status.CANCELLED)
                if position == running:
                    gone = lost._replace(attempt=job.attempt, status=Status.CANCELLED, error=None)
                freed.outcomes.append(gone)
            elif position == running and ending is not Ending.NEVER_READY:
                freed.outcomes.append(lost._replace(attempt=job.attempt))
            elif ending is Ending.DIED:
                freed.outcomes.append(Outcome(job.attempt, Status.LOST, error=error))
            else:
                freed.back.append(job)
        self.done = len(self.jobs)
        return freed

    def _left(self) -> Iterator[tuple[int, AttemptSpec]]:
        for position in range(self.done, len(self.jobs)):
            if position not in self._gone:
                yield position, self.jobs[position]
