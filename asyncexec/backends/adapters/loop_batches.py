"""Batches of coroutine tasks for a backend in the driver's process, on the caller's event loop or on the worker's.

On the caller's loop everything happens in its thread. On the worker's, calls go there and reports come back in turns of
the two loops, each of which wakes the other once for any number of them.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from asyncexec.events.outcome import Outcome, Status
from asyncexec.worker.concurrent_batch import START_SECONDS, ConcurrentReports
from asyncexec.worker.concurrent_runner import ConcurrentRunner
from asyncexec.worker.event_loop import EVENT_LOOP, GRACE_SECONDS
from asyncexec.worker.lanes import LaneGroup, Lanes

if TYPE_CHECKING:
    from asyncexec.backends.contract import Batch, Report
    from asyncexec.backends.report_stream import ReportStream

PATIENCE_SECONDS = 3 * GRACE_SECONDS
"""The time after which a loop that has not answered counts as blocked: a coroutine on it does not await."""


class LoopBatches:
    """The batches of coroutine tasks of one backend; methods belong to the event loop's thread that made it.

    Parameters
    ----------
    stream : ReportStream
    worker : str
        The worker's name in reports.
    slots : int
        The slots of the backend, for each of which a program runs as many attempts at once as it says.
    limit : int, optional
        How many attempts run at once in all.
    here : bool
        Whether they run on this very loop, instead of the worker's.
    kernels : int, optional
        How many kernels that are no coroutine functions run at once; as many as there are slots by default.
    """

    def __init__(
        self,
        stream: ReportStream,
        *,
        worker: str,
        slots: int,
        limit: int | None = None,
        here: bool = False,
        kernels: int | None = None,
    ) -> None:
        self._kernels = slots if kernels is None else kernels
        self._stream = stream
        self._worker = worker
        self._slots = slots
        self._limit = limit
        self._home = asyncio.get_running_loop()
        self._here = here
        self._given_up = 0
        self._reports = _Reports(worker, self._wake)
        self._runs: set[_LoopRun] = set()
        self._where: dict[int, _LoopRun] = {}
        self._lanes: dict[tuple[asyncio.AbstractEventLoop, str], _StageLanes] = {}
        self._all_lanes: dict[asyncio.AbstractEventLoop, Lanes] = {}
        self._ended_runs: deque[_LoopRun] = deque()
        self._left_behind = 0
        self._timer: asyncio.TimerHandle | None = None
        self._woken = False
        self._idle = asyncio.Event()

    @property
    def abandoned(self) -> int:
        """The attempts that were left behind, because they ignored being cancelled."""
        return self._left_behind + self._given_up + sum(r.runner.abandoned for r in self._runs)

    def submit(self, batch: Batch) -> None:
        """Run a batch at the same time as those that run."""
        loop = self._home if self._here else EVENT_LOOP.get()
        lanes = self._lanes_of(batch, loop)
        lanes.runs += 1
        program = batch.program.runnable
        run = _LoopRun(loop, lanes)
        run.runner = ConcurrentRunner(
            batch.jobs,
            lambda: program,
            lanes=lanes.group,
            sink=self._reports,
            worker=self._worker,
            ended=lambda: self._run_ended(run),
            keep_exception=True,
        )
        self._runs.add(run)
        self._where.update((job.attempt, run) for job in batch.jobs)
        self._call(loop, run.runner.start)
        self._schedule_tick()

    def cancel(self, attempts: Collection[int]) -> None:
        """Drop those of ``attempts`` that have not started, and cancel those that run."""
        hit: dict[_LoopRun, set[int]] = {}
        for attempt in attempts:
            run = self._where.get(attempt)
            if run is not None:
                hit.setdefault(run, set()).add(attempt)
        for run, stopped in hit.items():
            if self._here:
                run.runner.stop(stopped)
            else:
                post = _posting(run.loop, run.runner.stop, stopped)
                EVENT_LOOP.cancel(post, run.loop)
                self._home.call_later(PATIENCE_SECONDS, self._give_up, run, stopped)

    def leave_saves(self, attempts: Collection[int]) -> list[threading.Event]:
        """Give up those of ``attempts`` that save; return events that are set as their saves end."""
        events: list[threading.Event] = []
        for run in {self._where[a] for a in attempts if a in self._where}:
            events += run.runner.leave_saves(attempts).values()
            for attempt in run.runner.given_up.intersection(attempts):
                self._where.pop(attempt, None)
        if not self._where:
            self._idle.set()
        return events

    async def close(self) -> None:
        """Cancel everything, and wait until every attempt has its outcome."""
        self.cancel(tuple(self._where))
        while self._where:
            self._idle.clear()
            await self._idle.wait()
        for loop, lanes in self._all_lanes.items():
            # Groups of attempts that were given up are there still.
            self._call(loop, lanes.close)
        if self._timer is not None:
            self._timer.cancel()

    def _lanes_of(self, batch: Batch, loop: asyncio.AbstractEventLoop) -> _StageLanes:
        key = loop, batch.program.key
        lanes = self._lanes.get(key)
        if lanes is None:
            whole = self._all_lanes.get(loop)
            if whole is None:
                whole = self._all_lanes[loop] = Lanes(
                    self._limit, slots=self._slots, kernels=self._kernels
                )
            group = whole.group(batch.program.concurrency * self._slots)
            lanes = self._lanes[key] = _StageLanes(key, group)
        return lanes

    def _give_up(self, run: _LoopRun, attempts: Collection[int]) -> None:
        """Give up attempts that the loop has not even stopped: something blocks it."""
        saving = run.runner.saving
        stuck = [a for a in attempts if self._where.get(a) is run and a not in saving]
        if not stuck:
            return
        run.runner.given_up.update(stuck)
        for attempt in stuck:
            since = run.runner.started_at(attempt)
            self._given_up += since > 0
            self._pass_on([Outcome(attempt, Status.CANCELLED, self._worker, since)])

    # In the thread of the loop that runs the attempts.

    def _run_ended(self, run: _LoopRun) -> None:
        self._ended_runs.append(run)
        self._wake()

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._call(self._home, self._collect, soon=True)

    def _call(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[..., object],
        *arguments: Any,
        soon: bool = False,
    ) -> None:
        if not self._here:
            # RuntimeError means that the loop is closed: what was left behind has ended after its run.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(function, *arguments)
        elif soon:
            loop.call_soon(function, *arguments)
        else:
            function(*arguments)

    # On the loop of the backend.

    def _collect(self) -> None:
        self._woken = False  # first, so that whatever comes from now on wakes again
        outcomes = self._reports.outcomes()
        self._stream.report(self._reports.notes(), 0)
        self._pass_on(outcomes)
        while self._ended_runs:
            run = self._ended_runs.popleft()
            self._runs.discard(run)
            self._left_behind += run.runner.abandoned
            lanes = run.lanes
            lanes.runs -= 1
            if not lanes.runs and self._lanes.get(lanes.key) is lanes:
                del self._lanes[lanes.key]
                self._call(run.loop, lanes.group.remove)

    def _pass_on(self, outcomes: list[Outcome]) -> None:
        where = self._where
        known: list[Report] = [o for o in outcomes if where.pop(o.attempt, None) is not None]
        self._stream.report(known, len(known))
        if not where:
            self._idle.set()

    def _schedule_tick(self) -> None:
        if self._timer is None:
            self._timer = self._home.call_later(START_SECONDS, self._tick)

    def _tick(self) -> None:
        """Report the starts of attempts that run for longer than a moment."""
        self._timer = None
        self._collect()
        self._stream.report(self._reports.starts(), 0)
        if self._where:
            self._schedule_tick()


class _Reports(ConcurrentReports):
    """Reports that wake whoever takes them."""

    def __init__(self, worker: str, wake: Callable[[], None]) -> None:
        super().__init__(worker)
        self._wake = wake

    def ended(self, outcome: Outcome) -> None:
        super().ended(outcome)
        self._wake()


class _StageLanes:
    """The lanes of one program on one loop, and the number of its batches there."""

    def __init__(self, key: tuple[asyncio.AbstractEventLoop, str], group: LaneGroup) -> None:
        self.key = key
        self.group = group
        self.runs = 0


class _LoopRun:
    """A batch on a loop."""

    runner: ConcurrentRunner

    def __init__(self, loop: asyncio.AbstractEventLoop, lanes: _StageLanes) -> None:
        self.loop = loop
        self.lanes = lanes


def _posting(
    loop: asyncio.AbstractEventLoop, stop: Callable[[Collection[int]], None], attempts: set[int]
) -> Callable[[], object]:
    return lambda: loop.call_soon_threadsafe(stop, attempts)
