"""The dispatch of an engine's runs on one backend: it sends, withdraws and cancels batches; nothing here awaits.

The driver passes in the reports and the time. A simulation does the same on a virtual clock, so that the code that
decides real runs decides simulated ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from asyncexec.errors import BackendError, StalledError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.scheduler.admission import AdmissionBudget
from asyncexec.scheduler.deadlines import Deadlines
from asyncexec.scheduler.run import Run
from asyncexec.scheduler.run_handle import RunHandle
from asyncexec.scheduler.run_order import SendOrder
from asyncexec.scheduler.set_once import SetOnce
from asyncexec.scheduler.waits import MemoryWait, ResourceWait
from asyncexec.straggler.monitor import CHECK_SECONDS
from asyncexec.worker.records import NO_ATTEMPT

if TYPE_CHECKING:
    from threading import Event

    from asyncexec.backends.contract import Batch, Report
    from asyncexec.scheduler.growth import GrowingStages, ReadItems
    from asyncexec.scheduler.late_stages import SizedStages
    from asyncexec.scheduler.waits import Wait

RUN_BITS = 44
"""The low bits of an attempt's id, a counter; the bits above are its run's number, so no table is needed to find it."""

WINDOW = 2
"""Batches in flight per slot: one that runs, and one queued. Of batches that share a slot, so many as fill it twice."""

FEW = 16
"""So many runs with attempts in flight are looked at after every report; of more, only those that it changed."""

DRAIN_SECONDS = 15.0
"""The time that a stopped run waits for the outcomes of attempts in flight."""

SAVE_SECONDS = 0.35
"""The time that it waits where these are in threads of this process, which can only be saving then."""


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
    leave_saves : callable, optional
        Makes the backend give up attempts that save, and returns events that are set as these saves end.

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
        leave_saves: Callable[[Collection[int]], Sequence[Event]] | None = None,
    ) -> None:
        self.broken: BackendError | None = None
        self._budget = budget
        self._slots = slots
        self._send = send
        self._withdraw = withdraw
        self._cancel_at_backend = cancel
        self._size = size
        self._avoid = avoid
        self._leave_saves = leave_saves
        self._avoided: frozenset[str] = frozenset()
        self._handles: dict[int, RunHandle] = {}
        self._of_run: dict[Run, RunHandle] = {}
        # The runs to settle at the next `advance`, and those for which something else may be due since.
        self._changed: dict[int, RunHandle] = {}
        self._undated: dict[int, RunHandle] = {}
        self._with_attempts: dict[int, RunHandle] = {}
        self._order = SendOrder()
        self._deadlines = Deadlines()
        self._slots_before = -1
        self._changes = 0
        self._date_all_at = math.inf
        self._ticked_at = -math.inf

    def add(self, handle: RunHandle, now: float) -> None:
        """Begin a run; ``handle.finished`` is set at its end."""
        self._handles[handle.number] = self._of_run[handle.run] = handle
        self._touch(handle)
        if self.broken is not None:
            handle.run.stop(self.broken)
        else:
            handle.guarded(handle.run.begin, now)
        self.advance(now)

    def reopen(self, handle: RunHandle, now: float) -> None:
        """Go on with a run that was finished, and has tasks again; ``handle.finished`` is another event from now on."""
        handle.finished = SetOnce()
        self._handles[handle.number] = self._of_run[handle.run] = handle
        self._touch(handle)
        if self.broken is not None:
            handle.run.stop(self.broken)
        self.advance(now)

    def stop(self, handle: RunHandle, now: float) -> None:
        """Stop a run; its ``finished`` is set when all its attempts have ended."""
        handle.run.stop()
        self.wake(handle, now)

    def wake(self, handle: RunHandle, now: float) -> None:
        """Go on with a run that had something of its own to wait for."""
        self._touch(handle)
        self.advance(now)

    def take_in(self, reports: Sequence[Report], now: float) -> None:
        """Pass reports to their runs, then send, cancel and end whatever follows from them."""
        handles = self._handles
        if len(handles) == 1:  # The usual case, without a look at every report.
            handle = next(iter(handles.values()))
            handle.report(reports, now)
            self._touch(handle)
        else:
            for number, of_run in groupby(reports, _run_of):
                found = handles.get(number)
                # What a worker says outside of tasks belongs to no run: any run's logging will do.
                if found is None and number == NO_ATTEMPT >> RUN_BITS:
                    found = next(iter(handles.values()), None)
                if found is not None:
                    found.report(of_run, now)
                    self._touch(found)
        self.advance(now)

    def sized(self, handle: RunHandle, sized: SizedStages | Exception, now: float) -> None:
        """Continue a run with stages whose sizes are known now, or fail it if they could not be found."""
        if self._handles.get(handle.number) is not handle:
            return  # The run has ended meanwhile.
        handle.guarded(handle.run.sized, sized, now)
        self.wake(handle, now)

    def fed(self, handle: RunHandle, group: GrowingStages, read: ReadItems, now: float) -> None:
        """Continue a run with items that were read for its growing stages."""
        handle.guarded(handle.run.fed, group, read, now)
        self.wake(handle, now)

    def tick(self, now: float) -> None:
        """Apply the timeouts, retries and backups that are due."""
        self._date(now)
        self._ticked_at = now
        for number in self._deadlines.take_due(now):
            handle = self._handles[number]
            handle.guarded(handle.run.tick, now)
            self._touch(handle)
        self.advance(now)

    def next_deadline(self, now: float) -> float:
        """Return the time of the next :meth:`tick`; infinity where only a report can change anything."""
        self._date(now)
        first = min(self._deadlines.earliest, self._date_all_at)
        if self._order.queues.waiting:
            return min(first, self._order.limits_open(self._ticked_at))
        return first

    def fail(self, error: BackendError, now: float) -> None:
        """End every run, as the backend is broken."""
        self.broken = error
        for handle in self._handles.values():
            handle.run.stop(error)
            handle.run.abandon_all(now)
            handle.run.status.unwanted = ()  # There is no backend to cancel them at.
            self._touch(handle)
        self.advance(now)

    def advance(self, now: float) -> None:
        """Send batches, cancel unwanted attempts, pass events to observers, and end runs that are finished."""
        slots = self._slots()
        if slots != self._slots_before:
            self._slots_before = slots
            for handle in self._handles.values():
                self._touch(handle)
        # Before anything is sent: a worker that is to rest must not get one more batch first.
        self._leave_idle(now, slots)
        self._fill(now, slots)
        while self._changed:
            changed, self._changed = self._changed, {}
            for handle in changed.values():
                try:
                    self._settle(handle, now, slots)
                except BaseException as error:  # noqa: BLE001 - it ends this run alone
                    self._settle_failed(handle, error, now)
            if self._changed:  # attempts were withdrawn, say, and others may take their slots
                self._fill(now, slots)

    def _touch(self, handle: RunHandle) -> None:
        """Have a run settled at the next :meth:`advance`, and asked for batches."""
        number = handle.number
        if self._handles.get(number) is handle:
            self._changed[number] = handle
            self._offer(handle)

    def _settle(self, handle: RunHandle, now: float, slots: int) -> None:
        """Do what follows from a change of a run, but for sending."""
        run, status = handle.run, handle.run.status
        if run.late.due and not status.stopping:
            self._size(handle, run.take_sizing())
        if run.growth.groups and not status.stopping:
            run.growth.wake(slots)
        if status.unwanted:
            self._cancel(handle, now)
        if status.stopping and not run.finished:
            self._watch_drain(handle, now)
        elif run.stalled:
            run.stop(
                StalledError(
                    f"plan {run.plan.name!r}: {status.left} tasks are left and none can be started"
                )
            )
        if run.event_buffer.events or run.event_buffer.notes:
            stopping = status.stopping
            handle.pass_on()
            if status.stopping and not stopping:  # by an observer
                self._touch(handle)
        self._undated[handle.number] = handle
        if run.running:
            self._with_attempts[handle.number] = handle
        else:
            self._with_attempts.pop(handle.number, None)
        if run.finished:
            # An observer of these events may have cancelled the run, which has been taken out then.
            self._remove(handle)

    def _settle_failed(self, handle: RunHandle, error: BaseException, now: float) -> None:
        """End a run whose changes could not be followed; without waiting for anything where that fails again."""
        if not handle.fail(error):
            handle.guarded(handle.run.abandon_all, now)
            self._remove(handle)
        self._touch(handle)

    def _remove(self, handle: RunHandle) -> None:
        number = handle.number
        if self._handles.pop(number, None) is not None:
            del self._of_run[handle.run]
        self._undated.pop(number, None)
        self._with_attempts.pop(number, None)
        self._order.remove(number)
        self._deadlines.set(number, math.inf)
        handle.finished.set()

    def _date(self, now: float) -> None:
        """Find out when something is due for runs that have changed, or have attempts in flight.

        The latter also depends on other runs: on slots that these take, and on durations that they have seen. All are
        looked at after as many changes as there are, or a while: so that one report does not cost more with many runs.
        """
        dated, self._undated = self._undated, {}
        if not dated and now < self._date_all_at:
            return
        self._changes += len(dated)
        if self._changes >= len(self._with_attempts) - FEW or now >= self._date_all_at:
            dated |= self._with_attempts
            self._changes, self._date_all_at = 0, math.inf
        else:
            self._date_all_at = min(self._date_all_at, now + CHECK_SECONDS)
        for number, handle in dated.items():
            pause_ends = math.inf if self._avoid is None else handle.run.pause_ends
            due = handle.guarded(handle.run.next_deadline, now)
            if handle.run.status.stopping and handle.drain_by is None:
                due = now  # It has just failed.
            times = (due, handle.drain_by, pause_ends)
            self._deadlines.set(number, min([at for at in times if at is not None]))

    def _leave_idle(self, now: float, slots: int) -> None:
        """Make the backend avoid the workers that some run has found slow, where the others do better without them."""
        changed = () if self._avoid is None else self._changed.values()
        if self._avoid is None or not any(each.run.rests_are_due(now) for each in changed):
            return
        runs = [handle.run for handle in self._handles.values()]
        waiting = self._budget.slots_taken - slots + sum(run.ready_tasks for run in runs)
        tasks_each = max(0.0, waiting / max(1, slots))
        known = [slow for run in runs if (slow := run.known_slow_workers) is not None]
        avoided = frozenset[str]().union(*(slow.resting(now, tasks_each) for slow in known))
        if avoided != self._avoided:
            self._avoided = avoided
            self._avoid(avoided)

    def _fill(self, now: float, slots: int) -> None:
        """Send batches of the runs in their order, as long as there are slots.

        What runs of higher priority wait for, memory or a named resource, is kept free for them.
        """
        budget, order, waiting = self._budget, self._order, self._order.queues.waiting
        tried_in_vain: set[Wait] = set()
        while self.broken is None and budget.slots_taken < WINDOW * slots:
            if budget.reserved_for is not None:
                self._send_reserved(now, slots)
                return
            if waiting:
                order.resume(lambda w: w not in tried_in_vain and w.is_over(budget, now))
            # Without a call where there is none, as for most reports.
            number = order.take() if order.places else None
            if number is None:
                return
            handle = self._handles[number]
            held = self._held_for_others(handle.run.priority) if waiting else frozenset[str]()
            if held is None:
                self._offer(handle)
                return
            if not self._send_of(handle, now, slots, held):
                tried_in_vain.update(handle.run.sender.waits)

    def _held_for_others(self, priority: int) -> frozenset[str] | None:
        """Return the resources that runs of a higher priority wait for; None if they wait for memory."""
        held: set[str] = set()
        for wait in self._order.queues.waits:
            first = self._order.queues.first(wait)
            if first is None or -first[0] <= priority:
                continue
            if isinstance(wait, MemoryWait):
                return None
            if isinstance(wait, ResourceWait):
                held.update(name for name, _ in wait.amounts)
        return frozenset(held)

    def _send_reserved(self, now: float, slots: int) -> None:
        """Send the batch that waits for the whole budget; whatever its priority, nothing else is sent before."""
        reserved = self._budget.reserved_for
        if isinstance(reserved, Run) and (handle := self._of_run.get(reserved)) is not None:
            self._send_of(handle, now, slots, ())

    def _send_of(self, handle: RunHandle, now: float, slots: int, held: Collection[str]) -> bool:
        """Send a batch of a run, if it has one; return whether it had."""
        number, run = handle.number, handle.run
        batch = handle.guarded(run.next_batch, now, slots, held)
        self._changed[number] = handle
        if batch is not None:
            self._send(batch)
            if number in self._order.queues.waiting:
                self._order.queues.remove(number)
            if run.sender.launchable:
                self._offer(handle)
        else:
            # What it waits for of its own, a report or a time, has it offered again.
            sender = run.sender
            waits: Collection[Wait] = () if run.status.stopping else sender.waits
            self._order.park(number, waits, priority=run.priority, in_flight=sender.in_flight)
        return batch is not None

    def _offer(self, handle: RunHandle) -> None:
        run = handle.run
        self._order.offer(handle.number, priority=run.priority, in_flight=run.sender.in_flight)

    def _cancel(self, handle: RunHandle, now: float) -> None:
        """Withdraw the unwanted attempts that the backend has not taken, and make it stop the others."""
        run = handle.run
        unwanted, run.status.unwanted = run.status.unwanted, ()
        # What the backend has not taken yet has certainly not run, so its outcome is known at once.
        withdrawn = self._withdraw(unwanted)
        taken = [attempt for attempt in unwanted if attempt not in withdrawn]
        if taken and self.broken is None:
            self._cancel_at_backend(taken)
        if withdrawn:
            run.report([Outcome(attempt, Status.CANCELLED) for attempt in withdrawn], now)
            self._touch(handle)

    def _watch_drain(self, handle: RunHandle, now: float) -> None:
        if handle.drain_by is None:
            seconds = DRAIN_SECONDS if self._leave_saves is None else SAVE_SECONDS
            handle.drain_by = now + seconds
        elif now >= handle.drain_by:
            handle.give_up_attempts(now, self._leave_saves)


def _run_of(report: Report) -> int:
    """Return the number of the run that a report is of."""
    return report.attempt >> RUN_BITS
