"""A batch of which many attempts run at once, on the worker's event loop, as a worker without its own loop sees it.

It has the calls of a batch that runs in a thread: one thread waits for its end, and others stop attempts. Kernels that
are no coroutine functions run in the thread that waits, which may have what they need: pools prepare their threads.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING

from asyncexec.events.outcome import Outcome
from asyncexec.worker.control import NOTHING_STOPPED, StopResult
from asyncexec.worker.event_loop import EVENT_LOOP
from asyncexec.worker.records import Note, Started
from asyncexec.worker.reports import MOST_NOTES
from asyncexec.worker.thread_jobs import Jobs, serve

if TYPE_CHECKING:
    from asyncexec.worker.lanes import LaneGroup
    from asyncexec.worker.programs import ProgramSource
    from asyncexec.worker.records import AttemptSpec
    from asyncexec.worker.reports import ReportSink

type LeaveSaves = Callable[[Collection[int]], dict[int, threading.Event]]

START_SECONDS = 0.02
"""How long an attempt may run before its start is reported by itself."""


class ConcurrentControl:
    """Stops attempts of a batch, from any thread; the outcome of each follows in its reports.

    It has the attributes of a :class:`~asyncexec.worker.control.BatchControl`, of which nothing is ever left behind: an
    attempt that ignores being cancelled is reported as cancelled, and the batch goes on.
    """

    def __init__(self) -> None:
        self.left = False
        self.on_left: Callable[[], None] | None = None
        self.running: int | None = None
        self.running_since = 0.0
        self.waiting: frozenset[int] = frozenset()
        self._lock = threading.Lock()
        # Those stopped before the loop's thread had a runner for them.
        self._early: set[int] = set()
        self._stop: Callable[[Collection[int]], object] | None = None
        self._leave_saves: LeaveSaves | None = None

    def stop(self, attempts: Collection[int], *, leave: bool = True) -> StopResult:
        """Drop those of ``attempts`` that have not started, and cancel those that run, also without ``leave``."""
        del leave
        # The same lock as in `begin`: a stop in between would find neither the runner nor somebody who reads
        # `_early`.
        with self._lock:
            if self._stop is None:
                self._early.update(attempts)
            else:
                self._stop(frozenset(attempts))
        return NOTHING_STOPPED

    def hold(self, attempt: int) -> bool:
        """Return False: others start whatever runs."""
        del attempt
        return False

    def leave_saves(self, attempts: Collection[int]) -> dict[int, threading.Event]:
        """Give up those of ``attempts`` that save; return for each an event that is set as its save ends."""
        return {} if self._leave_saves is None else self._leave_saves(attempts)

    def begin(
        self,
        stop: Callable[[Collection[int]], object],
        leave_saves: LeaveSaves | None = None,
    ) -> None:
        """Note how to stop attempts, and to give up what saves, and stop those that were to be stopped before."""
        with self._lock:
            self._stop, self._leave_saves = stop, leave_saves
            if self._early:
                stop(frozenset(self._early))


class ConcurrentReports:
    """Takes the reports of an event loop's thread for another one; neither waits for the other.

    The start of an attempt is returned once, when it has run for 20 ms and still runs.
    """

    def __init__(self, worker: str = "") -> None:
        self.worker = worker
        # Deques, whose appends and pops are atomic: the loop must not wait for a lock that a slow reader holds.
        self._outcomes: deque[Outcome] = deque()
        self._notes: deque[Note] = deque(maxlen=MOST_NOTES)
        self.noted = self._notes.append
        self._starts: deque[tuple[float, int]] = deque()
        self._running: set[int] = set()

    def started(self, attempt: int) -> None:
        """Note that an attempt runs from now on."""
        self._running.add(attempt)
        self._starts.append((time.monotonic(), attempt))

    def ended(self, outcome: Outcome) -> None:
        """Note how it ended."""
        self._running.discard(outcome.attempt)
        self._outcomes.append(outcome)

    def outcomes(self) -> list[Outcome]:
        """Remove and return the outcomes so far."""
        # As many as there are now: the loop may append as fast as this takes away.
        taken = self._outcomes
        return [taken.popleft() for _ in range(len(taken))]

    def notes(self) -> list[Note]:
        """Remove and return the notes so far; those of an attempt are taken before its outcome."""
        taken = self._notes
        return [taken.popleft() for _ in range(len(taken))]

    @property
    def has_starts(self) -> bool:
        """True while there are attempts that have not run for long enough to be returned by :meth:`starts`."""
        return bool(self._starts)

    def starts(self) -> list[Started]:
        """Return the starts that were not returned before, of attempts that have run for a while and still run."""
        starts, before = self._starts, time.monotonic() - START_SECONDS
        found: list[Started] = []
        # They stand in the order of their starts, so that the first that is too young ends the look.
        while starts and starts[0][0] <= before:
            _, attempt = starts.popleft()
            if attempt in self._running:
                found.append(Started(attempt, self.worker))
        return found


class ConcurrentBatchRunner:
    """Runs one batch on the worker's event loop, while the thread that calls :meth:`run` waits.

    Parameters
    ----------
    specs : iterable of AttemptSpec
        The attempts, in their order.
    program : callable
        Returns the program.
    concurrency : int
        How many attempts run at once.
    control : ConcurrentControl
        Of the batch.
    sink : ReportSink
        Takes the reports, in the loop's thread: of each attempt there is an outcome.
    worker : str
        The worker's name in outcomes.
    keep_exception : bool
        Whether outcomes hold the exception itself, for workers in the driver's process.
    """

    def __init__(
        self,
        specs: Iterable[AttemptSpec],
        program: ProgramSource,
        *,
        concurrency: int,
        control: ConcurrentControl,
        sink: ReportSink,
        worker: str,
        keep_exception: bool = False,
    ) -> None:
        self._specs = specs
        self._source = program
        self._concurrency = concurrency
        self._control = control
        self._sink = sink
        self._worker = worker
        self._keep_exception = keep_exception

    def run(self) -> bool:
        """Run the attempts, and return True when each has its outcome."""
        from asyncexec.worker.concurrent_runner import ConcurrentRunner
        from asyncexec.worker.lanes import Lanes

        loop = EVENT_LOOP.get()
        kernels: Jobs = queue.SimpleQueue()
        lanes = Lanes(first=kernels).group(self._concurrency)
        runner = ConcurrentRunner(
            self._specs,
            self._source,
            lanes=lanes,
            sink=self._sink,
            worker=self._worker,
            ended=partial(_end, lanes, kernels),
            keep_exception=self._keep_exception,
        )
        # Before the start: an attempt that was stopped already must be dropped before it can begin.
        self._control.begin(
            lambda attempts: loop.call_soon_threadsafe(runner.stop, attempts), runner.leave_saves
        )
        loop.call_soon_threadsafe(runner.start)
        serve(kernels)
        return True


def _end(lanes: LaneGroup, kernels: Jobs) -> None:
    """End the threads of a batch, in the thread of the loop: later it might be closed."""
    lanes.remove()
    kernels.put(None)
