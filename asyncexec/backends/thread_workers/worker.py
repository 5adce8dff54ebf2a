"""The thread side of the threads backend: a batch while a thread runs it.

A thread and the event loop share a :class:`Run`. Its lock is held for a fraction of a microsecond between two jobs,
when the thread puts down one outcome and claims the next job; under the same lock the loop collects outcomes, drops
jobs that have not been claimed, and gives up the one that runs. So every job has one owner at any time, and one
outcome in the end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextvars import Context

from asyncexec.backends.contract import Job, Program, Report, Started
from asyncexec.backends.worker import Fence, run_job
from asyncexec.events.outcome import Outcome, Status


class Run:
    """A batch on its way through one thread."""

    __slots__ = (
        "_announced",
        "_claimed_at",
        "_dropped",
        "_fence",
        "_given_up",
        "_jobs",
        "_lock",
        "_outcomes",
        "_position",
        "_worker",
        "program",
    )

    def __init__(self, program: Program, jobs: Sequence[Job]) -> None:
        self.program = program
        self._jobs = jobs
        self._lock = threading.Lock()
        self._worker = ""
        self._position = -1  # of the last job that was claimed
        self._fence: Fence | None = None  # of the job that runs now
        self._claimed_at = 0.0
        self._outcomes: list[Outcome] = []
        self._announced = -1
        self._dropped: set[int] = set()
        self._given_up = False

    def work(self, worker: str) -> bool:
        """Run the jobs in this thread; return False if the thread was given up, and must end.

        Each job has an empty context of its own: what another job set in context variables (NumPy's error state,
        decimal's precision) does not reach it, just as in another process.
        """
        kernel, io, shape = self.program.kernel, self.program.io, self.program.shape
        lock, dropped = self._lock, self._dropped
        self._worker = worker
        outcome: Outcome | None = None
        for position, job in enumerate(self._jobs):
            fence = Fence()
            with lock:
                if self._given_up:
                    return False
                if outcome is not None:
                    self._outcomes.append(outcome)
                    outcome = None
                self._position = position
                if job.attempt in dropped:
                    self._fence = None
                    continue
                self._fence = fence
                self._claimed_at = time.time()
            outcome = Context().run(
                run_job, job, kernel, io, shape, worker=worker, fence=fence, keep_exception=True
            )
        with lock:
            self._fence = None
            if outcome is not None and not self._given_up:
                self._outcomes.append(outcome)
            return not self._given_up

    def collect(self) -> tuple[list[Outcome], Started | None]:
        """Return the outcomes since the last call, and what has started and was not yet told."""
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
            if self._fence is None or self._announced == self._position:
                return outcomes, None
            self._announced = self._position
            return outcomes, Started(self._jobs[self._position].attempt, self._worker)

    def cancel(self, attempts: Collection[int]) -> tuple[list[Report], Run | None]:
        """Drop jobs that have not started, and give up the one that runs unless it is saving.

        Returns
        -------
        list of Report
            The outcomes of the cancelled attempts, after those that were there to collect.
        Run or None
            Where the running one was given up: what is left to do, for another thread.
        """
        wanted = [p for p, job in enumerate(self._jobs) if job.attempt in attempts]
        if not wanted:
            return [], None
        with self._lock:
            outcomes: list[Report] = [*self._outcomes]
            self._outcomes = []
            for position in wanted:
                attempt = self._jobs[position].attempt
                if position > self._position and attempt not in self._dropped:
                    self._dropped.add(attempt)
                    outcomes.append(Outcome(attempt, Status.CANCELLED))
            if self._position not in wanted or self._fence is None or not self._fence.take():
                return outcomes, None
            self._given_up = True
            attempt, seconds = self._jobs[self._position].attempt, time.time() - self._claimed_at
            outcomes.append(
                Outcome(
                    attempt, Status.CANCELLED, self._worker, self._claimed_at, max(seconds, 0.0)
                )
            )
            left = self._jobs[self._position + 1 :]
            return outcomes, Run(self.program, [j for j in left if j.attempt not in self._dropped])

    @property
    def attempts(self) -> list[int]:
        """The ids of all its attempts."""
        return [job.attempt for job in self._jobs]


class Worker:
    """A thread that takes runs, one after another, until it is told to end or is given up.

    Parameters
    ----------
    name : str
        What outcomes call it.
    take : callable
        Waits for the next run; None is the end.
    ended : callable
        Called in the thread after a run has ended.
    exited : callable
        Called in the thread as its last act.
    """

    __slots__ = ("_ended", "_exited", "_take", "crash", "name", "run", "thread")

    def __init__(
        self,
        name: str,
        *,
        take: Callable[[], Run | None],
        ended: Callable[[Run], None],
        exited: Callable[[Worker], None],
    ) -> None:
        self.name = name
        self.run: Run | None = None
        self.crash: BaseException | None = None
        self._take = take
        self._ended = ended
        self._exited = exited
        self.thread = threading.Thread(target=self._main, name=f"asyncexec-{name}", daemon=True)

    def start(self, first: Run | None = None) -> None:
        """Start the thread, with ``first`` before anything it takes."""
        self.run = first
        self.thread.start()

    def _main(self) -> None:
        try:
            run = self._take() if self.run is None else self.run
            while run is not None:
                self.run = run
                if not run.work(self.name):
                    break
                self.run = None
                self._ended(run)
                run = self._take()
        except BaseException as error:  # noqa: BLE001 - the loop must hear of it, whatever it is
            self.crash = error
        finally:
            self._exited(self)
