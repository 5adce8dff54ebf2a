"""The one file of the scheduler that awaits: it carries batches to the backend and reports back to the runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import anyio
from anyio.lowlevel import checkpoint

from asyncexec.errors import BackendError, StalledError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.scheduler.admission import Budget
from asyncexec.scheduler.feed import Feed

if TYPE_CHECKING:
    from types import TracebackType

    from anyio.abc import TaskGroup

    from asyncexec.backends.contract import Backend, Batch, Report
    from asyncexec.events.fanout import Fanout
    from asyncexec.scheduler.run import Run

logger = logging.getLogger("asyncexec")

SLICE = 128
"""Reports handled before the event loop gets its turn: about 1 ms of work."""

RUN_BITS = 44
"""An attempt's id is its run's number, then so many bits of a counter: ids need no table to find their run."""

WINDOW = 2
"""Batches in flight per slot: one running and one waiting beside it."""

DRAIN_SECONDS = 15.0
"""How long a stopped run waits for outcomes that the backend owes it."""


class Lane:
    """A run and what belongs to it on the driver's side."""

    def __init__(self, number: int, run: Run, fanout: Fanout) -> None:
        self.number = number
        self.run = run
        self.fanout = fanout
        self.finished = anyio.Event()
        self.drain_by: float | None = None


class Driver:
    """Runs any number of runs on one backend, sharing its slots and the budget evenly.

    An async context manager; the backend must have been entered.
    """

    def __init__(self, backend: Backend, budget: Budget) -> None:
        self._backend = backend
        self._budget = budget
        self._lanes: dict[int, Lane] = {}
        self._feed = Feed()
        self._rearm = anyio.Event()
        self._alarm = float("inf")
        self._broken: BackendError | None = None
        self._tasks: TaskGroup = anyio.create_task_group()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._carry)
        self._tasks.start_soon(self._keep_time)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        self._feed.close()
        self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, traceback)

    # -- what the engine calls

    def add(self, lane: Lane) -> None:
        """Begin a run; ``lane.finished`` is set at its end."""
        self._lanes[lane.number] = lane
        now = anyio.current_time()
        if self._broken is not None:
            lane.run.stop(self._broken)
        else:
            lane.run.begin(now)
        self._settle(now)

    def stop(self, lane: Lane) -> None:
        """Have a run stopped; its ``finished`` is set when nothing of it is left anywhere."""
        lane.run.stop()
        self._settle(anyio.current_time())

    # -- tasks

    async def _carry(self) -> None:
        try:
            async for reports in self._backend.map(self._feed):
                for start in range(0, len(reports), SLICE):
                    if start:
                        await checkpoint()
                    self._take_in(reports[start : start + SLICE])
        except Exception as error:  # noqa: BLE001 - whatever a broken backend raises ends the runs, not the host
            self._break(error)
        else:
            self._break(
                BackendError(f"{self._backend!r} ended its map while its input was still open")
            )

    async def _keep_time(self) -> None:
        while True:
            self._rearm = anyio.Event()
            self._alarm = self._next_deadline()
            with anyio.CancelScope(deadline=self._alarm):
                await self._rearm.wait()
            now = anyio.current_time()
            if now >= self._alarm:
                for lane in tuple(self._lanes.values()):
                    lane.run.tick(now)
                self._settle(now)

    # -- synchronous work

    def _take_in(self, reports: Sequence[Report]) -> None:
        now = anyio.current_time()
        lanes = self._lanes
        if len(lanes) == 1:
            next(iter(lanes.values())).run.report(reports, now)
        else:
            for report in reports:
                lane = lanes.get(report.attempt >> RUN_BITS)
                if lane is not None:
                    lane.run.report((report,), now)
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Send what can be sent, cancel what is unwanted, tell observers, and end what is finished."""
        self._fill(now)
        for lane in tuple(self._lanes.values()):
            run = lane.run
            if run.unwanted:
                self._cancel(run, now)
            if run.stopping and not run.finished:
                self._watch_drain(lane, now)
            elif run.stalled:
                run.stop(
                    StalledError(
                        f"plan {run.plan.name!r}: {run.left} tasks are left and none can be started"
                    )
                )
            if run.chronicle.events:
                events, run.chronicle.events = run.chronicle.events, []
                lane.fanout.send(events)
            if run.finished:
                del self._lanes[lane.number]
                lane.finished.set()
        if self._next_deadline() < self._alarm:
            self._rearm.set()

    def _fill(self, now: float) -> None:
        lanes = self._lanes
        while lanes and self._broken is None:
            slots = self._backend.slots
            if self._budget.batches >= WINDOW * slots:
                return
            batch = self._next_batch(now, slots)
            if batch is None:
                return
            self._feed.put(batch)

    def _cancel(self, run: Run, now: float) -> None:
        """Withdraw what the backend has not taken, and ask it to stop the rest."""
        unwanted, run.unwanted = run.unwanted, []
        withdrawn = self._feed.withdraw(unwanted)
        rest = [attempt for attempt in unwanted if attempt not in withdrawn]
        if rest and self._broken is None:
            self._backend.cancel(rest)
        run.report([Outcome(attempt, Status.CANCELLED) for attempt in withdrawn], now)

    def _next_batch(self, now: float, slots: int) -> Batch | None:
        """Return a batch of the run that has the least in flight, among those that have any."""
        lanes = self._lanes.values()
        for lane in lanes if len(lanes) == 1 else sorted(lanes, key=_in_flight):
            batch = lane.run.next_batch(now, slots)
            if batch is not None:
                return batch
        return None

    def _next_deadline(self) -> float:
        earliest = float("inf")
        for lane in self._lanes.values():
            for deadline in (lane.run.next_deadline(), lane.drain_by):
                if deadline is not None and deadline < earliest:
                    earliest = deadline
        return earliest

    def _watch_drain(self, lane: Lane, now: float) -> None:
        if lane.drain_by is None:
            lane.drain_by = now + DRAIN_SECONDS
        elif now >= lane.drain_by:
            forsaken = lane.run.forsake()
            logger.warning(
                "execution %s: the backend did not report %d cancelled attempts within %g s; they are given up",
                lane.run.name,
                forsaken,
                DRAIN_SECONDS,
            )

    def _break(self, error: Exception) -> None:
        self._broken = (
            error
            if isinstance(error, BackendError)
            else BackendError(f"{self._backend!r} failed: {error!r}")
        )
        if self._broken is not error:
            self._broken.__cause__ = error
        for lane in self._lanes.values():
            lane.run.stop(self._broken)
            lane.run.forsake()
            lane.run.unwanted.clear()
        self._settle(anyio.current_time())


def _in_flight(lane: Lane) -> int:
    return lane.run.in_flight
