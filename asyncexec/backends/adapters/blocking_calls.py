"""The state of one batch that is submitted to a blocking system."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from asyncexec.backends.adapters.blocking_system import Handle
from asyncexec.backends.contract import AttemptSpec, Note, StageProgram, Started
from asyncexec.errors import AsyncexecError, BackendError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.attempt import describe
from asyncexec.worker.codec import decode_reports
from asyncexec.worker.local_batch import LocalBatch
from asyncexec.worker.remote_batch import NEEDS_PROGRAM


class BlockingCall:
    """A batch as one call of a blocking system, from the queue to its end."""

    def __init__(self, program: StageProgram, jobs: Sequence[AttemptSpec], *, local: bool) -> None:
        self.program = program
        self.jobs = jobs
        self.pending = {job.attempt for job in jobs}
        """The attempts without an outcome."""
        self.to_cancel: set[int] = set()
        """The attempts to cancel as soon as there is a handle: the system's thread is just submitting the call."""
        self.settled = asyncio.Event()
        """Set when no attempt is pending."""
        self.local: LocalBatch | None = None
        if local:
            self.local = LocalBatch(program.runnable, jobs, concurrency=program.concurrency)
        """The batch itself, where it runs in this process."""
        self.send_program = False
        self.handle: Handle | None = None
        self.sent_at = 0.0
        self.started_at = 0.0

    def settle(self, attempts: Iterable[int]) -> None:
        """Note that these attempts have an outcome."""
        self.pending.difference_update(attempts)
        if not self.pending:
            self.settled.set()

    def new_starts(self, worker: str) -> list[Started]:
        """Return the starts that were not returned before; a remote call shows only those of its first attempts."""
        if self.local is not None:
            return self.local.reports.starts()
        if self.started_at or self.handle is None or not self.handle.running():
            return []
        self.started_at = time.time()
        # Of those that load and save at once, only the first is certain to have begun: others wait for its kernel, and
        # would all be taken for hung with the one that is.
        first = self.jobs[: 1 if self.program.overlaps else self.program.concurrency]
        return [Started(job.attempt, worker) for job in first if job.attempt in self.pending]

    @property
    def is_overlapping(self) -> bool:
        """True if its attempts load and save at once in another process: they may be repeated, and end together."""
        return self.program.overlaps and self.local is None

    def drop(self, attempts: Collection[int]) -> None:
        """Leave out these attempts, and those that are no longer pending, when the call is sent."""
        self.jobs = [
            j for j in self.jobs if j.attempt in self.pending and j.attempt not in attempts
        ]
        if self.local is not None:
            self.local.control.stop(attempts)

    def reports(self, answer: Any) -> tuple[list[Note], list[Outcome]] | None:
        """Return the notes and outcomes in the worker's answer; None if the worker needs the program first.

        Raises BackendError if it is no answer to this call.
        """
        if self.local is not None:
            outcomes = self.local.reports.outcomes()
            return self.local.reports.notes(), outcomes
        if not isinstance(answer, bytes):
            raise BackendError(f"a worker answered with {answer!r} instead of outcomes")
        if answer == NEEDS_PROGRAM:
            return None
        reports = decode_reports(answer)
        notes = [report for report in reports if isinstance(report, Note)]
        return notes, self._uncharged([r for r in reports if isinstance(r, Outcome)])

    def _uncharged(self, outcomes: list[Outcome]) -> list[Outcome]:
        """Name no worker in losses of several attempts that loaded and saved at once: any may have ended it."""
        lost = [o for o in outcomes if o.status is Status.LOST and o.started]
        if not self.is_overlapping or len(lost) < 2:
            return outcomes
        return [o._replace(worker="") if o.status is Status.LOST else o for o in outcomes]

    def ran(
        self,
        attempts: Iterable[int],
        status: Status,
        worker: str,
        error: BaseException | None = None,
    ) -> list[Outcome]:
        """Return outcomes of attempts that may have been running, and that the worker did not report."""
        started = self.started_at or self.sent_at
        seconds = max(time.time() - started, 0.0)
        info = None if error is None else describe(error, keep=isinstance(error, AsyncexecError))
        return [Outcome(a, status, worker, started, seconds, error=info) for a in attempts]
