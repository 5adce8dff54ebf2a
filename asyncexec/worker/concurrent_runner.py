"""The batch loop on an event loop: run as many attempts of a batch at once as there are lanes, and report each.

All of it happens in the loop's thread. Whoever wants attempts stopped says so there; the outcome of each follows, of
those that had not started too.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.plan.coroutine_functions import is_coroutine_function
from asyncexec.worker.attempt import describe
from asyncexec.worker.awaited_attempt import run_awaited
from asyncexec.worker.event_loop import GRACE_SECONDS
from asyncexec.worker.forks import FORKS
from asyncexec.worker.runner import (
    batch_context,
    has_decimals,
    hold_settings,
    let_go,
    own_decimals,
    ready_program,
)

if TYPE_CHECKING:
    from asyncexec.worker.lanes import LaneGroup
    from asyncexec.worker.loop_threads import PacedKernels
    from asyncexec.worker.programs import LoadedProgram, ProgramSource
    from asyncexec.worker.records import AttemptSpec
    from asyncexec.worker.reports import ReportSink
    from asyncexec.worker.task_context import Forwards


class ConcurrentRunner:
    """Runs one batch; methods belong to the thread of the event loop.

    Parameters
    ----------
    specs : iterable of AttemptSpec
        The attempts, in their order.
    program : callable
        Returns the program; called when the first attempt starts.
    lanes : LaneGroup
        Those in which its attempts run.
    sink : ReportSink
        Takes the reports: of each attempt there is an outcome.
    worker : str
        The worker's name in outcomes.
    ended : callable
        Called when every attempt has its outcome.
    keep_exception : bool
        Whether outcomes hold the exception itself, for workers in the driver's process.

    Attributes
    ----------
    abandoned : int
        The attempts that were left behind, because they ignored being cancelled.
    given_up : set of int
        The attempts of which nobody waits for an outcome any more; added to, in any thread, where the loop is blocked.
    saving : dict of int to Event
        The attempts that save, and what is set as they end.
    """

    def __init__(
        self,
        specs: Iterable[AttemptSpec],
        program: ProgramSource,
        *,
        lanes: LaneGroup,
        sink: ReportSink,
        worker: str,
        ended: Callable[[], object],
        keep_exception: bool = False,
    ) -> None:
        self.abandoned = 0
        self.given_up: set[int] = set()
        self._specs = deque(specs)
        self._source = program
        self._program: LoadedProgram | ErrorInfo | None = None
        self._own_decimals = self._held = False
        self._kernels: PacedKernels | None = None
        self.saving: dict[int, threading.Event] = {}
        self._lanes = lanes
        self._sink = sink
        self._worker = worker
        self._ended = ended
        self._keep_exception = keep_exception
        self._forwarding: Forwards | None = None
        self._dropped: set[int] = set()
        self._running: dict[int, asyncio.Task[Outcome]] = {}
        self._started_at: dict[int, float] = {}
        self._stopping: set[int] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = False
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the attempts as lanes are free; those that were stopped before have ended."""
        if self._over:
            return
        self._loop = asyncio.get_running_loop()
        FORKS.watch_loop(self._loop)
        if self._specs:
            self._lanes.add(self)
        else:
            self._check_end()

    def begin_next(self) -> bool:
        """Start the next attempt; False if there is none."""
        while self._specs:
            spec = self._specs.popleft()
            if spec.attempt in self._dropped:
                self._dropped.discard(spec.attempt)
                continue
            if spec.attempt in self.given_up:
                continue
            self._begin(spec)
            return True
        self._check_end()
        return False

    def stop(self, attempts: Collection[int]) -> None:
        """Drop those of ``attempts`` that have not started, and cancel those that run."""
        # They stay in the queue until their turn: to remove them would be a pass over it for every stop.
        waiting = {spec.attempt for spec in self._specs} - self._dropped
        for attempt in waiting.intersection(attempts):
            self._dropped.add(attempt)
            self._sink.ended(Outcome(attempt, Status.CANCELLED))
        # Each once: a second cancellation would break into what a task awaits in order to clean up.
        running = self._running.keys() & set(attempts) - self._stopping
        self._stopping |= running
        for attempt in running:
            self._running[attempt].cancel()
        if running:
            # A task may catch the cancellation and go on: nobody waits for it longer than this.
            asyncio.get_running_loop().call_later(GRACE_SECONDS, self._leave, running)
        self._check_end()

    def started_at(self, attempt: int) -> float:
        """Return when an attempt that runs has started, in seconds since the epoch; 0 if it does not run."""
        return self._started_at.get(attempt, 0.0)

    def _begin(self, spec: AttemptSpec) -> None:
        attempt = spec.attempt
        self._sink.started(attempt)
        program = self._loaded()
        # Before the task: on a loop that starts tasks eagerly it may have ended when it is returned.
        self._started_at[attempt] = time.time()
        task = asyncio.get_running_loop().create_task(
            _failed(spec, program, self._worker)
            if isinstance(program, ErrorInfo)
            else self._attempt(spec, program),
            context=self._own_context(program),
        )
        self._running[attempt] = task
        task.add_done_callback(partial(self._done, attempt))

    def _attempt(self, spec: AttemptSpec, program: LoadedProgram) -> Coroutine[Any, Any, Outcome]:
        control = _AttemptControl(self, spec.attempt)
        batch = batch_context(program, worker=self._worker, control=control, sink=self._sink)
        self._forwarding = None if batch is None else batch.forwarding
        return run_awaited(
            spec,
            program,
            worker=self._worker,
            control=control,
            keep_exception=self._keep_exception,
            batch=batch,
            kernels=self._kernels,
            noted=self._sink.noted,
        )

    def _loaded(self) -> LoadedProgram | ErrorInfo:
        if self._program is None:
            try:
                self._program = ready_program(self._source, self._worker)
                self._held = hold_settings(self._program)
                self._own_decimals = has_decimals(self._program.context)
                if self._program.io is not None and not is_coroutine_function(self._program.kernel):
                    self._kernels = self._lanes.paced_kernels()
            except BaseException as error:  # noqa: BLE001 - whatever importing users' modules raises
                self._program = describe(error, keep=self._keep_exception)
        return self._program

    def _own_context(self, program: LoadedProgram | ErrorInfo) -> Context:
        """Return a context in which nothing but the caller's variables are set, for one attempt."""
        if isinstance(program, ErrorInfo) or program.context is None:
            return Context()
        context = program.context.copy()
        if self._own_decimals:
            context.run(own_decimals)
        return context

    def may_save(self, attempt: int) -> bool:
        """Return whether an attempt may save: somebody waits for its outcome."""
        return attempt in self._started_at and attempt not in self.given_up

    def take_save(self, attempt: int) -> bool:
        """Return whether an attempt may save, which it does from now on if so."""
        with self._lock:
            # Decided under one lock with `leave_saves`: an attempt saves and is found there, or it is given up and
            # never saves.
            if not self.may_save(attempt):
                return False
            self.saving[attempt] = threading.Event()
            return True

    def leave_saves(self, attempts: Collection[int]) -> dict[int, threading.Event]:
        """Give up those of ``attempts`` that save; return for each an event that is set as its save ends.

        Called in any thread. No outcome of them follows.
        """
        with self._lock:
            found = [a for a in attempts if a in self.saving and a not in self.given_up]
            self.given_up.update(found)
            return {attempt: self.saving[attempt] for attempt in found}

    def is_stopped(self, attempt: int) -> bool:
        """Return whether an attempt was asked to stop."""
        return attempt in self._stopping or not self.may_save(attempt)

    def _done(self, attempt: int, task: asyncio.Task[Outcome]) -> None:
        if self.saving:
            with self._lock:
                saved = self.saving.pop(attempt, None)
            if saved is not None:
                # Somebody may wait for it before another attempt writes to the same place.
                saved.set()
        if self._running.pop(attempt, None) is None:
            return  # It was left behind, and has ended after all.
        del self._started_at[attempt]
        self._stopping.discard(attempt)
        # A task that is cancelled before its first step never runs.
        outcome = Outcome(attempt, Status.CANCELLED) if task.cancelled() else task.result()
        if self._forwarding is not None and self._forwarding.pending:
            self._forwarding.flush(attempt)
        self._report(outcome)

    def _leave(self, attempts: Collection[int]) -> None:
        """Leave behind those attempts that have not ended since they were cancelled, but for those that save."""
        # Once it saves, nothing can tell from outside how much it has written, so its outcome is waited for.
        for attempt in self._stopping.intersection(attempts) - self.saving.keys():
            if self._kernels is not None:
                self._kernels.leave(attempt)
            del self._running[attempt]
            self._stopping.discard(attempt)
            self.abandoned += 1
            since = self._started_at.pop(attempt)
            seconds = max(time.time() - since, 0.0)
            self._report(Outcome(attempt, Status.CANCELLED, self._worker, since, seconds))

    def _report(self, outcome: Outcome) -> None:
        if outcome.attempt not in self.given_up:
            self._sink.ended(outcome)
        self._lanes.release()
        self._check_end()

    def _check_end(self) -> None:
        # What is left in the queue was dropped, and has its outcome.
        if not self._over and not self._running and len(self._specs) == len(self._dropped):
            self._over = True
            if self._loop is not None:
                FORKS.leave_loop(self._loop)
            if self._held:
                let_go()
            self._ended()


class _AttemptControl:
    """The control of one attempt of many."""

    __slots__ = ("_attempt", "_runner")

    def __init__(self, runner: ConcurrentRunner, attempt: int) -> None:
        self._runner = runner
        self._attempt = attempt

    @property
    def left(self) -> bool:
        return self._runner.is_stopped(self._attempt)

    def take(self) -> bool:
        return self._runner.take_save(self._attempt)

    def begin(self, attempt: int) -> bool:
        return attempt == self._attempt

    def end(self) -> bool:
        return True

    def awaits(self, cancel: Callable[[], object]) -> None:
        """Do nothing: its asyncio task is cancelled."""


async def _failed(spec: AttemptSpec, why: ErrorInfo, worker: str) -> Outcome:
    return Outcome(spec.attempt, Status.FAILED, worker, time.time(), error=why)
