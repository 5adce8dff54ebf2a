"""What the runs of an engine do next, on one backend: what is sent, withdrawn, cancelled and ended; nothing here waits.

The driver tells it what came back and what time it is. A simulation tells it the same, on a clock of its own, so that
what is computed there is decided by what runs here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import anyio

from asyncexec.errors import BackendError, StalledError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.scheduler.admission import Budget

if TYPE_CHECKING:
    from asyncexec.backends.contract import Batch, Report
    from asyncexec.events.fanout import Fanout
    from asyncexec.scheduler.run import Run

logger = logging.getLogger("asyncexec")

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


class Dispatch:
    """Shares the slots of a backend, and the budget, evenly among any number of runs.

    Parameters
    ----------
    budget : Budget
    slots : callable
        How many batches the backend runs at once, now.
    send : callable
        Hands a batch on.
    withdraw : callable
        Takes back those of some attempts that the backend has not taken yet, and returns them.
    cancel : callable
        Has the backend stop attempts.
    avoid : callable, optional
        Has the backend leave workers idle, by name.

    Attributes
    ----------
    broken : BackendError or None
        Why no run can go on.
    """

    def __init__(
        self,
        budget: Budget,
        *,
        slots: Callable[[], int],
        send: Callable[[Batch], None],
        withdraw: Callable[[Collection[int]], set[int]],
        cancel: Callable[[Collection[int]], None],
        avoid: Callable[[Collection[str]], None] | None = None,
    ) -> None:
        self.broken: BackendError | None = None
        self._budget = budget
        self._slots = slots
        self._send = send
        self._withdraw = withdraw
        self._cancel_at_backend = cancel
        self._avoid = avoid
        self._avoided: frozenset[str] = frozenset()
        self._lanes: dict[int, Lane] = {}

    def add(self, lane: Lane, now: float) -> None:
        """Begin a run; ``lane.finished`` is set at its end."""
        self._lanes[lane.number] = lane
        if self.broken is not None:
            lane.run.stop(self.broken)
        else:
            lane.run.begin(now)
        self.settle(now)

    def stop(self, lane: Lane, now: float) -> None:
        """Have a run stopped; its ``finished`` is set when nothing of it is left anywhere."""
        lane.run.stop()
        self.settle(now)

    def take_in(self, reports: Sequence[Report], now: float) -> None:
        """Pass reports on to their runs, and do what follows from them."""
        lanes = self._lanes
        if len(lanes) == 1:
            next(iter(lanes.values())).run.report(reports, now)
        else:
            for report in reports:
                lane = lanes.get(report.attempt >> RUN_BITS)
                if lane is not None:
                    lane.run.report((report,), now)
        self.settle(now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        for lane in tuple(self._lanes.values()):
            lane.run.tick(now)
        self.settle(now)

    def next_deadline(self) -> float:
        """Return when :meth:`tick` is to be called; infinity where only a report can change anything."""
        earliest = float("inf")
        for lane in self._lanes.values():
            pause_ends = math.inf if self._avoid is None else lane.run.slow_workers.next_change
            for deadline in (lane.run.next_deadline(), lane.drain_by, pause_ends):
                if deadline is not None and deadline < earliest:
                    earliest = deadline
        return earliest

    def fail(self, error: BackendError, now: float) -> None:
        """End every run: the backend is broken."""
        self.broken = error
        for lane in self._lanes.values():
            lane.run.stop(error)
            lane.run.abandon_all()
            lane.run.unwanted.clear()
        self.settle(now)

    def settle(self, now: float) -> None:
        """Send what can be sent, cancel what is unwanted, tell observers, and end what is finished."""
        if self._avoid is not None:
            self._leave_idle(now)
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

    def _leave_idle(self, now: float) -> None:
        """Have the backend avoid the workers that some run has found slow."""
        watches = [lane.run.slow_workers for lane in self._lanes.values()]
        if self._avoid is None or not any(w.changed or now >= w.next_change for w in watches):
            return
        avoided = frozenset[str]().union(*(w.avoided(now) for w in watches))
        if avoided != self._avoided:
            self._avoided = avoided
            self._avoid(avoided)

    def _fill(self, now: float) -> None:
        lanes = self._lanes
        if not lanes or self.broken is not None:
            return
        slots = self._slots()
        while self._budget.batches < WINDOW * slots:
            batch = self._next_batch(now, slots)
            if batch is None:
                return
            self._send(batch)

    def _cancel(self, run: Run, now: float) -> None:
        """Withdraw what the backend has not taken, and ask it to stop the rest."""
        unwanted, run.unwanted = run.unwanted, []
        withdrawn = self._withdraw(unwanted)
        rest = [attempt for attempt in unwanted if attempt not in withdrawn]
        if rest and self.broken is None:
            self._cancel_at_backend(rest)
        run.report([Outcome(attempt, Status.CANCELLED) for attempt in withdrawn], now)

    def _next_batch(self, now: float, slots: int) -> Batch | None:
        """Return a batch of the run that has the least in flight, among those that have any."""
        lanes = self._lanes.values()
        for lane in lanes if len(lanes) == 1 else sorted(lanes, key=_in_flight):
            batch = lane.run.next_batch(now, slots)
            if batch is not None:
                return batch
        return None

    def _watch_drain(self, lane: Lane, now: float) -> None:
        if lane.drain_by is None:
            lane.drain_by = now + DRAIN_SECONDS
        elif now >= lane.drain_by:
            abandoned = lane.run.abandon_all()
            logger.warning(
                "execution %s: the backend did not report %d cancelled attempts within %g s; they are given up",
                lane.run.name,
                abandoned,
                DRAIN_SECONDS,
            )


def _in_flight(lane: Lane) -> int:
    return lane.run.in_flight
