"""A batch on its way through a blocking system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from asyncexec.backends.adapters.blocking_system import Handle
from asyncexec.backends.contract import AttemptSpec, StageProgram, Started
from asyncexec.errors import AsyncexecError, BackendError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.codec import decode_outcomes
from asyncexec.worker.local_batch import LocalBatch
from asyncexec.worker.remote_batch import NEEDS_PROGRAM


class Call:
    """A batch, from its submission to its end.

    ``owed`` holds the attempts without an outcome, and ``doomed`` those to be cancelled once there is a handle.
    """

    def __init__(
        self, program: StageProgram, jobs: Sequence[AttemptSpec], *, shares_memory: bool
    ) -> None:
        self.program = program
        self.jobs = jobs
        self.owed = {job.attempt for job in jobs}
        self.doomed: set[int] = set()
        self.settled = asyncio.Event()
        self.local = LocalBatch(program.runnable, jobs) if shares_memory else None
        self.send_program = False
        self.handle: Handle | None = None
        self.sent_at = 0.0
        self.started_at = 0.0

    def settle(self, attempts: Iterable[int]) -> None:
        """Note that these have an outcome."""
        self.owed.difference_update(attempts)
        if not self.owed:
            self.settled.set()

    def look(self, worker: str) -> Started | None:
        """Return the attempt that is found started for the first time: of a remote call its first, by ``worker``."""
        if self.local is not None:
            return self.local.reports.start(self.local.control.running)
        if self.started_at or self.handle is None or not self.handle.running():
            return None
        self.started_at = time.time()
        return Started(self.jobs[0].attempt, worker)

    def drop(self, attempts: Collection[int]) -> None:
        """Leave these out when it is sent, and all that is not owed any more."""
        self.jobs = [j for j in self.jobs if j.attempt in self.owed and j.attempt not in attempts]
        if self.local is not None:
            self.local.control.stop(attempts)

    def outcomes(self, answer: Any) -> list[Outcome] | None:
        """Return the outcomes in what the worker answered; None where it needs the program first.

        Raises
        ------
        BackendError
            If it is no answer to this.
        """
        if self.local is not None:
            return self.local.reports.outcomes()
        if not isinstance(answer, bytes):
            raise BackendError(f"a worker answered with {answer!r} instead of outcomes")
        return None if answer == NEEDS_PROGRAM else decode_outcomes(answer)

    def ran(
        self,
        attempts: Iterable[int],
        status: Status,
        worker: str,
        error: BaseException | None = None,
    ) -> list[Outcome]:
        """Return outcomes of attempts that may have been running, of which the worker says nothing."""
        started = self.started_at or self.sent_at
        seconds = max(time.time() - started, 0.0)
        told = None if error is None else describe(error, keep=isinstance(error, AsyncexecError))
        return [Outcome(a, status, worker, started, seconds, error=told) for a in attempts]
