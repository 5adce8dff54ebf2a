"""A batch on its way through a blocking system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from asyncexec.backends.adapters.blocking_system import Handle
from asyncexec.backends.adapters.call_in_thread import LocalCall
from asyncexec.backends.adapters.calls_in_worker import NEEDS_PROGRAM
from asyncexec.backends.contract import Job, Program, Started
from asyncexec.backends.wire import decode_outcomes
from asyncexec.backends.worker import describe
from asyncexec.errors import AsyncexecError, BackendError
from asyncexec.events.outcome import Outcome, Status


class Call:
    """A batch, from its submission to its end.

    ``owed`` holds the attempts without an outcome, and ``doomed`` those to be cancelled once there is a handle.
    """

    def __init__(self, program: Program, jobs: Sequence[Job], *, shares_memory: bool) -> None:
        self.program = program
        self.jobs = jobs
        self.owed = {job.attempt for job in jobs}
        self.doomed: set[int] = set()
        self.settled = asyncio.Event()
        self.local = LocalCall(program, jobs) if shares_memory else None
        self.send_program = False
        self.handle: Handle | None = None
        self.sent_at = 0.0
        self.started_at = 0.0
        self._told: Started | None = None

    def settle(self, attempts: Iterable[int]) -> None:
        """Take note that these have an outcome."""
        self.owed.difference_update(attempts)
        if not self.owed:
            self.settled.set()

    def look(self, worker: str) -> Started | None:
        """Return what is found started for the first time: of a call far away its first job, by ``worker``."""
        if self.local is not None:
            running = self.local.running
            if running is None or running is self._told or running.attempt not in self.owed:
                return None
            self._told = running
            self.started_at = time.time()
            return running
        if self.started_at or self.handle is None or not self.handle.running():
            return None
        self.started_at = time.time()
        return Started(self.jobs[0].attempt, worker)

    @property
    def forlorn(self) -> bool:
        """Whether the worker is at a job that nobody waits for, with others of the batch behind it."""
        running = None if self.local is None else self.local.running
        return running is not None and bool(self.owed) and running.attempt not in self.owed

    def drop(self, attempts: Collection[int]) -> None:
        """Leave these out when it is sent, and all that is not owed any more."""
        self.jobs = [j for j in self.jobs if j.attempt in self.owed and j.attempt not in attempts]
        if self.local is not None:
            self.local.dropped.update(attempts)

    def claim(self, attempts: Collection[int]) -> set[int]:
        """Return those of ``attempts`` that are owed and will not be saved from now on."""
        hit = self.owed.intersection(attempts)
        if self.local is not None:
            # A worker that has taken the fence is saving: its outcome follows.
            hit = {attempt for attempt in hit if self.local.fences[attempt].take()}
            self.local.dropped |= hit
        return hit

    def not_started(self, attempts: Collection[int]) -> set[int]:
        """Return those of ``attempts`` that are known not to have started."""
        if self.local is None:
            return set()
        running = self.local.running
        return {a for a in attempts if running is None or a != running.attempt}

    def outcomes(self, answer: Any) -> list[Outcome] | None:
        """Return the outcomes in what the worker answered; None where it needs the program first.

        Raises
        ------
        BackendError
            If it is no answer to this.
        """
        if self.local is not None:
            return self.local.ended()
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
