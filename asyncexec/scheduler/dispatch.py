"""The dispatch of an engine's runs on one backend: it sends, withdraws and cancels batches; nothing here awaits.

The driver passes in the reports and the time. A simulation does the same on a virtual clock, so that the code that
decides real runs decides simulated ones.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import anyio

from asyncexec.errors import BackendError, StalledError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.worker.records import NO_ATTEMPT

if TYPE_CHECKING:
    from asyncexec.backends.contract import Batch, Report
    from asyncexec.events.fanout import Fanout
    from asyncexec.scheduler.growth import GrowingStages, ReadItems
    from asyncexec.scheduler.late_stages import SizedStages
    from asyncexec.scheduler.run import Run
    from asyncexec.worker.records import Note

logger = logging.getLogger("asyncexec")

RUN_BITS = 44
"""The low bits of an attempt's id, a counter; the bits above are its run's number, so no table is needed to find it."""

WINDOW = 2
"""Batches in flight per slot: one that runs, and one queued so that the slot is not idle in between. Of batches that
share a slot, so many as fill it twice."""

DRAIN_SECONDS = 15.0
"""The time that a stopped run waits for the outcomes of attempts in flight."""


class RunHandle:
    """A run with its observers, and the event that is set at its end."""

    def __init__(
        self,
        number: int,
        run: Run,
        fanout: Fanout,
        log: Callable[[Sequence[Note]], None] | None = None,
    ) -> None:
        self.number = number
        self.run = run
        self.fanout = fanout
        self.log = log
        """Takes what tasks and workers say, for the driver's logging."""
        self.finished = anyio.Event()
        self.drain_by: float | None = None


class Dispatch:
    """Shares the slots of a backend, and the budget, among any number of runs: by priority, and evenly among equals.

    Parameters
    ----------
    budget : AdmissionBudget
    slots : callable
        Returns the number of batches that the backend runs at once, now.
    send : callable
        Sends a batch to the backend.
    withdraw : callable
        Removes those of some attempts that the backend has not taken yet, and returns them.
    cancel : callable
        Makes the backend stop attempts.
    size : callable
        Calls a function, which may block, for a run, and passes its result or exception to :meth:`sized`.
    avoid : callable, optional
        Makes the backend leave workers idle, by name.

    Attributes
    ----------
    broken : BackendError or None
        The error that ended the backend, and so every run; None while it works.
    """

    def __init__(
        self,
        budget: AdmissionBudget,
        *,
        slots: Callable[[], int],
        send: Callable[[Batch], None],
        withdraw: Callable[[Collection[int]], set[int]],
        cancel: Callable[[Collection[int]], None],
        size: Callable[[RunHandle, Callable[[], SizedStages]], None],
        avoid: Callable[[Collection[str]], None] | None = None,
    ) -> None:
        self.broken: BackendError | None = None
        self._budget = budget
        self._slots = slots
        self._send = send
        self._withdraw = withdraw
        self._cancel_at_backend = cancel
        self._size = size
        self._avoid = avoid
        self._avoided: frozenset[str] = frozenset()
        self._handles: dict[int, RunHandle] = {}
        self._ranked = False

    def add(self, handle: RunHandle, now: float) -> None:
        """Begin a run; ``handle.finished`` is set at its end."""
        self._handles[handle.number] = handle
        self._rank()
        if self.broken is not None:
            handle.run.stop(self.broken)
        else:
            handle.run.begin(now)
        self.advance(now)

    def reopen(self, handle: RunHandle, now: float) -> None:
        """Go on with a run that was finished, and has tasks again; ``handle.finished`` is another event from now on."""
        handle.finished = anyio.Event()
        self._handles[handle.number] = handle
        self._rank()
        if self.broken is not None:
            handle.run.stop(self.broken)
        self.advance(now)

    def stop(self, handle: RunHandle, now: float) -> None:
        """Stop a run; its ``finished`` is set when all its attempts have ended."""
        handle.run.stop()
        self.advance(now)

    def take_in(self, reports: Sequence[Report], now: float) -> None:
        """Pass reports to their runs, then send, cancel and end whatever follows from them."""
        handles = self._handles
        if len(handles) == 1:  # The usual case, without a look at every report.
            next(iter(handles.values())).run.report(reports, now)
        else:
            for report in reports:
                handle = handles.get(report.attempt >> RUN_BITS)
                # What a worker says outside of tasks belongs to no run: any run's logging will do.
                if handle is None and report.attempt == NO_ATTEMPT and handles:
                    handle = next(iter(handles.values()))
                if handle is not None:
                    handle.run.report((report,), now)
        self.advance(now)

    def sized(self, handle: RunHandle, sized: SizedStages | Exception, now: float) -> None:
        """Continue a run with stages whose sizes are known now, or fail it if they could not be found."""
        handle.run.sized(sized, now)
        self.advance(now)

    def fed(self, handle: RunHandle, group: GrowingStages, read: ReadItems, now: float) -> None:
        """Continue a run with items that were read for its growing stages."""
        handle.run.fed(group, read, now)
        self.advance(now)

    def tick(self, now: float) -> None:
        """Apply the timeouts, retries and backups that are due."""
        for handle in tuple(self._handles.values()):
            handle.run.tick(now)
        self.advance(now)

    def next_deadline(self) -> float:
        """Return the time of the next :meth:`tick`; infinity where only a report can change anything."""
        earliest = float("inf")
        for handle in self._handles.values():
            pause_ends = math.inf if self._avoid is None else handle.run.slow_workers.next_change
            for deadline in (handle.run.next_deadline(), handle.drain_by, pause_ends):
                if deadline is not None and deadline < earliest:
                    earliest = deadline
        return earliest

    def fail(self, error: BackendError, now: float) -> None:
        """End every run, as the backend is broken."""
        self.broken = error
        for handle in self._handles.values():
            handle.run.stop(error)
            handle.run.abandon_all(now)
            handle.run.unwanted.clear()  # There is no backend to cancel them at.
        self.advance(now)

    def advance(self, now: float) -> None:
        """Send batches, cancel unwanted attempts, pass events to observers, and end runs that are finished."""
        if self._avoid is not None:
            self._leave_idle(now)
        self._fill(now)
        for handle in tuple(self._handles.values()):
            run = handle.run
            if run.late.due and not run.stopping:
                self._size(handle, run.take_sizing())
            if run.growth.groups and not run.stopping:
                run.growth.wake(self._slots())
            if run.unwanted:
                self._cancel(run, now)
            if run.stopping and not run.finished:
                self._watch_drain(handle, now)
            elif run.stalled:
                run.stop(
                    StalledError(
                        f"plan {run.plan.name!r}: {run.left} tasks are left and none can be started"
                    )
                )
            if run.event_buffer.events or run.notes:
                _pass_on(handle)
            if run.finished:
                # An observer of these events may have cancelled the run, which has been taken out then.
                self._handles.pop(handle.number, None)
                self._rank()
                handle.finished.set()

    def _leave_idle(self, now: float) -> None:
        """Make the backend avoid the workers that some run has found slow."""
        watches = [handle.run.slow_workers for handle in self._handles.values()]
        if self._avoid is None or not any(w.changed or now >= w.next_change for w in watches):
            return
        avoided = frozenset[str]().union(*(w.avoided(now) for w in watches))
        if avoided != self._avoided:
            self._avoided = avoided
            self._avoid(avoided)

    def _fill(self, now: float) -> None:
        handles = self._handles
        if not handles or self.broken is not None:
            return
        slots = self._slots()
        while self._budget.slots_taken < WINDOW * slots:
            batch = self._next_batch(now, slots)
            if batch is None:
                return
            self._send(batch)

    def _cancel(self, run: Run, now: float) -> None:
        """Withdraw the unwanted attempts that the backend has not taken, and make it stop the others."""
        unwanted, run.unwanted = run.unwanted, []
        # What the backend has not taken yet has certainly not run, so its outcome is known at once.
        withdrawn = self._withdraw(unwanted)
        taken = [attempt for attempt in unwanted if attempt not in withdrawn]
        if taken and self.broken is None:
            self._cancel_at_backend(taken)
        run.report([Outcome(attempt, Status.CANCELLED) for attempt in withdrawn], now)

    def _next_batch(self, now: float, slots: int) -> Batch | None:
        """Return a batch of the run with the fewest in flight, among those that have one to send."""
        handles = self._handles.values()
        if self._ranked:
            return self._batch_by_priority(now, slots)
        for handle in handles if len(handles) == 1 else sorted(handles, key=_in_flight):
            batch = handle.run.next_batch(now, slots)
            if batch is not None:
                return batch
        return None

    def _batch_by_priority(self, now: float, slots: int) -> Batch | None:
        """Return a batch of the run of the highest priority that has one; of equals, of that with the fewest in flight.

        What runs of higher priority wait for, memory or a named resource, is kept free for them.
        """
        handles = self._handles.values()
        # Whatever its priority, all others wait until it has had the whole budget.
        reserved = next((h.run for h in handles if self._budget.is_reserved_for(h.run)), None)
        if reserved is not None:
            return reserved.next_batch(now, slots)
        held, wanted = frozenset[str](), set[str]()
        lacks_memory, priority = False, math.inf
        for run in sorted(
            (h.run for h in handles if not h.run.stopping), key=lambda r: (-r.priority, r.in_flight)
        ):
            if run.priority < priority:
                if lacks_memory:
                    return None
                held, priority = frozenset(wanted), run.priority
            batch = run.next_batch(now, slots, held)
            if batch is not None:
                return batch
            lacks_memory |= run.sender.lacks_memory
            wanted.update(run.sender.lacks)
        return None

    def _rank(self) -> None:
        """Note whether there are runs of different priority."""
        self._ranked = len({handle.run.priority for handle in self._handles.values()}) > 1

    def _watch_drain(self, handle: RunHandle, now: float) -> None:
        if handle.drain_by is None:
            handle.drain_by = now + DRAIN_SECONDS
        elif now >= handle.drain_by:
            abandoned = handle.run.abandon_all(now)
            logger.warning(
                "execution %s: the backend did not report %d cancelled attempts within %g s; they are given up",
                handle.run.name,
                abandoned,
                DRAIN_SECONDS,
            )


def _pass_on(handle: RunHandle) -> None:
    """Pass the run's notes to the driver's logging, and its events to observers."""
    run = handle.run
    notes, run.notes = run.notes, []
    if notes and handle.log is not None:
        handle.log(notes)
    events, run.event_buffer.events = run.event_buffer.events, []
    if events:
        handle.fanout.send(events)


def _in_flight(handle: RunHandle) -> int:
    return handle.run.in_flight
