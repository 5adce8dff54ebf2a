"""What is submitted to a foreign pool of threads: a batch as a function, whose progress the driver sees."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from asyncexec.backends.contract import Job, Program, Started
from asyncexec.backends.worker import Fence, run_job
from asyncexec.events.outcome import Outcome


class LocalCall:
    """A batch for a worker that shares the driver's memory.

    Attributes
    ----------
    dropped : set of int
        Attempts that are not to be started.
    fences : dict of int to Fence
        Decide who has an attempt: the worker that saves it, or whoever gives it up.
    running : Started or None
        What the worker is at.
    """

    def __init__(self, program: Program, jobs: Sequence[Job]) -> None:
        self.dropped: set[int] = set()
        self.fences = {job.attempt: Fence() for job in jobs}
        self.running: Started | None = None
        self._ended: deque[Outcome] = deque()
        self._program = program
        self._jobs = jobs

    def __call__(self) -> None:
        """Run the jobs in this thread."""
        program, worker = self._program, threading.current_thread().name
        for job in self._jobs:
            if job.attempt in self.dropped:
                continue
            self.running = Started(job.attempt, worker)
            outcome = run_job(
                job,
                program.kernel,
                program.io,
                program.shape,
                worker=worker,
                fence=self.fences[job.attempt],
                keep_exception=True,
            )
            self._ended.append(outcome)
        self.running = None

    def ended(self) -> list[Outcome]:
        """Return the outcomes since this was last asked."""
        return [self._ended.popleft() for _ in range(len(self._ended))]
